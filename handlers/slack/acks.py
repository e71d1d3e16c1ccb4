"""Acks before everything else: what arrives at once is acked before any of it is worked on."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from deploy.waits import guarded

_STALLED_SECONDS = 0.3
"""Without an ack for so long, those that are left wait for something slow, and need no processor."""
_MANY, _MANY_SECONDS = 4, 0.1
"""So many acks in so many seconds are of requests that came at once: more of them are on the way."""
_LONGEST_SECONDS = 2.0
"""So long at most may an answer be held up, however many keep arriving."""


class Acks:
    """Counts the payloads that have arrived and have no ack yet.

    Work takes the interpreter from the acks that wait beside it, and more of it than they need.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        given: Callable[[float], object] = lambda seconds: None,
    ) -> None:
        """`given` is called after each ack with the seconds since its payload arrived."""
        self._clock = clock
        self._on_given = guarded(given)
        self._waiting = 0
        self._given = 0
        self._newest: deque[float] = deque(maxlen=_MANY)
        self._changed = threading.Condition()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """One that arrived, until its ack is on its way."""
        began = self._clock()
        with self._changed:
            self._waiting += 1
        try:
            yield
        finally:
            now = self._clock()
            with self._changed:
                self._waiting -= 1
                self._given += 1
                self._newest.append(now)
                if not self._waiting:
                    self._changed.notify_all()
            self._on_given(now - began)

    @property
    def unacked(self) -> int:
        """How many have no ack yet."""
        return self._waiting

    def give_way(self) -> None:
        """Wait until nothing waits for its ack, while acks follow one another; two seconds at most."""
        end = self._clock() + _LONGEST_SECONDS
        with self._changed:
            while (left := end - self._clock()) > 0:
                given = self._given
                if self._waiting:
                    self._changed.wait(min(left, _STALLED_SECONDS))
                    if self._waiting and self._given == given:
                        return
                elif self._many():
                    self._changed.wait(min(left, _MANY_SECONDS))
                else:
                    return

    def _many(self) -> bool:
        newest = self._newest
        return len(newest) == _MANY and self._clock() - newest[0] < _MANY_SECONDS
