"""A moment by which everything that stops has stopped, shared by all of it."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Deadline:
    """`at` is a moment of `time.monotonic()`."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """So many seconds from now."""
        return cls(time.monotonic() + seconds)

    @property
    def left(self) -> float:
        """Seconds until then; 0 once it has passed."""
        return max(0.0, self.at - time.monotonic())

    def within(self, seconds: float) -> "Deadline":
        """The same, but no more than so many seconds from now."""
        return Deadline(min(self.at, time.monotonic() + seconds))

    def join(self, threads: Iterable[threading.Thread]) -> None:
        """Wait for the end of those that were started, no longer than until then."""
        for thread in threads:
            if thread.is_alive():
                thread.join(self.left)

    def wait_for(self, work: Callable[[], object]) -> bool:
        """Do what knows no time limit on a thread of its own; whether it ended until then."""
        thread = threading.Thread(target=work, name="ending", daemon=True)
        thread.start()
        thread.join(self.left)
        return not thread.is_alive()
