"""A command's text as `should_escape` sends it."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.slack.escaping import escaped
from handlers.slack.typed_text import as_typed

NOBODY: Any = SimpleNamespace(
    user=lambda name: None, usergroup=lambda name: None, channel=lambda name: None
)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("a & b <c>", "a &amp; b &lt;c&gt;"),
        ("see https://contoso.net/a?b&c, now", "see <https://contoso.net/a?b&amp;c>, now"),
        ("<https://contoso.net>", "&lt;<https://contoso.net>&gt;"),
        ("--set a.endpoint=a.contoso.net", "--set a.endpoint=<http://a.contoso.net|a.contoso.net>"),
        ("contoso.net:8443/a.", "<http://contoso.net:8443/a|contoso.net:8443/a>."),
        ("ask ana@contoso.net", "ask <mailto:ana@contoso.net|ana@contoso.net>"),
        ("2.11.1 values.yaml west/dev/e 10.0.0.1", "2.11.1 values.yaml west/dev/e 10.0.0.1"),
        ("@nobody #nowhere", "@nobody #nowhere"),
    ],
)
def test_addresses_become_links_and_signs_entities(typed: str, sent: str) -> None:
    assert escaped(NOBODY, typed) == sent


PIECES = st.sampled_from(
    [
        *("https://contoso.net", "contoso.net/a", "ana@contoso.io", "http://x", "HTTPS://A.io"),
        *("&", "<", ">", "|", " ", '"', ".", "=", "amp;", "@", "#", "a"),
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_the_bot_reads_what_was_typed(typed: str) -> None:
    assert as_typed(escaped(NOBODY, typed)) == typed
