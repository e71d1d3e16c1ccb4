"""A real Bolt app over Socket Mode."""

from typing import Any

from slack_bolt import App

from tests.support.slack_blocks import actions, button, modal, typed
from tests.support.slack_bots import over_sockets, web_client
from tests.support.slack_workspace import OPS, Person
from tests.support.waiting import until

JSON = dict[str, Any]


def test_a_commands_text_answer_is_shown_to_its_author_only(person: Person, app: App) -> None:
    seen: list[JSON] = []

    @app.command("/gateway")
    def answer(ack: Any, command: JSON) -> None:
        seen.append(command)
        ack("hello")

    with over_sockets(app, person.slack):
        assert person.command("status edge-1") == {"ok": True}
    assert person.messages(user="dan") == []
    assert len(person.messages()) == 1
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

    posted = web_client(person.slack).chat_postMessage(
        channel=OPS, text="x", blocks=[actions(button(value="7"))]
    )
    with over_sockets(app, person.slack):
        assert person.click(posted["ts"], "go") == {"ok": True}
        until(lambda: person.messages()[0]["text"] == "gone")
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
        client.views_open(trigger_id=body["trigger_id"], view=modal())

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
        [view] = until(person.stack)
        assert person.submit(view) == {
            "ok": True,
            "errors": {"name": "Please complete this required field."},
        }
        assert person.submit(view, typed(name="bad")) == {
            "ok": True,
            "errors": {"name": "No such gateway"},
        }
        assert len(person.stack()) == 1
        assert person.submit(view, typed(name="good")) == {"ok": True}
    assert person.stack() == []
    assert len(submitted) == 2
