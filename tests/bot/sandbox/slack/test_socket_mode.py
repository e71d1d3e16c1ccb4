"""A real Bolt app over Socket Mode."""

from collections.abc import Iterator
from typing import Any

import pytest
from slack_bolt import App

from tests.support.slack_bots import bolt_app, over_sockets, web_client
from tests.support.slack_workspace import OPS, Person, eventually, running, workspace

JSON = dict[str, Any]


@pytest.fixture
def person() -> Iterator[Person]:
    with running(workspace()) as person:
        yield person


@pytest.fixture
def app(person: Person) -> App:
    return bolt_app(person.slack)


def test_a_commands_text_answer_is_shown_to_its_author_only(person: Person, app: App) -> None:
    seen: list[JSON] = []

    @app.command("/gateway")
    def answer(ack: Any, command: JSON) -> None:
        seen.append(command)
        ack("hello")

    with over_sockets(app, person.slack):
        assert person.command("status edge-1") == {"ok": True}
    assert person.messages() == []
    [message] = person.messages(user="ana")
    assert message["text"] == "hello"
    assert message["is_ephemeral"] is True
    assert seen[0]["text"] == "status edge-1"
    assert seen[0]["channel_id"] == OPS
    assert seen[0]["channel_name"] == "gateway-ops"
    assert seen[0]["is_enterprise_install"] == "false"


def test_an_answer_in_the_channel_shows_the_command_line_too(person: Person, app: App) -> None:
    @app.command("/gateway")
    def answer(ack: Any) -> None:
        ack(response_type="in_channel", text="done")

    with over_sockets(app, person.slack):
        assert person.command("deploy edge-1") == {"ok": True}
    assert [m["text"] for m in person.messages()] == ["/gateway deploy edge-1", "done"]


def test_a_command_fails_at_once_when_the_app_is_not_connected(person: Person) -> None:
    assert person.command() == {"ok": False, "error": "dispatch_failed"}


def test_an_unknown_command_is_no_command(person: Person) -> None:
    reply = person.post("command", channel="gateway-ops", user="ana", command="/foo", text="")
    assert reply == {"ok": False, "error": "invalid_command"}


def test_a_click_reaches_the_app_with_the_message_and_updates_it(person: Person, app: App) -> None:
    bodies: list[JSON] = []

    @app.action("go")
    def go(ack: Any, body: JSON, client: Any) -> None:
        ack()
        bodies.append(body)
        client.chat_update(channel=OPS, ts=body["message"]["ts"], text="gone")

    button = {"type": "button", "action_id": "go", "value": "7", "text": _plain("Go")}
    posted = web_client(person.slack).chat_postMessage(
        channel=OPS, text="x", blocks=[{"type": "actions", "elements": [button]}]
    )
    with over_sockets(app, person.slack):
        assert person.click(posted["ts"], "go") == {"ok": True}
        eventually(lambda: person.messages()[0]["text"] == "gone")
    assert "blocks" not in person.messages()[0]
    [action] = bodies[0]["actions"]
    assert action["value"] == "7"
    assert action["block_id"] == posted["message"]["blocks"][0]["block_id"]
    assert bodies[0]["container"]["message_ts"] == posted["ts"]


def test_a_modal_opens_refuses_and_closes(person: Person, app: App) -> None:
    submitted: list[JSON] = []

    @app.command("/gateway")
    def open_modal(ack: Any, body: JSON, client: Any) -> None:
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=_modal())

    @app.view("deploy")
    def submit(ack: Any, view: JSON) -> None:
        submitted.append(view["state"]["values"])
        name = view["state"]["values"]["name"]["name"]["value"]
        if name == "bad":
            ack(response_action="errors", errors={"name": "No such gateway"})
        else:
            ack()

    with over_sockets(app, person.slack):
        person.command()
        [view] = eventually(person.stack)
        assert person.submit(view) == {
            "ok": True,
            "errors": {"name": "Please complete this required field."},
        }
        bad = {"name": {"name": {"type": "plain_text_input", "value": "bad"}}}
        assert person.submit(view, bad) == {"ok": True, "errors": {"name": "No such gateway"}}
        assert len(person.stack()) == 1
        good = {"name": {"name": {"type": "plain_text_input", "value": "good"}}}
        assert person.submit(view, good) == {"ok": True}
    assert person.stack() == []
    assert len(submitted) == 2


def _plain(text: str) -> JSON:
    return {"type": "plain_text", "text": text}


def _modal(**fields: Any) -> JSON:
    return {
        "type": "modal",
        "callback_id": "deploy",
        "title": _plain("Deploy"),
        "submit": _plain("Go"),
        "blocks": [
            {
                "type": "input",
                "block_id": "name",
                "label": _plain("Name"),
                "element": {"type": "plain_text_input", "action_id": "name"},
            }
        ],
        **fields,
    }
