"""The messages of approval windows."""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.sandbox.valkey import Valkey
from deploy.access import Approval, Environment, Standing
from deploy.actions import reader
from deploy.actions.action import State
from deploy.actions.audit import AuditLog
from deploy.actions.codec import Unreadable
from deploy.actions.connection import connect
from deploy.actions.owed import Owed
from deploy.actions.store import ActionStore
from deploy.actions.windows import MESSAGES, Window, Windows
from deploy.deadline import Deadline
from deploy.errors import InvalidInput, NotFound, Refused
from deploy.gateway import GatewayRef
from deploy.policy import People
from handlers.messages.engine import Engine
from handlers.messages.store import MessageStore
from handlers.messages.turn import Turns
from handlers.messages.window_messages import WindowMessages
from handlers.slack.payloads import Request
from handlers.verbs import window
from handlers.views import refusals, whoami
from handlers.views import window as window_view
from handlers.views.notes import notes
from tests.support.actions import CODEC, ask, by_approvers, confirm
from tests.support.authority import authority
from tests.support.clicks import clicked, heard
from tests.support.needs import needs
from tests.support.redis_servers import started
from tests.support.slack_workspace import ELSEWHERE, OPS, Person
from tests.support.waiting import until
from tests.support.windows import is_open, windows_of


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


REF = GatewayRef("west", "prod", "edge-1")
PRODUCTION = Environment("production", approval=Approval(People(("U0BEN",))))


def test_what_waits_for_a_confirmation_within_a_window_ends_with_it(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_OPEN_LIMIT", 1)
    client = connect(server.url)
    windows, store = windows_of(client), ActionStore(client, CODEC)
    window_of = {
        user: windows.open(REF, user, by="U2", reason="x", seconds=60, channel=OPS, request_id=user)
        for user in ("U1", "U3")
    }
    for name, user in (("AAAAAA", "U3"), ("BBBBBB", "U1"), ("CCCCCC", "U1")):
        ask(store, name, ref=REF, requester=user, policy=by_approvers(window=window_of[user].key))
    confirm(store, "BBBBBB")
    windows.close(window_of["U1"].key, by="U2")
    window.report_ended(windows, store)
    states = [found.state for name in ("AAAAAA", "BBBBBB", "CCCCCC") if (found := store.get(name))]
    assert states == [State.PENDING, State.APPROVED, State.EXPIRED]
    late = store.get("CCCCCC")
    assert late is not None
    (note,) = notes(late, store.events("CCCCCC")[-1:], "C1")
    for said in (refusals.refused("expired", late).text, note.text):
        assert "approval window is closed" in said


def test_a_window_is_closed_by_text(server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect(server.url)
    windows = windows_of(client)
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
    opened = windows.open(
        REF, "U0ANA", by="U0BEN", reason="x", seconds=60, channel="C1", request_id="r"
    )
    assert "closed" in close("U0BEN").text
    assert not is_open(windows, opened.key)


def test_a_window_is_opened_where_others_see_it() -> None:
    with pytest.raises(Refused, match="opened in a channel"):
        window.run(needs(window.Needs), Request("r", "window", "U2", "D1", gateway="edge-1"))


class Bed:
    """Approval windows of a bot whose messages are posted to a Slack."""

    def __init__(self, client: WebClient, redis: Any) -> None:
        self.redis = redis
        messages = MessageStore(redis, "bot-1")
        self.windows = Windows(
            redis, AuditLog(redis), lambda key: messages.place(MESSAGES, key) is not None
        )
        self.needs = needs(
            window.Needs,
            slack=client,
            caches={},
            windows=self.windows,
            store=ActionStore(redis, CODEC),
            authority=authority(PRODUCTION),
        )

    @contextmanager
    def posting(self, client: WebClient) -> Iterator[None]:
        """A bot that keeps the messages true."""
        families = [
            (WindowMessages(self.windows, lambda ref: PRODUCTION), Owed(self.redis, MESSAGES))
        ]
        turns = Turns(client, MessageStore(self.redis, "bot-1"))
        engine = Engine(turns, families, poll_seconds=0.1, sweep_seconds=0.5)
        engine.start()
        try:
            yield
        finally:
            engine.stop(Deadline.after(5))

    def opened(self) -> Window | None:
        return self.windows.find(REF, "U0ANA")

    def paid(self) -> None:
        """Wait until no message is behind."""
        until(lambda: not self.redis.zcard("gateway-bot:{messages}:owed"), "every message")


@pytest.fixture
def bed(server: Valkey, client: WebClient, monkeypatch: pytest.MonkeyPatch) -> Bed:
    """For an approver, in a channel."""
    monkeypatch.setattr(window, "find", lambda caches, name: REF)
    return Bed(client, connect(server.url))


def blocks(person: Person) -> list[str]:
    return [str(m["blocks"]) for m in person.messages() if "blocks" in m]


def open_one(bed: Bed, name: str, channel: str = OPS) -> None:
    options = {"for": "<@U0ANA>", "reason": name}
    window.run(bed.needs, Request(name, "window", "U0BEN", channel, "", "edge-1", options))


def test_a_window_that_another_takes_the_place_of_says_that_it_is_closed(
    bed: Bed, client: WebClient, person: Person
) -> None:
    with bed.posting(client):
        open_one(bed, "r1")
        open_one(bed, "r1")
        until(bed.opened, "the window")
        open_one(bed, "r2")
        until(bed.opened, "the other window")
        bed.paid()
    first, second = blocks(person)
    assert "Closed by <@U0BEN>" in first
    assert "may change this gateway alone" in second
    found = bed.opened()
    assert found is not None
    assert found.reason == "r2"


def test_what_is_refused_leaves_the_window_that_is_open(
    bed: Bed, client: WebClient, person: Person
) -> None:
    with bed.posting(client):
        open_one(bed, "r1")
        until(bed.opened, "the window")
        options = {"for": "<@U0ANA>", "reason": "longer", "minutes": 90}
        with pytest.raises(InvalidInput, match="1 to 60 minutes"):
            window.run(bed.needs, Request("r2", "window", "U0BEN", OPS, "", "edge-1", options))
        bed.paid()
    assert bed.opened() is not None
    assert "Closed" not in str(blocks(person))


def test_no_window_is_opened_for_somebody_who_may_request_nothing_there(bed: Bed) -> None:
    asks = dataclasses.replace(PRODUCTION, requesters=People(("U0BEN",)))
    given = dataclasses.replace(bed.needs, authority=authority(asks))
    options = {"for": "<@U0ANA>", "reason": "x"}
    with pytest.raises(Refused, match="not allowed to request changes in production"):
        window.run(given, Request("r1", "window", "U0BEN", OPS, "", "edge-1", options))
    assert bed.windows.latest(REF, "U0ANA") is None


def test_a_window_counts_only_once_its_message_is_shown(
    bed: Bed, client: WebClient, person: Person
) -> None:
    person.set_fault("api_error", "503")
    with bed.posting(client):
        open_one(bed, "r1")
        until(lambda: failing(bed), "a refusal")
        assert bed.opened() is None
        person.set_fault("api_error", "none")
        until(bed.opened, "the window")
    assert len(blocks(person)) == 1


def failing(bed: Bed) -> bool:
    keys = bed.redis.keys("gateway-bot:{messages}:record:*")
    return any(bed.redis.hget(key, "failing") for key in keys)


def test_a_window_whose_channel_takes_no_message_never_counts_and_its_approver_is_notified(
    bed: Bed, client: WebClient, person: Person
) -> None:
    with bed.posting(client):
        open_one(bed, "r1", ELSEWHERE)
        bed.paid()
    assert bed.opened() is None
    direct: Any = client.conversations_open(users="U0BEN")
    (words,) = client.conversations_history(channel=direct["channel"]["id"])["messages"]
    assert "is not open: Slack did not accept its message" in words["text"]


def test_a_window_that_was_over_before_it_was_shown_is_not_posted(
    bed: Bed, client: WebClient, person: Person
) -> None:
    open_one(bed, "r1")
    opened = bed.windows.latest(REF, "U0ANA")
    assert opened is not None
    bed.windows.close(opened.key, by="U0BEN")
    with bed.posting(client):
        bed.paid()
    assert blocks(person) == []


def test_the_end_of_a_window_is_shown_in_its_message_also_where_its_bot_died_at_it(
    bed: Bed, client: WebClient, person: Person
) -> None:
    with bed.posting(client):
        open_one(bed, "r1")
        opened = until(bed.opened, "the window")
        bed.paid()
        # As the script of the close alone, after which the bot dies.
        bed.redis.hset(f"gateway-bot:{{w:{opened.id}}}", mapping={"until": 1, "closed_by": "U0BEN"})
        until(lambda: "Closed by <@U0BEN>" in blocks(person)[0], "its end")


def test_the_button_closes_a_window_for_an_approver_and_for_nobody_else(
    bed: Bed, client: WebClient, person: Person
) -> None:
    with bed.posting(client):
        open_one(bed, "r1")
        opened = until(bed.opened, "the window")
        told = heard(lambda: window.close(bed.needs, clicked("U0ANA", opened.key)))
        assert "Only approvers of production may close an approval window there" in told
        assert is_open(bed.windows, opened.key)
        window.close(bed.needs, clicked("U0BEN", opened.key))
        assert not is_open(bed.windows, opened.key)
        until(lambda: "Closed by <@U0BEN>" in blocks(person)[0], "its end")


def test_a_window_that_cannot_be_read_is_not_said_to_be_closed(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(server.url)
    windows = windows_of(client)
    monkeypatch.setattr(window, "find", lambda caches, name: REF)
    opened = windows.open(
        REF, "U0ANA", by="U0BEN", reason="x", seconds=60, channel="C1", request_id="r"
    )
    client.hset(f"gateway-bot:{{w:{opened.id}}}", "format", 3)
    given = needs(window.Needs, caches={}, windows=windows)
    options = {"close": True, "for": "<@U0ANA>"}
    with pytest.raises(Unreadable, match="cannot be read by this version of the bot"):
        window.run(given, Request("r", "window", "U0BEN", "D1", "", "edge-1", options))


def test_a_window_says_what_it_does_not_cover(server: Valkey) -> None:
    client = connect(server.url)
    opened = windows_of(client).open(
        REF, "U1", by="U2", reason="x", seconds=60, channel="C1", request_id="r"
    )
    _, blocks = window_view.message(opened, PRODUCTION)
    member = whoami.powers([], [opened], "U1", Standing.MEMBER)
    for shown in (blocks, member.blocks):
        assert "except `/gateway delete` and `/gateway regenerate-key`" in json.dumps(shown)
