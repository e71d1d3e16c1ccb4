"""Parts start in the order of their list and stop in its reverse, by a moment they share."""

import logging
import threading
import time

import pytest

from bot.parts import Parts
from bot.pool import Pool
from deploy.deadline import Deadline
from tests.support.waiting import until


class Fake:
    """Notes what becomes of it in a list that several share; `hang` is what its stop waits for."""

    def __init__(
        self, name: str = "", notes: list[str] | None = None, hang: threading.Event | None = None
    ) -> None:
        self.live = False
        self._name = name
        self._notes = notes if notes is not None else []
        self._hang = hang

    def start(self) -> None:
        self.live = True
        self._notes.append(f"start {self._name}")

    def stop(self, deadline: Deadline) -> None:
        if self._hang is not None:
            self._hang.wait(60)
        self.live = False
        self._notes.append(f"stop {self._name}")


class Broken(Fake):
    def stop(self, deadline: Deadline) -> None:
        raise RuntimeError("no")


def test_parts_start_in_order_and_stop_in_reverse() -> None:
    notes: list[str] = []
    parts = Parts({name: Fake(name, notes) for name in ("cache", "runner", "slack")})
    parts.start()
    assert parts.live() == {"cache": True, "runner": True, "slack": True}
    parts.stop(Deadline.after(5))
    assert notes == [
        *("start cache", "start runner", "start slack"),
        *("stop slack", "stop runner", "stop cache"),
    ]
    assert not any(parts.live().values())


def test_parts_that_hang_in_stop_hold_up_neither_the_deadline_nor_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    notes: list[str] = []
    go = threading.Event()
    parts = Parts(
        {
            "cache": Fake("cache", notes),
            "intake": Fake("intake", notes, go),
            "runner": Fake("runner", notes),
            "slack": Fake("slack", notes, go),
        }
    )
    parts.start()
    notes.clear()
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        parts.stop(Deadline.after(6))
    assert time.monotonic() - began < 30
    # The turn of the second may come before the first, where that is held up, has noted its end.
    assert sorted(notes) == ["stop cache", "stop runner"]
    late = [record.getMessage() for record in caplog.records]
    assert [text.split()[0] for text in late] == ["slack", "intake"]
    go.set()


def test_a_part_that_fails_in_stop_keeps_no_other_from_it() -> None:
    notes: list[str] = []
    parts = Parts({"cache": Fake("cache", notes), "slack": Broken()})
    parts.start()
    parts.stop(Deadline.after(5))
    assert notes == ["start cache", "stop cache"]


def test_what_is_to_stop_at_once_does_not_wait_for_what_stands_behind_it() -> None:
    notes: list[str] = []
    go = threading.Event()
    parts = Parts(
        {
            "cache": Fake("cache", notes),
            "runner": Fake("runner", notes),
            "slack": Fake("slack", notes, go),
        },
        at_once=["runner"],
    )
    parts.start()
    notes.clear()
    stopping = threading.Thread(target=parts.stop, args=(Deadline.after(60),))
    stopping.start()
    until(lambda: notes == ["stop runner"], "the runner's end")
    go.set()
    stopping.join(30)
    assert notes == ["stop runner", "stop slack", "stop cache"]


def test_parts_told_to_stop_while_they_start_start_no_more_and_stop_what_began() -> None:
    notes: list[str] = []
    begun, go = threading.Event(), threading.Event()

    class Slow(Fake):
        def start(self) -> None:
            begun.set()
            go.wait(60)
            super().start()

    parts = Parts(
        {"cache": Fake("cache", notes), "slack": Slow("slack", notes), "last": Fake("last", notes)}
    )
    starting = threading.Thread(target=parts.start)
    starting.start()
    assert begun.wait(30)
    parts.stop(Deadline.after(30))
    assert notes == ["start cache", "stop slack", "stop cache"]
    go.set()
    starting.join(30)
    assert "start last" not in notes


def test_a_pool_waits_for_what_it_is_at_until_the_deadline_and_drops_the_rest() -> None:
    pool, begun, go = Pool(1, "work"), threading.Event(), threading.Event()

    def slow() -> bool:
        begun.set()
        return go.wait(60)

    working, waiting = pool.submit(slow), pool.submit(slow)
    assert pool.live
    assert begun.wait(30)
    began = time.monotonic()
    pool.stop(Deadline.after(0.2))
    assert time.monotonic() - began < 30
    assert not pool.live
    assert waiting.cancelled()
    go.set()
    assert working.result(30)
