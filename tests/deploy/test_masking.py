"""Secrets are hidden wherever they turn up."""

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.masking import HIDDEN, mask_secrets

SIGNATURES = st.text(string.ascii_letters + string.digits + "+/", min_size=16, max_size=88).map(
    lambda text: text + "=="
)
WORDS = st.text(string.ascii_letters + " .:,", max_size=40)


@given(SIGNATURES, WORDS, WORDS)
def test_a_tokens_signature_never_shows(signature: str, before: str, after: str) -> None:
    token = f"GatewayKey edge-1&203001010000&{signature}"
    shown = mask_secrets(f"{before} {token} {after}")
    assert signature not in shown
    assert f"edge-1&203001010000&{HIDDEN}" in shown
    assert shown.startswith(before)
    assert shown.endswith(after)


@given(SIGNATURES)
def test_a_token_in_base64_never_shows(signature: str) -> None:
    encoded = base64.b64encode(f"GatewayKey edge-1&203001010000&{signature}".encode()).decode()
    shown = mask_secrets(f'{{"value": "{encoded}"}}')
    assert encoded[16:] not in shown


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefghijklmnop",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJib3QifQ.c2lnbmF0dXJl",
        "http://proxy:c2lnbmF0dXJl@proxy.example:3128",
        "https://x/?token=edge-1%26203001010000%26c2lnbmF0dXJlLW9m",
    ],
)
def test_other_credentials_are_hidden(text: str) -> None:
    shown = mask_secrets(text)
    assert HIDDEN in shown
    assert "c2lnbmF0dXJl" not in shown
    assert "abcdefghijklmnop" not in shown


@given(st.text())
def test_masking_twice_is_masking_once(text: str) -> None:
    assert mask_secrets(mask_secrets(text)) == mask_secrets(text)


def test_ordinary_text_stays_as_it_is() -> None:
    text = "Pulled image mcr.microsoft.com/gateway:2.11.1 & started at 202601010000"
    assert mask_secrets(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m and \x1b]0;title\x07plain\x1b[2", "red and plain"),
        ("edge-1&203001010000&ab\x1b[0mcdefghijklmn", f"edge-1&203001010000&{HIDDEN}"),
        ("\x1b\x1b[1mso it\x1b\x1b[0m is\x1b", "so it is"),
        ("\x1b(Bso it \x1bMis", "so it is"),
    ],
)
def test_what_only_a_terminal_shows_is_taken_out_before_secrets_are_looked_for(
    text: str, shown: str
) -> None:
    assert mask_secrets(text) == shown
