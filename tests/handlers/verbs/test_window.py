"""The messages of approval windows."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from bot.sandbox.valkey import Valkey
from deploy.access import Approval, Environment
from deploy.actions.action import State
from deploy.actions.audit import AuditLog
from deploy.actions.codec import Unreadable
from deploy.actions.connection import connect
from deploy.actions.store import ActionStore
from deploy.actions.windows import Windows
from deploy.errors import NotFound, Refused, Unavailable
from deploy.gateway import GatewayRef
from deploy.policy import People
from handlers.slack.payloads import Click, Request
from handlers.verbs import window
from handlers.views import action
from handlers.views.notes import notes
from tests.support.actions import CODEC, ask, by_approvers, confirm
from tests.support.authority import authority
from tests.support.needs import needs
from tests.support.redis_servers import started


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


REF = GatewayRef("west", "prod", "edge-1")
PRODUCTION = Environment("production", approval=Approval(People(("U0BEN",))))


def test_what_waits_for_a_confirmation_within_a_window_ends_with_it(server: Valkey) -> None:
    client = connect(server.url)
    windows, store = Windows(client, AuditLog(client)), ActionStore(client, CODEC)
    window_of = {
        user: windows.open(REF, user, by="U2", reason="x", seconds=60, request_id=user)
        for user in ("U1", "U3")
    }
    for name, user in (("AAAAAA", "U1"), ("BBBBBB", "U1"), ("CCCCCC", "U3")):
        ask(store, name, ref=REF, requester=user, policy=by_approvers(window=window_of[user].key))
    confirm(store, "BBBBBB")
    windows.close(window_of["U1"].key, by="U2")
    slack: Any = SimpleNamespace()
    window.report_ended(slack, windows, store)
    states = [found.state for name in ("AAAAAA", "BBBBBB", "CCCCCC") if (found := store.get(name))]
    assert states == [State.EXPIRED, State.APPROVED, State.PENDING]
    late = store.get("AAAAAA")
    assert late is not None
    (note,) = notes(late, store.events("AAAAAA")[-1:])
    for said in (action.refused("expired", late).text, note.text):
        assert "approval window is closed" in said


def test_a_window_is_closed_by_text(server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect(server.url)
    windows = Windows(client, AuditLog(client))
    monkeypatch.setattr(window, "find", lambda caches, name: REF)
    given = needs(
        window.Needs,
        caches={},
        windows=windows,
        store=ActionStore(client, CODEC),
    )

    def close(by: str) -> Any:
        options = {"close": True, "for": "<@U0ANA>"}
        return window.run(given, Request("r", "window", by, "D1", "", "edge-1", options))

    with pytest.raises(NotFound, match="No window is open for that person on west/prod/edge-1"):
        close("U0BEN")
    opened = windows.open(REF, "U0ANA", by="U0BEN", reason="x", seconds=60, request_id="r")
    assert "closed" in close("U0BEN").text
    assert not windows.is_open(opened.key)


def test_a_window_is_opened_where_others_see_it() -> None:
    with pytest.raises(Refused, match="opened in a channel"):
        window.run(needs(window.Needs), Request("r", "window", "U2", "D1", gateway="edge-1"))


class Channel:
    """As much of Slack as a window's message needs."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.away = False

    def chat_postMessage(self, **message: Any) -> dict[str, str]:  # noqa: N802  # as the SDK has it
        if self.away:
            raise ConnectionResetError
        ts = f"{len(self.texts)}.0"
        self.texts[ts] = str(message["blocks"])
        return {"channel": "C1", "ts": ts}

    def chat_update(self, *, ts: str, **message: Any) -> None:
        self.texts[ts] = str(message["blocks"])


@pytest.fixture
def given(server: Valkey, monkeypatch: pytest.MonkeyPatch) -> Any:
    """For an approver, in a channel."""
    client = connect(server.url)
    monkeypatch.setattr(window, "find", lambda caches, name: REF)
    return needs(
        window.Needs,
        slack=Channel(),
        caches={},
        windows=Windows(client, AuditLog(client)),
        store=ActionStore(client, CODEC),
        authority=authority(PRODUCTION),
    )


def open_one(given: Any, name: str) -> None:
    options = {"for": "<@U0ANA>", "reason": name}
    window.run(given, Request(name, "window", "U0BEN", "C1", "", "edge-1", options))


def test_a_window_that_another_takes_the_place_of_says_that_it_is_closed(given: Any) -> None:
    open_one(given, "r1")
    open_one(given, "r1")
    open_one(given, "r2")
    first, second = given.slack.texts.values()
    assert "Closed by <@U0BEN>" in first
    assert "may change this gateway alone" in second
    found = given.windows.find(REF, "U0ANA")
    assert found is not None
    assert found.reason == "r2"


def test_a_window_that_the_channel_cannot_be_told_of_is_closed_again(given: Any) -> None:
    given.slack.away = True
    with pytest.raises(Unavailable, match="The window is closed again"):
        open_one(given, "r1")
    assert given.windows.find(REF, "U0ANA") is None
    given.slack.away = False
    open_one(given, "r2")
    assert given.windows.find(REF, "U0ANA") is not None


@pytest.mark.parametrize("error", ["is_archived", "ratelimited"])
def test_a_message_that_cannot_be_changed_keeps_no_other_from_saying_that_it_is_over(
    server: Valkey, error: str
) -> None:
    client = connect(server.url)
    windows = Windows(client, AuditLog(client))
    made = [
        windows.open(
            GatewayRef("west", "prod", name), "U1", by="U2", reason="x", seconds=60, request_id=name
        )
        for name in ("edge-1", "edge-2", "edge-3")
    ]
    for number, one in enumerate(made):
        windows.placed(one, {"channel": f"C{number}", "ts": "1.0"})
        windows.close(one.key, by="U2")
    told: list[str] = []

    def update(*, channel: str, **message: Any) -> None:
        if channel != "C1":
            told.append(channel)
            return
        raise SlackApiError(error, {"error": error})

    slack: Any = SimpleNamespace(chat_update=update)
    window.report_ended(slack, windows, ActionStore(client, CODEC))
    assert sorted(told) == ["C0", "C2"]
    left = client.zcard("gateway-bot:{windows}")
    assert left == (0 if error == "is_archived" else 1), "only what may yet be told is kept"


def test_the_button_closes_a_window_for_an_approver_and_for_nobody_else(given: Any) -> None:
    said: list[str] = []
    given.slack.chat_postEphemeral = lambda **message: said.append(str(message["blocks"]))
    open_one(given, "r1")
    (opened,) = given.windows.open_for("U0ANA")
    window.close(given, Click("U0ANA", "C1", "t", "", opened.key, {}))
    assert "Only approvers of production may close an approval window there" in said.pop()
    assert given.windows.is_open(opened.key)
    window.close(given, Click("U0BEN", "C1", "t", "", opened.key, {}))
    assert not given.windows.is_open(opened.key)


def test_a_window_that_cannot_be_read_is_not_said_to_be_closed(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(server.url)
    windows = Windows(client, AuditLog(client))
    monkeypatch.setattr(window, "find", lambda caches, name: REF)
    opened = windows.open(REF, "U0ANA", by="U0BEN", reason="x", seconds=60, request_id="r")
    client.hset(f"gateway-bot:{{w:{opened.id}}}", "format", 2)
    given = needs(window.Needs, caches={}, windows=windows)
    options = {"close": True, "for": "<@U0ANA>"}
    with pytest.raises(Unreadable, match="cannot be read by this version of the bot"):
        window.run(given, Request("r", "window", "U0BEN", "D1", "", "edge-1", options))
