"""The control API: state, live events, the log, faults, reset and snapshots."""

import json
from collections.abc import Iterator
from typing import Any

import requests
from slack_bolt import App
from slack_sdk import WebClient

from bot.sandbox.faults import FaultBoard, Switch
from tests.support.slack_blocks import modal
from tests.support.slack_bots import over_sockets, web_client
from tests.support.slack_workspace import (
    ANA,
    APP_TOKEN,
    BEN,
    BOT_TOKEN,
    OPS,
    Person,
    running,
    workspace,
)
from tests.support.waiting import until

JSON = dict[str, Any]


def listen(person: Person, user: str) -> Iterator[JSON]:
    """Live events for a user, after the stream is known to be open."""
    stream = requests.get(
        f"{person.slack.url}/_control/events", params={"user": user}, stream=True, timeout=60
    )
    lines = stream.iter_lines(chunk_size=1)
    assert next(lines) == b": connected"
    return (json.loads(line[6:]) for line in lines if line.startswith(b"data: "))


def test_the_state_names_people_channels_and_commands(person: Person) -> None:
    state = person.get("state")
    assert state["team"]["name"] == "Contoso"
    [ben] = [u for u in state["users"] if u["name"] == "ben"]
    assert ben["groups"] == ["gateway-approvers"]
    assert [c["name"] for c in state["channels"]] == ["gateway-ops", "secret", "elsewhere"]
    assert state["commands"][0]["command"] == "/gateway"
    assert state["transport"] == {"mode": "socket", "connections": 0}


def test_listeners_hear_what_concerns_them(person: Person, client: WebClient) -> None:
    ana, ben = listen(person, "ana"), listen(person, BEN)
    client.chat_postEphemeral(channel=OPS, user=ANA, text="psst")
    client.chat_postMessage(channel="G0SEC", text="private")
    posted = client.chat_postMessage(channel=OPS, text="all")
    client.chat_update(channel=OPS, ts=posted["ts"], text="all!")
    client.chat_delete(channel=OPS, ts=posted["ts"])
    heard = [next(ana) for _ in range(4)]
    assert [e["type"] for e in heard] == [
        "message",
        "message",
        "message_changed",
        "message_deleted",
    ]
    assert heard[0]["message"]["is_ephemeral"] is True
    assert heard[1]["message"]["text"] == "all"
    assert [next(ben)["message"]["text"] for _ in range(2)] == ["private", "all"]


def test_a_failed_command_is_a_notice_to_its_author(person: Person) -> None:
    events = listen(person, "ana")
    person.command()
    assert next(events) == {
        "type": "notice",
        "channel": OPS,
        "user": ANA,
        "text": '/gateway failed with the error "dispatch_failed"',
        "thread_ts": None,
    }


def test_a_modal_is_announced_to_its_person(person: Person, app: App) -> None:
    @app.command("/gateway")
    def command(ack: Any, body: JSON, client: WebClient) -> None:
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=modal())

    with over_sockets(app, person.slack):
        events = listen(person, "ana")
        person.command()
        assert next(e for e in events if e["type"] == "views") == {"type": "views", "user": ANA}


def test_mentions_are_escaped_for_the_app(person: Person, app: App) -> None:
    texts: list[str] = []

    @app.command("/gateway")
    def command(ack: Any, command: JSON) -> None:
        texts.append(command["text"])
        ack()

    with over_sockets(app, person.slack):
        person.command("tell @ben in #elsewhere and a@b.c @nobody")
    assert texts == ["tell <@U0BEN|ben> in <#C0ELSE|elsewhere> and a@b.c @nobody"]


def test_a_mention_of_the_bot_reaches_it(person: Person, app: App) -> None:
    heard: list[str] = []

    @app.event("app_mention")
    def mention(event: JSON) -> None:
        heard.append(event["text"])

    with over_sockets(app, person.slack):
        person.post("message", channel=OPS, user="ana", text="<@U0BOT> hello")
        until(lambda: heard == ["<@U0BOT> hello"])


def test_the_log_keeps_order_and_hides_tokens(person: Person, client: WebClient) -> None:
    client.auth_test()
    client.chat_postMessage(channel=OPS, text=f"oops {BOT_TOKEN} {APP_TOKEN}")
    entries = person.get("log")["entries"]
    assert [e["method"] for e in entries] == ["auth.test", "chat.postMessage"]
    assert [e["n"] for e in entries] == [1, 2]
    page = requests.get(f"{person.slack.url}/_control/log?format=html", timeout=30)
    assert page.headers["Content-Type"].startswith("text/html")
    for text in (json.dumps(entries), page.text):
        assert BOT_TOKEN not in text
        assert APP_TOKEN not in text
        assert "chat.postMessage" in text


def test_the_boards_of_other_parts_are_shown_and_set() -> None:
    azure = FaultBoard("azure", [Switch("dead", "Dead", "toggle", False)])
    with running(workspace(boards=[azure])) as person:
        assert [b["part"] for b in person.get("faults")["boards"]] == ["slack", "azure"]
        assert person.post("faults", part="azure", name="dead", value=True) == {"ok": True}
        assert azure.get("dead") is True
        assert person.post("faults", part="azure", name="dead", value=3)["ok"] is False
        assert person.post("faults", part="moon", name="dead", value=True)["ok"] is False


def test_a_reset_brings_the_start_back(person: Person, client: WebClient) -> None:
    client.chat_postMessage(channel=OPS, text="x")
    client.conversations_open(users=ANA)
    person.set_fault("burst_429", True)
    assert person.post("reset") == {"ok": True}
    assert person.messages() == []
    assert len(person.get("state")["channels"]) == 3
    assert person.slack.faults.get("burst_429") is False


def test_a_snapshot_keeps_everything_but_ephemerals(person: Person, client: WebClient) -> None:
    client.chat_postMessage(channel=OPS, text="kept")
    client.chat_postEphemeral(channel=OPS, user=ANA, text="lost")
    client.chat_postMessage(channel=ANA, text="direct")
    client.files_upload_v2(channel=OPS, filename="a.txt", content="abc")
    client.views_publish(user_id=ANA, view={"type": "home", "blocks": []})
    person.post("usergroup", usergroup="S0APP", users=["dan"])
    saved = json.loads(json.dumps(person.call(person.slack.snapshot)))
    fresh = workspace()
    with running(fresh) as later:
        later.call(lambda: fresh.restore(saved))
        assert [m["text"] for m in later.messages(user="ana")] == ["kept", ""]
        assert [m["text"] for m in later.messages("@ana")] == ["direct"]
        assert later.raw(f"files/{later.messages()[1]['files'][0]['id']}") == b"abc"
        assert later.get("views/ana")["home"]["type"] == "home"
        assert later.get("state")["usergroups"][0]["users"] == ["U0DAN"]
        again = web_client(fresh).chat_update(
            channel=OPS, ts=later.messages()[0]["ts"], text="changed"
        )
        assert again["ok"]


def test_changes_are_reported_for_saving() -> None:
    changes: list[int] = []
    with running(workspace(changed=lambda: changes.append(1))) as person:
        web_client(person.slack).chat_postMessage(channel=OPS, text="x")
    assert changes


def test_a_page_of_another_site_is_refused(person: Person) -> None:
    url = f"{person.slack.url}/_control/reset"
    reply = requests.post(url, json={}, headers={"Origin": "https://evil.example"}, timeout=30)
    assert reply.status_code == 403
    own = requests.post(url, json={}, headers={"Origin": person.slack.url}, timeout=30)
    assert own.json() == {"ok": True}


def test_files_outside_the_page_are_not_served(person: Person) -> None:
    for path in ("/static/../workspace.py", "/static/%2e%2e/workspace.py", "/static/none.js"):
        assert requests.get(f"{person.slack.url}{path}", timeout=30).status_code == 404


def test_nonsense_gets_an_answer(person: Person) -> None:
    assert person.post("command", channel="nowhere", user="ana")["error"] == "channel_not_found"
    assert person.post("command", channel=OPS, user="nobody")["error"] == "user_not_found"
    assert person.post("interact", channel=OPS, user="ana", messageTs="1.1", action={})[
        "error"
    ] == ("message_not_found")
    reply = requests.post(f"{person.slack.url}/_control/command", data=b"[", timeout=30)
    assert reply.status_code == 400
