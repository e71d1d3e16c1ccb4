"""A scrape has the backlog also where Redis is slow for a moment, and none that is old."""

import threading

import pytest

from bot.metrics.reading import BacklogReading
from deploy.actions.backlog import Backlog, Queue
from deploy.errors import Unavailable
from tests.support.waiting import until

NOTHING = Queue(0, 0.0)


def backlog(waiting: int) -> Backlog:
    return Backlog(Queue(waiting, 1.0), NOTHING, NOTHING, NOTHING)


class Redis:
    """Gives a backlog, fails, or holds whoever asks."""

    def __init__(self) -> None:
        self.waiting = 0
        self.fails: Exception | None = None
        self.free = threading.Event()
        self.free.set()
        self.asked = 0

    def read(self) -> Backlog:
        self.asked += 1
        self.free.wait(60)
        if self.fails:
            raise self.fails
        return backlog(self.waiting)


@pytest.mark.parametrize("failure", [Unavailable("Redis cannot be used now."), ValueError("odd")])
def test_a_backlog_that_cannot_be_read_is_the_last_one_for_half_a_minute(
    failure: Exception,
) -> None:
    redis, now = Redis(), [0.0]
    reading = BacklogReading(redis.read, clock=lambda: now[0])
    redis.waiting = 1
    assert reading.within(60) == backlog(1)
    redis.waiting = 2
    assert reading.within(60) == backlog(2)
    redis.fails, now[0] = failure, 29.0
    assert reading.within(60) == backlog(2)
    now[0] = 31.0
    assert reading.within(60) is None


def test_what_comes_after_a_scrape_has_left_is_there_for_the_next_one() -> None:
    redis = Redis()
    reading = BacklogReading(redis.read, clock=lambda: 0.0)
    redis.free.clear()
    assert reading.within(0.0) is None
    redis.waiting = 3
    redis.free.set()
    until(lambda: reading.within(0.0) == backlog(3), "the answer")
