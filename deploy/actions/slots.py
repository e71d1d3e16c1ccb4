"""Whose turn it is: on each cluster so many actions run at a time on one bot, the oldest first.

Clusters share no slots, so one that is slow holds up nobody but itself.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

_FORGOTTEN_SECONDS = 3.0
"""After this, an action not seen here has ended, or another bot has started it."""


@dataclass(frozen=True)
class Turn:
    """An action that wants to run; `since` is when it was decided (epoch seconds)."""

    id: str
    cluster: str
    since: float


def may_begin(
    turn: Turn, waiting: Iterable[Turn], running: Iterable[Turn], per_cluster: int
) -> bool:
    """Whether a slot of its cluster is free and none is owed to an older one."""
    taken = sum(other.cluster == turn.cluster for other in running)
    ahead = sum(other.cluster == turn.cluster and _older(other, turn) for other in waiting)
    return taken + ahead < per_cluster


def _older(one: Turn, other: Turn) -> bool:
    return (one.since, one.id) < (other.since, other.id)


class Slots:
    """The slots of one bot. Safe to use from many threads."""

    def __init__(self, per_cluster: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_cluster = per_cluster
        self._clock = clock
        self._lock = threading.Lock()
        self._running: dict[str, Turn] = {}
        self._waiting: dict[str, tuple[Turn, float]] = {}

    def take(self, turn: Turn) -> bool:
        """Whether it has a slot from now on; until `leave`."""
        with self._lock:
            now = self._clock()
            self._waiting = {
                key: (other, until) for key, (other, until) in self._waiting.items() if now < until
            }
            others = [other for other, _ in self._waiting.values()]
            if not may_begin(turn, others, self._running.values(), self._per_cluster):
                self._waiting[turn.id] = (turn, now + _FORGOTTEN_SECONDS)
                return False
            self._waiting.pop(turn.id, None)
            self._running[turn.id] = turn
            return True

    @property
    def running(self) -> Mapping[str, int]:
        """How many run, by cluster."""
        with self._lock:
            return Counter(turn.cluster for turn in self._running.values())

    def leave(self, action_id: str) -> None:
        """It runs no longer, or no longer wants to."""
        with self._lock:
            self._running.pop(action_id, None)
            self._waiting.pop(action_id, None)
