"""Actions that a newer bot wrote: those who look again and again report them once."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from deploy.actions.audit import AuditLog
from deploy.actions.audit_pump import AuditPump
from deploy.actions.codec import VERSION
from deploy.actions.fencing import Fences
from deploy.actions.store import ActionStore
from deploy.deadline import Deadline
from deploy.policy import People
from tests.support import actions
from tests.support.actions import CODEC, by_approvers
from tests.support.runners import Work, ask, ended, runner
from tests.support.waiting import until


def of_a_newer_bot(client: Any, name: str) -> None:
    """What of it an older bot knows looks as ever."""
    client.hset(f"gateway-bot:{{a:{name}}}:act", "format", VERSION + 1)


def looks(client: Any, key: str, name: str, count: int) -> Callable[[], bool]:
    """Whether it was taken from the sorted set `key` that often by now."""
    seen: set[float | None] = set()

    def look() -> bool:
        seen.add(client.zscore(key, name))
        return len(seen) > count

    return look


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_runner_reports_a_newer_action_once_and_carries_out_the_others(
    store: ActionStore, client: Any, fences: Fences, caplog: pytest.LogCaptureFixture
) -> None:
    ask(store, "AAAAAA")
    of_a_newer_bot(client, "AAAAAA")
    work = Work()
    work.go.set()
    one = runner(client, fences, work)
    until(looks(client, "gateway-bot:{due}", "AAAAAA", 3), "the third look")
    ask(store, "BBBBBB", gateway="edge-2")
    ended(store, "BBBBBB")
    one.stop(Deadline.after(5))
    assert work.ran == ["BBBBBB"]
    assert [said.partition(":")[0] for said in warned(caplog)] == [
        "Action AAAAAA cannot be read by this version of the bot"
    ]


def test_a_newer_action_keeps_no_other_from_the_audit_trail(
    store: ActionStore, client: Any
) -> None:
    for name in ("AAAAAA", "BBBBBB"):
        ask(store, name, confirm=False)
    of_a_newer_bot(client, "AAAAAA")
    client.zadd("gateway-bot:{unaudited}", {"AAAAAA": -1})
    assert AuditPump(client, CODEC, AuditLog(client)).pump() == 1


def test_a_state_that_only_a_newer_bot_knows_keeps_no_other_message_from_the_sweep(
    store: ActionStore, client: Any
) -> None:
    for name in ("AAAAAA", "BBBBBB"):
        ask(store, name, confirm=False)
    of_a_newer_bot(client, "AAAAAA")
    client.hset("gateway-bot:{a:AAAAAA}:act", "state", "paused")
    assert store.versions() == {"AAAAAA": 1, "BBBBBB": 1}
    assert store.versions_of(["AAAAAA"]) == {"AAAAAA": (1, None)}


def test_a_newer_action_keeps_no_other_from_its_reminder(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    for name in ("AAAAAA", "BBBBBB"):
        actions.ask(store, name, policy=by_approvers(people=People(groups=("S0APP",))))
        # A quarter of the time is left.
        client.hincrby(f"gateway-bot:{{a:{name}}}:act", "created", -600_000)
    of_a_newer_bot(client, "AAAAAA")
    one = runner(client, fences, Work())
    events = ["pending", "reminder"]
    until(lambda: [e.name for e in store.events("BBBBBB")] == events, "the reminder")
    one.stop(Deadline.after(5))
    assert store.listing().unreadable == ("AAAAAA",)
