"""What was typed is read again from what Slack makes of it."""

import html
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.slack.typed_text import as_typed, filled_in, without_links


@pytest.mark.parametrize(
    ("sent", "typed"),
    [
        ("<https://contoso.net/a?b=1&amp;c=2>", "https://contoso.net/a?b=1&c=2"),
        ("<https://contoso.net|https://contoso.net>", "https://contoso.net"),
        ("apim.endpoint=<http://apim.contoso.net|apim.contoso.net>", "apim.endpoint=apim.contoso.net"),
        ("<http://apim.contoso.net/|apim.contoso.net>", "apim.contoso.net"),
        ("<http://Apim.Contoso.net|Apim.Contoso.net>", "Apim.Contoso.net"),
        ("<http://contoso.net:8443/a|contoso.net:8443/a>", "contoso.net:8443/a"),
        ("<mailto:ana@contoso.net|ana@contoso.net>", "ana@contoso.net"),
        ("<mailto:ana@contoso.net|Ana>", "ana@contoso.net"),
        ("<tel:+49301234|+49301234>", "+49301234"),
        ("see <https://a.io> and <https://b.io|b.io>.", "see https://a.io and b.io."),
        # A label must not hide where a link leads.
        ("<https://evil.net/x|contoso.net>", "https://evil.net/x"),
        ("<https://contoso.net|the ticket>", "https://contoso.net"),
        ("<https://contoso.net|>", "https://contoso.net"),
        # Typed with their own brackets.
        ("&lt;https://contoso.net&gt;", "<https://contoso.net>"),
        ("&lt;<https://contoso.net>&gt;", "<https://contoso.net>"),
        ("&amp;lt;", "&lt;"),
        ("a &copy; b", "a &copy; b"),
    ],
)  # fmt: skip
def test_links_and_entities_are_read_as_what_was_typed(sent: str, typed: str) -> None:
    assert as_typed(sent) == typed


@pytest.mark.parametrize(
    "sent",
    [
        "<@U024BE7LH>", "<@U024BE7LH|bob>", "<#C024BE7LR|general>", "<!subteam^S123|@approvers>",
        "<!here>", "<!date^1392734382^{date}|today>", "<b>", "a <https://x.y", "<ldap://a|b>", "<|>", "<>",
    ],
)  # fmt: skip
def test_everything_else_stays_as_it_is(sent: str) -> None:
    assert as_typed(sent) == sent


ADDRESSES = st.from_regex(r"[a-z0-9-]{1,10}\.(com|io)(/[a-zA-Z0-9?=&%._~-]{0,20})?", fullmatch=True)


@st.composite
def pieces(draw: st.DrawFn) -> tuple[str, str]:
    """A piece of a command: as it was typed, and as Slack sends it."""
    address = draw(ADDRESSES)
    shown = html.escape(address, quote=False)
    plain = draw(st.text(max_size=20))
    return draw(
        st.sampled_from(
            [
                (plain, html.escape(plain, quote=False)),
                (f"https://{address}", f"<https://{shown}>"),
                (f"https://{address}", f"<https://{shown}|https://{shown}>"),
                (address, f"<http://{shown}|{shown}>"),
                (f"ana@{address}", f"<mailto:ana@{shown}|ana@{shown}>"),
                ("<@U1|ana>", "<@U1|ana>"),
            ]
        )
    )


@given(st.lists(pieces(), max_size=8))
def test_any_command_is_read_as_it_was_typed(command: list[tuple[str, str]]) -> None:
    typed = "".join(piece for piece, _ in command)
    assert as_typed("".join(sent for _, sent in command)) == typed


@given(st.text(alphabet="<>|&;:/@ahtps.mlo ", max_size=60))
def test_no_text_breaks_it_and_links_leave_no_more_text_than_there_was(text: str) -> None:
    assert len(as_typed(text)) <= len(text)


def test_a_form_is_freed_of_links_and_of_nothing_else() -> None:
    option = {"type": "static_select", "selected_option": {"value": "<https://a.io|a.io>"}}
    values: dict[str, dict[str, Any]] = {
        "reason": {
            "reason": {"type": "plain_text_input", "value": "see <https://a.io|a.io> & <@U1>"}
        },
        "empty": {"empty": {"type": "plain_text_input", "value": None}},
        "place": {"place": option},
    }
    filled = filled_in(values)
    assert filled["reason"]["reason"]["value"] == "see a.io & <@U1>"
    assert filled["empty"] == values["empty"]
    assert filled["place"] == values["place"]
    assert without_links("a &amp; b") == "a &amp; b"
