"""Mentions and direct messages reach the app as Slack delivers them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from slack_bolt import App

from bot.sandbox.assembly import EVENTS, SCOPES
from tests.support.slack_bots import over_sockets, web_client
from tests.support.slack_workspace import (
    ANA,
    BOT,
    ELSEWHERE,
    JSON,
    OPS,
    SECRET,
    Person,
    app_config,
    running,
    workspace,
)
from tests.support.waiting import until

MANIFEST = Path(__file__).parents[4] / "docs" / "slack-app-manifest.yaml"


@pytest.fixture
def person() -> Iterator[Person]:
    with running(workspace(replace(app_config(), bot_events=EVENTS))) as somebody:
        yield somebody


@pytest.fixture
def heard(person: Person) -> Iterator[list[JSON]]:
    """The events that the app gets."""
    events: list[JSON] = []
    app = App(
        client=web_client(person.slack), signing_secret=SECRET, ignoring_self_events_enabled=False
    )

    def hear(event: JSON) -> None:
        events.append(event)

    app.event("app_mention")(hear)
    app.event("message")(hear)
    with over_sockets(app, person.slack):
        yield events


def says(person: Person, text: str, channel: str = OPS) -> None:
    assert person.post("message", channel=channel, user="ana", text=text)["ok"]


def test_the_composer_makes_a_mention_of_the_bots_name(person: Person, heard: list[JSON]) -> None:
    name = person.slack.app.name.lower().replace(" ", "-")
    says(person, f"@{name} status a&b with @ben")
    until(lambda: heard)
    (event,) = heard
    assert event["type"] == "app_mention"
    assert event["text"] == f"<@{BOT}> status a&amp;b with <@U0BEN>"


def test_a_channel_without_the_app_and_chatter_reach_it_not(
    person: Person, heard: list[JSON]
) -> None:
    says(person, f"<@{BOT}> hello", ELSEWHERE)
    says(person, "hello")
    says(person, f"<@{BOT}> at last")
    until(lambda: heard)
    assert [event["text"] for event in heard] == [f"<@{BOT}> at last"]


def test_a_direct_message_is_a_message_and_no_mention(person: Person, heard: list[JSON]) -> None:
    person.post("open-home", user="ana", tab="messages")
    says(person, f"<@{BOT}> hello", "@ana")
    until(lambda: heard)
    (event,) = heard
    assert (event["type"], event["channel_type"], event["user"]) == ("message", "im", ANA)


def test_the_app_gets_its_own_direct_messages_and_their_changes(
    person: Person, heard: list[JSON]
) -> None:
    client = web_client(person.slack)
    posted: Any = client.chat_postMessage(channel=ANA, text="first")
    client.chat_update(channel=posted["channel"], ts=posted["ts"], text="second")
    until(lambda: len(heard) == 2)
    new, changed = sorted(heard, key=lambda event: "subtype" in event)
    assert (new["bot_id"], new["text"]) == ("B0BOT", "first")
    assert changed["subtype"] == "message_changed"
    assert (changed["previous_message"]["text"], changed["message"]["text"]) == ("first", "second")


def test_the_demos_app_is_that_of_the_manifest() -> None:
    manifest = yaml.safe_load(MANIFEST.read_text())
    assert sorted(manifest["oauth_config"]["scopes"]["bot"]) == sorted(SCOPES)
    assert manifest["settings"]["event_subscriptions"]["bot_events"] == list(EVENTS)
    assert manifest["features"]["app_home"]["messages_tab_read_only_enabled"] is False
