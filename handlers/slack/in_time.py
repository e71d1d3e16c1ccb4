"""Work that Slack waits for, within a bound however long it takes."""

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures import TimeoutError as TooLate
from typing import TypeVar

T = TypeVar("T")


class Late(Exception):
    """It took too long. `begun` says whether it continues; else it was never begun."""

    def __init__(self, begun: bool) -> None:
        super().__init__()
        self.begun = begun


class InTime:
    """Does work on a pool, and waits no longer than `seconds` for it.

    Once something was late, the next ones are waited for only `moment` seconds until something is
    in time again: many at once would otherwise wait one after the other.
    """

    def __init__(self, pool: Executor, seconds: float, moment: float) -> None:
        self._pool = pool
        self._seconds = seconds
        self._moment = moment
        self._late = False

    def result(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. Late where that takes too long."""
        return self.of(self._pool.submit(work))

    def of(self, working: Future[T]) -> T:
        """What work that has been submitted returns or raises. Late where that takes too long."""
        since = time.monotonic()

        def ended(work: Future[T]) -> None:
            if not work.cancelled() and time.monotonic() - since < self._seconds:
                self._late = False

        working.add_done_callback(ended)
        try:
            return working.result(self._moment if self._late else self._seconds)
        except TooLate:
            if working.done():
                return working.result()
            self._late = True
            raise Late(begun=not working.cancel()) from None
