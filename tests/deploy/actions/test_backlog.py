"""What waits in Redis is read as it is, and nothing of it is changed."""

import time
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.action import State
from deploy.actions.audit import AuditLog
from deploy.actions.audit_pump import AuditPump
from deploy.actions.backlog import BacklogReader
from deploy.actions.connection import connect
from deploy.actions.inbox import KEPT_MS, Inbox
from deploy.actions.owed import Owed, tagged
from deploy.actions.pauses import Pause
from deploy.actions.replicas import Replicas
from deploy.actions.store import ActionStore
from tests.support.actions import CODEC, ask, confirm


class Clock:
    """The machine's, some seconds on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def dumped(client: Any) -> dict[str, Any]:
    """Everything that Redis holds."""
    digest = "return redis.sha1hex(redis.call('DUMP', KEYS[1]))"
    return {key: client.eval(digest, 1, key) for key in client.scan_iter()}


def test_the_oldest_request_and_message_are_told_with_their_age(server: Valkey) -> None:
    client, clock = connect(server.url), Clock()
    inbox, owed = Inbox(client), Owed(client, "action")
    reader = BacklogReader(client, ("chat.update",), clock=clock)
    assert reader.read().inbox.depth == reader.read().messages.depth == 0
    inbox.accept("one", {"verb": "status"})
    owed.within("A", 0)
    owed.within("LATER", 3600)
    # As after five minutes: a request is kept for a day.
    client.pexpire("gateway-bot:{i:one}", KEPT_MS - 300_000)
    before = dumped(client)
    clock.ahead = 300.0
    found = reader.read()
    assert (found.inbox.depth, found.messages.depth) == (1, 1)
    assert found.inbox.oldest > 290
    assert found.messages.oldest > 290
    assert dumped(client) == before
    inbox.done("one", "x")
    assert reader.read().inbox.depth == 0


def test_an_approved_action_that_waits_for_another_or_for_a_pause_is_not_late(
    server: Valkey,
) -> None:
    client = connect(server.url)
    store, reader = ActionStore(client, CODEC), BacklogReader(client, ())
    for name in ("AAAAAA", "BBBBBB", "CCCCCC", "DDDDDD"):
        ask(store, name)
        confirm(store, name)
    assert reader.read().approved.depth == 4
    store.waiting("AAAAAA", "OTHER1")
    store.paused("BBBBBB", Pause("cluster", "west"))
    store.queued("CCCCCC")
    found = reader.read()
    assert found.approved.depth == 2, "until a slot of its cluster is free, it is late"
    assert found.states[State.APPROVED] == 4
    store.paused("BBBBBB", None)
    assert reader.read().approved.depth == 3


def test_a_message_that_slack_does_not_take_is_late_since_it_first_failed(server: Valkey) -> None:
    client, clock = connect(server.url), Clock()
    reader = BacklogReader(client, (), clock=clock)
    Owed(client, "action").within("A", 60)
    failed = int((time.time() - 200) * 1000)
    client.hset(tagged("gateway-bot", "record:action:A"), "failing", failed)
    assert reader.read().messages.oldest > 190


def test_a_message_of_unknown_age_is_as_old_as_it_was_seen(server: Valkey) -> None:
    client, clock = connect(server.url), Clock()
    reader = BacklogReader(client, (), clock=clock)
    Owed(client, "action").now("A")
    assert reader.read().messages.oldest < 60
    clock.ahead = 500.0
    assert reader.read().messages.oldest > 490


def test_an_approved_action_is_counted_and_one_that_waits_for_approval_is_not(
    server: Valkey,
) -> None:
    client, clock = connect(server.url), Clock()
    decided = int((time.time() - 400) * 1000)
    for name, fields in {
        "AAAAAA": {"state": "approved", "decided": decided},
        "BBBBBB": {"state": "pending"},
        "CCCCCC": {"state": "of a newer bot"},
    }.items():
        client.zadd("gateway-bot:{due}", {name: 0})
        client.hset(f"gateway-bot:{{a:{name}}}:act", mapping=fields)
    found = BacklogReader(client, (), clock=clock).read()
    assert found.approved.depth == 1
    assert found.approved.oldest > 390
    assert found.states[State.APPROVED] == found.states[State.PENDING] == 1


def asked_ago(client: Any, name: str, seconds: float) -> None:
    """An action whose first event was logged so long ago, and that has been due since."""
    ask(ActionStore(client, CODEC), name)
    then, log = int((time.time() - seconds) * 1000), f"gateway-bot:{{a:{name}}}:log"
    ((entry, fields),) = client.xrange(log)
    client.xdel(log, entry)
    client.xadd(log, fields | {"at": then})
    client.zadd("gateway-bot:{unaudited}", {name: then})


def test_a_trail_that_nobody_writes_is_as_late_as_its_oldest_entry_whatever_comes_after(
    client: Any,
) -> None:
    reader = BacklogReader(client, ())
    asked_ago(client, "AAAAAA", 3600)
    assert reader.read().audit.oldest >= 3600
    ask(ActionStore(client, CODEC), "BBBBBB")
    found = reader.read().audit
    assert found.depth == 2
    assert found.oldest >= 3600


def test_a_trail_that_refuses_an_entry_again_and_again_is_ever_later(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **named: Any) -> None:
        raise ValueError("this one cannot be sealed")

    audit, clock = AuditLog(client), Clock()
    monkeypatch.setattr(audit, "append", refuse)
    reader, pump = BacklogReader(client, (), clock=clock), AuditPump(client, CODEC, audit)
    asked_ago(client, "AAAAAA", 60)
    for passed in (0.0, 300.0, 600.0):
        clock.ahead = passed
        client.zadd("gateway-bot:{unaudited}", {"AAAAAA": 0})
        with pytest.raises(ValueError, match="sealed"):
            pump.pump()
        assert reader.read().audit.oldest >= 60 + passed


def test_what_the_trail_has_is_not_late_though_it_is_looked_at_again(client: Any) -> None:
    asked_ago(client, "AAAAAA", 3600)
    AuditPump(client, CODEC, AuditLog(client)).pump()
    # Progress is a change of which the trail has no entry.
    client.hincrby("gateway-bot:{a:AAAAAA}:act", "version", 3)
    client.zadd("gateway-bot:{unaudited}", {"AAAAAA": 0, "NEVER": 0})
    found = BacklogReader(client, ()).read().audit
    assert (found.depth, found.oldest) == (0, 0.0)


def test_an_action_without_its_log_is_late_since_its_last_change(client: Any) -> None:
    asked_ago(client, "AAAAAA", 3600)
    client.delete("gateway-bot:{a:AAAAAA}:log")
    client.hset("gateway-bot:{a:AAAAAA}:act", "updated", int((time.time() - 500) * 1000))
    assert 500 <= BacklogReader(client, ()).read().audit.oldest < 3600


def test_bots_agree_until_one_has_other_settings(server: Valkey) -> None:
    client = connect(server.url)
    one, two = Replicas(client, "one", "aa11"), Replicas(client, "two", "aa11")
    one.report()
    assert two.report().agreed
    odd = Replicas(client, "three", "bb22")
    found = odd.report()
    assert (found.bots, found.settings, found.agreed) == (3, 2, False)
    odd.leave()
    assert one.report().agreed


def test_what_a_newer_bot_adds_to_its_report_is_left_alone(server: Valkey) -> None:
    client = connect(server.url)
    later = int((time.time() + 60) * 1000)
    client.hset("gateway-bot:{replicas}", mapping={"new": f"cc33 {later} more", "odd": "?"})
    found = Replicas(client, "one", "cc33").report()
    assert (found.bots, found.settings) == (2, 1)
    assert client.hget("gateway-bot:{replicas}", "odd") == "?"
