"""Which requests wait for each other, and whose is next.

What needs only Redis and Slack has threads of its own, and so has what looks at clusters and what
plans: a cluster that does not answer keeps nobody from an approval. On each lane people take turns,
nobody has all of its threads, and only so many requests wait.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from threading import Lock

from deploy.background import begin
from deploy.deadline import Deadline

_RECENT = 0.2
"""What the newest request weighs in the mean of how long one takes."""
_SOONEST, _LATEST = 5.0, 600.0
"""Between these seconds is when somebody is asked to try again."""


class Lane(StrEnum):
    """What a request needs to be answered, and so what it may have to wait for."""

    DECISIONS = "decisions"
    """Redis and Slack alone."""
    READS = "reads"
    """What clusters, Azure or the registry say."""
    PLANS = "plans"
    """Clusters and Azure, several times."""


@dataclass(frozen=True)
class Bounds:
    """So many requests are worked on at once, `share` of them for one person; so many wait, `each`
    of them from one person."""

    workers: int
    share: int
    each: int
    all: int

    def room(self, own: int, waiting: int) -> bool:
        """Whether one more request can wait, beside `own` from the same person and `waiting` in
        all."""
        return own < self.each and waiting < self.all


BOUNDS: Mapping[Lane, Bounds] = {
    Lane.DECISIONS: Bounds(workers=16, share=4, each=100, all=1000),
    Lane.READS: Bounds(workers=32, share=4, each=100, all=1000),
    Lane.PLANS: Bounds(workers=32, share=4, each=100, all=1000),
}


@dataclass(frozen=True)
class Busy:
    """There is no room for another request: so many wait, `own` where they are all this person's.
    There will be in about so many `seconds`."""

    waiting: int
    own: bool
    seconds: float


def next_of(waiting: Iterable[str], running: Mapping[str, int], share: int) -> str | None:
    """Whose request is next, of those who wait, the one who has waited longest for a turn first.

    Whoever has the fewest running comes before others, and nobody has more than `share`.
    """
    able = [person for person in waiting if running.get(person, 0) < share]
    return min(able, key=lambda person: running.get(person, 0), default=None)


class LanePool:
    """The threads of one lane, and the requests that wait for them, by key."""

    def __init__(
        self,
        name: str,
        bounds: Bounds,
        work: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        arrived: Callable[[], object] | None = None,
    ) -> None:
        """With `arrived` a request that is put begins only with the next `begin`, and that is called
        in its place."""
        self._bounds = bounds
        self._arrived = arrived
        self._work = work
        self._clock = clock
        self._lock = Lock()
        self._open = True
        # In the order of turns: whoever had one goes to the end.
        self._waiting: dict[str, deque[str]] = {}
        self._running: Counter[str] = Counter()
        self._begun: dict[str, float] = {}
        self._queued: set[str] = set()
        self._mean = 1.0
        self._pool = ThreadPoolExecutor(bounds.workers, thread_name_prefix=name)

    def put(self, person: str, key: str) -> bool:
        """Have a request worked on in its turn; False where there is no room for it. What is pending or
        running already stays as it is."""
        with self._lock:
            if key in self._queued or key in self._begun:
                return True
            if not self._open or not self._room(person):
                return False
            self._waiting.setdefault(person, deque()).append(key)
            self._queued.add(key)
            if self._arrived is None:
                self._begin()
        if self._arrived is not None:
            self._arrived()
        return True

    def begin(self) -> None:
        """Begin the pending requests, as far as there are threads."""
        with self._lock:
            self._begin()

    def busy(self, person: str) -> Busy | None:
        """Why there is no room for another request of this person; None where there is."""
        with self._lock:
            if self._room(person):
                return None
            own = len(self._waiting.get(person, ()))
            if own >= self._bounds.each:
                return Busy(own, True, self._seconds(own, self._bounds.share))
            waiting = len(self._queued)
            return Busy(waiting, False, self._seconds(waiting, self._bounds.workers))

    @property
    def waiting(self) -> int:
        """How many requests have not started."""
        with self._lock:
            return len(self._queued)

    @property
    def working(self) -> int:
        """How many requests are being worked on."""
        with self._lock:
            return len(self._begun)

    def close(self) -> list[str]:
        """Begin nothing more; what has not started is given back."""
        with self._lock:
            self._open = False
            left = [key for keys in self._waiting.values() for key in keys]
            self._waiting.clear()
            self._queued.clear()
        return left

    def stop(self, deadline: Deadline) -> bool:
        """Wait for what has started; whether it ended until then."""
        return deadline.wait_for(partial(self._pool.shutdown))

    def _room(self, person: str) -> bool:
        return self._bounds.room(len(self._waiting.get(person, ())), len(self._queued))

    def _seconds(self, waiting: int, at_once: int) -> float:
        """In which half of those that wait have started. What hangs counts for as long as it has."""
        now = self._clock()
        longest = max((now - began for began in self._begun.values()), default=0.0)
        seconds = waiting / 2 / at_once * max(self._mean, longest)
        return min(max(seconds, _SOONEST), _LATEST)

    def _begin(self) -> None:
        while len(self._begun) < self._bounds.workers:
            person = next_of(self._waiting, self._running, self._bounds.share)
            if person is None:
                return
            keys = self._waiting.pop(person)
            key = keys.popleft()
            if keys:
                self._waiting[person] = keys
            self._queued.discard(key)
            self._running[person] += 1
            self._begun[key] = self._clock()
            begin(self._pool, self._run, person, key)

    def _run(self, person: str, key: str) -> None:
        try:
            self._work(key)
        finally:
            with self._lock:
                took = self._clock() - self._begun.pop(key)
                self._mean += _RECENT * (took - self._mean)
                self._running[person] -= 1
                if not self._running[person]:
                    del self._running[person]
                self._begin()
