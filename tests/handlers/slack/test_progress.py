"""Whoever waits for long is told what for, once, and before the answer."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.deadline import Deadline
from deploy.waits import Wait, Waits
from handlers.slack.payloads import Request
from handlers.slack.progress import Progress
from handlers.views.progress import working
from handlers.views.reply import Reply
from tests.support.waiting import until

REQUEST = Request("r1", "deploy", "U1", "C1", gateway="edge-1")


class Bed:
    """Progress over a Slack that notes what was shown, in order with answers."""

    def __init__(self, pool: ThreadPoolExecutor, seconds: float) -> None:
        self.shown: list[str] = []
        self.waits = Waits()
        self.waiting = threading.Event()
        self.go = threading.Event()
        self._pool = pool
        slack: Any = SimpleNamespace(chat_postEphemeral=self.show)
        shows: Any = SimpleNamespace(submit=self._submit)
        self.progress = Progress(slack, self.waits, shows, seconds=seconds)
        self.progress.start()

    def _submit(self, *work: Any) -> Future[None]:
        """Progress is due by the clock; what it says depends on how far the work has come."""
        assert self.waiting.wait(60)
        return self._pool.submit(*work)

    def show(self, **message: Any) -> None:
        self.shown.append(message["text"])

    def work(self, request: Request) -> Reply:
        with self.waits.on("Azure"):
            self.waiting.set()
            self.go.wait(60)
        return Reply("done")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_a_plan_that_takes_long_says_once_what_it_waits_for(pool: ThreadPoolExecutor) -> None:
    bed = Bed(pool, 0.01)
    answering = pool.submit(bed.progress.over(bed.work, planning=True), REQUEST)
    until(lambda: bed.shown, "progress")
    bed.go.set()
    assert answering.result(30) == Reply("done")
    bed.progress.stop(Deadline.after(10))
    assert bed.shown == ["Planning `deploy edge-1`… Waiting for Azure."]


def test_an_answer_that_comes_soon_is_shown_alone(pool: ThreadPoolExecutor) -> None:
    bed = Bed(pool, 3600)
    bed.go.set()
    assert bed.progress.over(bed.work)(REQUEST) == Reply("done")
    bed.progress.stop(Deadline.after(10))
    assert bed.shown == []


def test_progress_that_is_being_shown_comes_before_the_answer(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.slack.progress._SETTLING_SECONDS", 60.0)
    bed = Bed(pool, 0.01)
    begun, slow = threading.Event(), threading.Event()

    def show(**message: Any) -> None:
        begun.set()
        slow.wait(60)
        bed.shown.append("progress")

    bed.progress._slack = SimpleNamespace(chat_postEphemeral=show)  # type: ignore[assignment]

    def answer() -> None:
        bed.progress.over(bed.work)(REQUEST)
        bed.shown.append("answer")

    answering = pool.submit(answer)
    assert begun.wait(30)
    bed.go.set()
    slow.set()
    answering.result(30)
    bed.progress.stop(Deadline.after(10))
    assert bed.shown == ["progress", "answer"]


def test_what_is_waited_for_is_named_once_and_no_longer_list_than_a_sentence() -> None:
    five = [Wait(f"cluster “{n}”") for n in "abcde"]
    assert working(False, "", [Wait("Slack"), Wait("Slack")]).text == (
        "Working on it… Waiting for Slack."
    )
    assert working(True, "", five).text == (
        "Planning… Waiting for cluster “a”, cluster “b”, cluster “c” and 2 more."
    )
    assert working(True, "", [Wait("Azure", "Azure answered 503.")]).text == (
        "Planning… Waiting for Azure. Azure answered 503."
    )
    assert working(True, "x", []).text == "Planning `x`…"
