"""Response URLs: what a bot can do with them, and how long."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from slack_bolt import App

from tests.support.slack_blocks import actions, button, section
from tests.support.slack_bots import bolt_app, over_sockets, web_client
from tests.support.slack_workspace import ANA, OPS, Clock, Person, running, workspace

JSON = dict[str, Any]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def person(clock: Clock) -> Iterator[Person]:
    with running(workspace(clock=clock)) as person:
        yield person


@pytest.fixture
def urls(person: Person) -> Iterator[list[str]]:
    """The response URLs the app got, newest last."""
    app: App = bolt_app(person.slack)
    found: list[str] = []

    def note(ack: Any, body: JSON) -> None:
        found.append(body["response_url"])
        ack()

    app.command("/gateway")(note)
    app.action("go")(note)
    with over_sockets(app, person.slack):
        yield found


def respond(url: str, **body: Any) -> tuple[int, str]:
    """POST to a response URL."""
    reply = requests.post(url, json=body, timeout=30)
    return reply.status_code, reply.text


def test_a_response_is_ephemeral_unless_asked_otherwise(person: Person, urls: list[str]) -> None:
    person.command()
    assert respond(urls[0], text="for you") == (200, "ok")
    assert respond(urls[0], text="for all", response_type="in_channel") == (200, "ok")
    assert [m["text"] for m in person.messages(user="dan")] == ["for all"]
    assert [m["text"] for m in person.messages(user="ana")] == ["for you", "for all"]


def test_a_response_url_has_five_uses(person: Person, urls: list[str]) -> None:
    person.command()
    for _ in range(5):
        assert respond(urls[0], text="x")[0] == 200
    assert respond(urls[0], text="x") == (404, "used_url")


def test_a_response_url_lives_thirty_minutes(person: Person, urls: list[str], clock: Clock) -> None:
    person.command()
    clock.ahead += 29 * 60
    assert respond(urls[0], text="x")[0] == 200
    clock.ahead += 2 * 60
    assert respond(urls[0], text="x") == (404, "expired_url")


def test_the_original_is_replaced_and_deleted(person: Person, urls: list[str]) -> None:
    ts = web_client(person.slack).chat_postMessage(
        channel=OPS, text="choose", blocks=[actions(button())]
    )["ts"]
    person.click(ts, "go")
    assert respond(urls[0], replace_original=True, text="chosen", blocks=[section()])[0] == 200
    [message] = person.messages()
    assert (message["ts"], message["text"], message["blocks"][0]["type"]) == (
        ts,
        "chosen",
        "section",
    )
    assert "edited" not in message
    assert respond(urls[0], delete_original=True)[0] == 200
    assert person.messages(user="dan") == []
    assert respond(urls[0], delete_original=True) == (404, "message_not_found")


def test_an_ephemeral_can_be_replaced_but_stays_ephemeral(person: Person, urls: list[str]) -> None:
    ts = web_client(person.slack).chat_postEphemeral(
        channel=OPS, user=ANA, text="choose", blocks=[actions(button())]
    )["message_ts"]
    assert person.click(ts, "go") == {"ok": True}
    respond(urls[0], replace_original=True, text="chosen", response_type="in_channel")
    assert person.messages(user="dan") == []
    [message] = person.messages(user="ana")
    assert (message["ts"], message["text"]) == (ts, "chosen")


@pytest.mark.parametrize(
    ("body", "refused"),
    [({}, "no_text"), ({"blocks": [{"type": "nonsense"}]}, "invalid_blocks")],
)
def test_a_bad_response_is_refused(
    person: Person, urls: list[str], body: JSON, refused: str
) -> None:
    person.command()
    assert respond(urls[0], **body) == (400, refused)


def test_an_unknown_url_is_not_found(person: Person) -> None:
    assert respond(f"{person.slack.url}/commands/T0TEAM/1/nonsense", text="x")[0] == 404
