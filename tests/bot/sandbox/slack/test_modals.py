"""Views: triggers, hashes, the stack, what closing does, the Home tab."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox.slack import tokens
from tests.support.slack_blocks import (
    actions,
    button,
    modal,
    option,
    plain,
    section,
    text_input,
    typed,
)
from tests.support.slack_bots import bolt_app, over_sockets, web_client
from tests.support.slack_workspace import (
    ANA,
    Clock,
    Person,
    app_config,
    running,
    workspace,
)
from tests.support.waiting import until

JSON = dict[str, Any]
THREE_SECONDS = tokens.TRIGGER_SECONDS
"""As Slack has it; the other tests here are not so strict."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def person(clock: Clock) -> Iterator[Person]:
    with running(workspace(clock=clock)) as person:
        yield person


@pytest.fixture
def client(person: Person) -> WebClient:
    return web_client(person.slack)


@pytest.fixture
def trigger(person: Person) -> Iterator[Callable[[], str]]:
    """Mints trigger ids by typing the command."""
    app = bolt_app(person.slack)
    triggers: list[str] = []

    @app.command("/gateway")
    def note(ack: Any, body: JSON) -> None:
        triggers.append(body["trigger_id"])
        ack()

    def mint() -> str:
        assert person.command() == {"ok": True}
        return triggers[-1]

    with over_sockets(app, person.slack):
        yield mint


def refusal(call: Any, **kwargs: Any) -> Any:
    """The error's body."""
    with pytest.raises(SlackApiError) as caught:
        call(**kwargs)
    return caught.value.response.data


def test_a_trigger_works_once(client: WebClient, trigger: Callable[[], str]) -> None:
    used = trigger()
    view = client.views_open(trigger_id=used, view=modal())["view"]
    assert view["root_view_id"] == view["id"]
    assert view["state"] == {"values": {}}
    assert refusal(client.views_open, trigger_id=used, view=modal())["error"] == (
        "exchanged_trigger_id"
    )
    assert refusal(client.views_open, trigger_id="1.2.3", view=modal())["error"] == (
        "invalid_trigger_id"
    )


def test_a_trigger_lives_three_seconds(
    client: WebClient, trigger: Callable[[], str], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = trigger()
    monkeypatch.setattr(tokens, "TRIGGER_SECONDS", THREE_SECONDS)
    clock.ahead += 3.1
    assert refusal(client.views_open, trigger_id=late, view=modal())["error"] == (
        "expired_trigger_id"
    )


def test_a_bad_view_is_refused_with_a_pointer_and_leaves_the_trigger(
    client: WebClient, trigger: Callable[[], str]
) -> None:
    fresh = trigger()
    bad = modal(title=plain("x" * 25))
    body = refusal(client.views_open, trigger_id=fresh, view=bad)
    assert body["error"] == "invalid_arguments"
    [message] = body["response_metadata"]["messages"]
    assert message.startswith("[ERROR]")
    assert message.endswith("[json-pointer:/view/title/text]")
    assert client.views_open(trigger_id=fresh, view=modal())["ok"]


def test_an_update_with_an_old_hash_conflicts(
    client: WebClient, trigger: Callable[[], str]
) -> None:
    view = client.views_open(trigger_id=trigger(), view=modal())["view"]
    fresh = client.views_update(view_id=view["id"], hash=view["hash"], view=modal())["view"]
    assert fresh["id"] == view["id"]
    assert fresh["hash"] != view["hash"]
    stale = refusal(client.views_update, view_id=view["id"], hash=view["hash"], view=modal())
    assert stale["error"] == "hash_conflict"
    assert refusal(client.views_update, view_id="V9", view=modal())["error"] == "not_found"


def test_an_external_id_names_one_open_view(client: WebClient, trigger: Callable[[], str]) -> None:
    client.views_open(trigger_id=trigger(), view=modal(external_id="mine"))
    assert client.views_update(external_id="mine", view=modal())["view"]["external_id"] == "mine"
    again = refusal(client.views_push, trigger_id=trigger(), view=modal(external_id="mine"))
    assert again["error"] == "duplicate_external_id"


def test_a_view_above_250_kb_is_too_large(client: WebClient, trigger: Callable[[], str]) -> None:
    blocks = [section("é" * 3000) for _ in range(60)]
    body = refusal(client.views_open, trigger_id=trigger(), view=modal(*blocks))
    assert body["error"] == "view_too_large"


def test_the_stack_holds_three_views(
    person: Person, client: WebClient, trigger: Callable[[], str]
) -> None:
    assert refusal(client.views_push, trigger_id=trigger(), view=modal())["error"] == "not_found"
    root = client.views_open(trigger_id=trigger(), view=modal())["view"]
    middle = client.views_push(trigger_id=trigger(), view=modal())["view"]
    top = client.views_push(trigger_id=trigger(), view=modal())["view"]
    assert top["previous_view_id"] == middle["id"]
    assert top["root_view_id"] == root["id"]
    assert refusal(client.views_push, trigger_id=trigger(), view=modal())["error"] == (
        "push_limit_reached"
    )
    assert [v["id"] for v in person.stack()] == [root["id"], middle["id"], top["id"]]
    assert person.submit(middle, typed(name="x")) == {"ok": False, "error": "view_not_found"}
    close = {"user": "ana", "view_id": top["id"], "type": "close"}
    assert person.post("view", **close) == {"ok": True}
    assert [v["id"] for v in person.stack()] == [root["id"], middle["id"]]


def test_an_update_keeps_what_was_typed_where_the_input_stays(
    person: Person, app: App, client: WebClient
) -> None:
    @app.command("/gateway")
    def command(ack: Any, body: JSON, client: WebClient) -> None:
        ack()
        client.views_open(
            trigger_id=body["trigger_id"],
            view=modal(text_input(), actions(button("more"), block_id="buttons")),
        )

    @app.action("more")
    def more(ack: Any, body: JSON, client: WebClient) -> None:
        ack()
        client.views_update(
            view_id=body["view"]["id"],
            hash=body["view"]["hash"],
            view=modal(text_input(), text_input("reason")),
        )

    with over_sockets(app, person.slack):
        person.command()
        [view] = until(person.stack)
        reply = person.post(
            "interact",
            user="ana",
            view_id=view["id"],
            action={"action_id": "more"},
            state={"values": typed(name="edge-1")},
        )
        assert reply == {"ok": True}
        [shown] = until(lambda: [v for v in person.stack() if v["hash"] != view["hash"]])
    assert shown["state"]["values"]["name"]["name"]["value"] == "edge-1"


@pytest.mark.parametrize(
    ("answer", "outcome", "left"),
    [
        ({}, {"ok": True}, []),
        ({"response_action": "clear"}, {"ok": True}, []),
        ({"response_action": "update", "view": modal(callback_id="b")}, {"ok": True}, ["b"]),
        (
            {"response_action": "push", "view": modal(callback_id="b")},
            {"ok": True},
            ["deploy", "b"],
        ),
        (
            {"response_action": "errors", "errors": {"name": "no"}},
            {"ok": True, "errors": {"name": "no"}},
            ["deploy"],
        ),
        (
            {"response_action": "errors", "errors": {"elsewhere": "no"}},
            {"ok": False, "error": "invalid_view_response"},
            ["deploy"],
        ),
    ],
    ids=["nothing", "clear", "update", "push", "errors", "errors of no input"],
)
def test_the_answer_to_a_submission_decides_what_shows(
    person: Person, app: App, answer: JSON, outcome: JSON, left: list[str]
) -> None:
    @app.command("/gateway")
    def command(ack: Any, body: JSON, client: WebClient) -> None:
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=modal())

    @app.view("deploy")
    def submit(ack: Any) -> None:
        ack(**answer)

    with over_sockets(app, person.slack):
        person.command()
        [view] = until(person.stack)
        assert person.submit(view, typed(name="x")) == outcome
    assert [v["callback_id"] for v in person.stack()] == left


@pytest.mark.parametrize("cleared", [False, True])
def test_closing_is_told_when_asked_for(person: Person, app: App, cleared: bool) -> None:
    closed: list[JSON] = []

    @app.command("/gateway")
    def command(ack: Any, body: JSON, client: WebClient) -> None:
        ack()
        view = modal(notify_on_close=True, private_metadata="42")
        client.views_open(trigger_id=body["trigger_id"], view=view)

    @app.view_closed("deploy")
    def close(ack: Any, body: JSON) -> None:
        ack()
        closed.append(body)

    with over_sockets(app, person.slack):
        person.command()
        [view] = until(person.stack)
        person.post("view", user="ana", view_id=view["id"], type="close", cleared=cleared)
        [body] = until(lambda: closed)
    assert body["is_cleared"] is cleared
    assert body["view"]["private_metadata"] == "42"
    assert person.stack() == []


@pytest.mark.parametrize(
    ("element", "value", "complaint"),
    [
        ({"type": "plain_text_input", "min_length": 3}, "ab", "at least 3"),
        ({"type": "plain_text_input", "max_length": 3}, "abcd", "no more than 3"),
        ({"type": "number_input", "is_decimal_allowed": False}, "1.5", "whole number"),
        ({"type": "number_input", "is_decimal_allowed": True, "max_value": "9"}, "9.5", "most 9"),
        ({"type": "number_input", "is_decimal_allowed": True}, "x", "a number"),
        ({"type": "email_text_input"}, "x", "email"),
        ({"type": "url_text_input"}, "x", "URL"),
    ],
)
def test_the_client_checks_inputs_before_it_sends(
    person: Person,
    client: WebClient,
    trigger: Callable[[], str],
    element: JSON,
    value: str,
    complaint: str,
) -> None:
    asked = text_input(element={**element, "action_id": "name"})
    view = client.views_open(trigger_id=trigger(), view=modal(asked))["view"]
    reply = person.submit(view, {"name": {"name": {"value": value}}})
    assert complaint in reply["errors"]["name"]


def test_a_choice_that_is_not_offered_is_refused(
    person: Person, client: WebClient, trigger: Callable[[], str]
) -> None:
    select = {"type": "static_select", "action_id": "name", "options": [option("a")]}
    view = client.views_open(trigger_id=trigger(), view=modal(text_input(element=select)))["view"]
    chosen = {"name": {"name": {"selected_option": {"value": "b"}}}}
    assert person.submit(view, chosen)["error"] == "invalid_option"


def test_home_is_published_and_opened(person: Person, app: App, client: WebClient) -> None:
    opened: list[JSON] = []

    @app.event("app_home_opened")
    def home(event: JSON, client: WebClient) -> None:
        opened.append(event)
        client.views_publish(user_id=event["user"], view={"type": "home", "blocks": [section()]})

    with over_sockets(app, person.slack):
        assert person.post("open-home", user="ana") == {"ok": True}
        shown = until(lambda: person.get("views/ana")["home"])
        assert shown["blocks"][0]["text"]["text"] == "x"
        assert "view" not in opened[0]
        person.post("open-home", user="ana")
        until(lambda: len(opened) == 2)
    assert opened[1]["view"]["id"] == shown["id"]
    assert opened[1]["tab"] == "home"
    view: JSON = {"type": "home", "blocks": []}
    conflict = refusal(client.views_publish, user_id=ANA, view=view, hash="1.old")
    assert conflict["error"] == "hash_conflict"


def test_an_app_without_a_home_tab_cannot_publish_one() -> None:
    with running(workspace(app_config(home=False))) as person:
        body = refusal(
            web_client(person.slack).views_publish, user_id=ANA, view={"type": "home", "blocks": []}
        )
    assert body["error"] == "not_enabled"


FILE = {
    "type": "input",
    "block_id": "spec",
    "label": plain("Spec"),
    "element": {
        "type": "file_input", "action_id": "spec", "filetypes": ["yaml"], "max_files": 1,
    },
}  # fmt: skip


def test_a_file_of_a_form_comes_as_an_object_whose_content_takes_the_bots_token(
    person: Person, client: WebClient
) -> None:
    app = bolt_app(person.slack)
    sent: list[JSON] = []

    @app.command("/gateway")
    def command(ack: Any, body: JSON, client: WebClient) -> None:
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=modal(FILE))

    @app.view("deploy")
    def submit(ack: Any, body: JSON) -> None:
        sent.append(body["view"]["state"]["values"]["spec"]["spec"])
        ack()

    with over_sockets(app, person.slack):
        person.command()
        [view] = until(person.stack)

        def submitted(*names: str) -> JSON:
            ids = [
                person.post("upload", user=ANA, filename=name, content="YTogMQ==")["file"]["id"]
                for name in names
            ]
            return person.submit(view, {"spec": {"spec": {"files": ids}}})

        assert "required" in submitted()["errors"]["spec"]
        assert "types" in submitted("a.exe")["errors"]["spec"]
        assert "no more than 1" in submitted("a.yaml", "b.yaml")["errors"]["spec"]
        assert submitted("a.yaml") == {"ok": True}
    [value] = sent
    [file] = value["files"]
    assert (file["name"], file["size"], file["user"]) == ("a.yaml", 4, ANA)
    url = file["url_private"]
    token = {"Authorization": f"Bearer {client.token}"}
    assert requests.get(url, headers=token, timeout=30).text == "a: 1"
    assert requests.get(url, timeout=30, allow_redirects=False).status_code == 302


def test_a_file_input_takes_the_scope_to_read_files(clock: Clock) -> None:
    config = app_config(scopes=["commands", "chat:write"])
    with running(workspace(config, clock=clock)) as person:
        body = refusal(web_client(person.slack).views_open, trigger_id="1", view=modal(FILE))
    assert body["needed"] == "files:read"
