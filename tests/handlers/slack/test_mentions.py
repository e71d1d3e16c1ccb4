"""What is said to the bot is told from everything else that happens in a conversation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.slack.mentions import Said, said_to_bot

BOT = "U0BOT"


def body(text: str, kind: str = "app_mention", **event: Any) -> dict[str, Any]:
    person = {"type": kind, "user": "U0ANA", "channel": "C0OPS", "ts": "5.1", "text": text}
    return {
        "type": "event_callback",
        "authorizations": [{"team_id": "T0TEAM", "user_id": BOT, "is_bot": True}],
        "event": {**person, **event},
    }


def in_person(text: str, **event: Any) -> dict[str, Any]:
    return body(text, "message", channel="D0ANA", channel_type="im", **event)


def test_a_mention_is_a_command_for_the_thread_below_it() -> None:
    assert said_to_bot(body("<@U0BOT> status edge-1")) == Said(
        "said:C0OPS:5.1", "U0ANA", "C0OPS", "5.1", "status edge-1", addressed=True
    )


def test_in_a_thread_it_is_answered_in_that_thread() -> None:
    found = said_to_bot(body("<@U0BOT> status", thread_ts="4.0"))
    assert found is not None
    assert found.thread == "4.0"


def test_a_direct_message_needs_no_mention_and_no_thread() -> None:
    for text in ("status edge-1", "<@U0BOT> status edge-1", "<@U0BOT|gateway-bot>: status edge-1"):
        found = said_to_bot(in_person(text))
        assert found == Said("said:D0ANA:5.1", "U0ANA", "D0ANA", "", "status edge-1", True)


def test_in_the_middle_of_a_sentence_the_bot_may_only_be_spoken_of() -> None:
    found = said_to_bot(body("ask <@U0BOT> status edge-1"))
    assert found is not None
    assert (found.text, found.addressed) == ("status edge-1", False)


@pytest.mark.parametrize(
    "event",
    [
        {"bot_id": "B0OTHER"},
        {"user": BOT},
        {"user": ""},
        {"edited": {"user": "U0ANA", "ts": "6.0"}},
        {"subtype": "message_changed"},
        {"subtype": "bot_message"},
        {"hidden": True},
    ],
)
def test_bots_edits_and_the_bot_itself_are_not_answered(event: dict[str, Any]) -> None:
    assert said_to_bot(body("<@U0BOT> status", **event)) is None
    assert said_to_bot(in_person("status", **event)) is None


@pytest.mark.parametrize("subtype", ["file_share", "thread_broadcast"])
def test_a_message_with_a_file_or_shown_in_its_channel_too_is_not_left_without_an_answer(
    subtype: str,
) -> None:
    for found in (
        said_to_bot(in_person("status", subtype=subtype)),
        said_to_bot(body("<@U0BOT> status", subtype=subtype)),
    ):
        assert found is not None
        assert found.text == "status"


@pytest.mark.parametrize("kind", ["channel", "group", "mpim"])
def test_what_is_said_in_a_channel_without_a_mention_is_not_for_the_bot(kind: str) -> None:
    assert said_to_bot(body("status edge-1", "message", channel_type=kind)) is None
    assert said_to_bot(body("<@U0BEN> status edge-1")) is None


def test_it_is_read_as_it_was_typed() -> None:
    said = {
        "<@U0BOT> `status edge-1`": "status edge-1",
        "<@U0BOT> status --filter a&amp;b": "status --filter a&b",
        "<@U0BOT>, window edge-1 --for <@U0ANA>": "window edge-1 --for <@U0ANA>",
        "<@U0BOT>": "",
    }
    for text, meant in said.items():
        found = said_to_bot(body(text))
        assert found is not None
        assert found.text == meant


@given(st.text(max_size=80), st.sampled_from(["app_mention", "message"]))
def test_whatever_is_said_is_read_without_an_error(text: str, kind: str) -> None:
    said_to_bot(body(text, kind))
    said_to_bot(in_person(text))
