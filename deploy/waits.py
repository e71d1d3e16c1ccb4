"""What a piece of work waits for outside of the bot, for whoever wants to say so.

Clients note it where they wait. Work that is nobody's, such as a watch, is not looked at.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Wait:
    """For whom, as in “Waiting for Azure”, and why for so long, as a sentence, where that is
    known."""

    whom: str
    why: str = ""


@dataclass(eq=False)
class Work:
    """What one piece of work waits for, on all threads that do it."""

    _waits: list[Wait] = field(default_factory=list)

    @property
    def waits(self) -> tuple[Wait, ...]:
        """What it waits for now, the longest first."""
        return tuple(self._waits)


class Waits:
    """Which thread does which piece of work. Safe to use from many threads."""

    def __init__(self) -> None:
        self._work: dict[int, Work] = {}

    @contextmanager
    def of(self, work: Work) -> Iterator[None]:
        """What this thread waits for within the block is the work's."""
        here = threading.get_ident()
        before = self._work.get(here)
        self._work[here] = work
        try:
            yield
        finally:
            if before is None:
                del self._work[here]
            else:
                self._work[here] = before

    @contextmanager
    def on(self, whom: str, why: str = "") -> Iterator[None]:
        """Within the block this thread waits for `whom`."""
        work = self._work.get(threading.get_ident())
        if work is None:
            yield
            return
        wait = Wait(whom, why)
        work._waits.append(wait)
        try:
            yield
        finally:
            work._waits.remove(wait)

    def carried(self, call: Callable[[], T]) -> Callable[[], T]:
        """The call, for another thread, as a part of what this thread works on."""
        work = self._work.get(threading.get_ident())
        if work is None:
            return call

        def run() -> T:
            with self.of(work):
                return call()

        return run
