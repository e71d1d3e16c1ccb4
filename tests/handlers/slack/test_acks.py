"""Acks come before the work on what they acked."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import Literal

import pytest
from slack_bolt import BoltRequest, BoltResponse

from handlers.slack import acks as module
from handlers.slack.acks import Acks
from tests.support.slack_bots import reached
from tests.support.slack_workspace import app_config, running, workspace
from tests.support.waiting import until

Mode = Literal["socket", "http"]


def test_work_begins_at_once_where_nothing_waits_for_its_ack() -> None:
    Acks().give_way()


def test_work_begins_once_the_last_of_many_has_its_ack() -> None:
    acks, began = Acks(), threading.Event()
    with ThreadPoolExecutor(1) as pool, ExitStack() as first, ExitStack() as last:
        first.enter_context(acks.waiting())
        last.enter_context(acks.waiting())

        def work() -> None:
            acks.give_way()
            began.set()

        working = pool.submit(work)
        first.close()
        last.close()
        working.result(30)
    assert began.is_set()


def test_work_waits_while_acks_follow_one_another_and_not_for_one_that_is_stuck(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_STALLED_SECONDS", 5.0)
    acks, stop = Acks(clock=lambda: 0.0), threading.Event()
    with ThreadPoolExecutor(2) as pool, acks.waiting():

        def acking() -> None:
            while not stop.wait(0.002):
                with acks.waiting():
                    pass

        following = pool.submit(acking)
        until(lambda: acks._given, "the first ack")
        working = pool.submit(acks.give_way)
        before = acks._given
        until(lambda: acks._given > before + 50, "many acks")
        assert not working.done()
        stop.set()
        following.result(30)
        # One still waits, and for something slow.
        working.result(30)


def test_work_waits_between_two_of_many_that_come_at_once() -> None:
    now = [0.0]
    acks = Acks(clock=lambda: now[0])
    with ThreadPoolExecutor(1) as pool:
        for _ in range(module._MANY - 1):
            with acks.waiting():
                pass
        acks.give_way()
        with acks.waiting():
            pass
        working = pool.submit(acks.give_way)
        assert wait([working], module._MANY_SECONDS * 2).not_done
        now[0] = 1.0
        working.result(30)


def test_an_ack_counts_before_it_is_observed_and_whatever_the_observer_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = []

    def observe(seconds: float) -> None:
        seen.append(acks.unacked)
        raise RuntimeError("no room for a figure")

    acks = Acks(given=observe)
    with acks.waiting():
        assert acks.unacked == 1
    assert (seen, acks.unacked) == ([0], 0)
    assert "no room for a figure" in caplog.text


@pytest.mark.parametrize("mode", ["socket", "http"])
def test_what_has_arrived_counts_until_slack_has_its_ack(mode: Mode) -> None:
    acks, seen = Acks(), []

    class Listeners:
        def dispatch(self, req: BoltRequest, /) -> BoltResponse:
            seen.append(acks._waiting)
            return BoltResponse(status=200)

    slack = workspace(app_config(mode))
    with running(slack) as person, reached(mode, Listeners(), slack, acks):
        assert person.command("status") == {"ok": True}
        until(lambda: acks._waiting == 0, "the ack to be given")
    assert seen == [1]
