"""Writes that a cluster did not confirm: they may still take effect after their answer was given up."""

import threading
import time
from collections.abc import Callable

LAND_SECONDS = 60.0
"""For how long an API server works on a request at most: its `--request-timeout`, by default."""


class Unconfirmed:
    """Which writes of one run are so, from many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sent: dict[str, float] = {}

    def add(self, name: str) -> None:
        """A write of the object of that name ended without an answer that says what became of it."""
        with self._lock:
            self._sent[name] = self._clock()

    def settle(self, name: str) -> None:
        """A later answer says that the object is as it was to be."""
        with self._lock:
            self._sent.pop(name, None)

    def names(self) -> tuple[str, ...]:
        """The objects whose write may still take effect."""
        since = self._clock() - LAND_SECONDS
        with self._lock:
            return tuple(sorted(name for name, sent in self._sent.items() if sent > since))
