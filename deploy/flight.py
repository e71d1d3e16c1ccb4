"""Work that may never end, done once for all who want its result, each of whom waits with a bound."""

import functools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)

GIVEN_UP_SECONDS = 60.0
"""After so long whoever comes begins it anew: a plugin that hung once must not be the last."""
MOST = 3


class Flight(Generic[T]):
    """Signing in, a plugin, a host name that is looked up: what has no time limit of its own, or one
    that cannot be set. Safe to use from many threads; it takes one more, and of work that hangs
    for long MOST at most."""

    def __init__(
        self, work: Callable[[], T], name: str, *, given_up: float = GIVEN_UP_SECONDS
    ) -> None:
        self._work = work
        self._name = name
        self._lock = threading.Lock()
        self._flying: Future[T] | None = None
        self._given_up = given_up
        self._began = 0.0
        self._hanging: list[Future[T]] = []

    def wait(self, seconds: float) -> T:
        """What the work gives that is under way, or is begun now; what it raises is raised.

        TimeoutError where it has not ended after so many seconds. It continues then, and whoever comes
        next waits for the same.
        """
        return self.begin().result(seconds)

    def begin(self) -> Future[T]:
        """The same, for whoever waits elsewhere."""
        with self._lock:
            flying = self._flying
            if flying is None or flying.done() or self._hangs(flying):
                flying = self._flying = Future()
                self._began = time.monotonic()
                threading.Thread(
                    target=self._fly, args=(flying,), name=self._name, daemon=True
                ).start()
        return flying

    @property
    def busy(self) -> bool:
        """Whether any of its work is still under way."""
        with self._lock:
            flying = [*self._hanging, *([self._flying] if self._flying else [])]
        return not all(each.done() for each in flying)

    def _hangs(self, flying: Future[T]) -> bool:
        """Whether it has lasted for so long that it is begun anew beside."""
        self._hanging = [each for each in self._hanging if not each.done()]
        late = time.monotonic() - self._began > self._given_up
        if not late or len(self._hanging) >= MOST - 1:
            return False
        self._hanging.append(flying)
        return True

    def _fly(self, flying: Future[T]) -> None:
        try:
            flying.set_result(self._work())
        except Exception as error:
            # Those who wait raise it; who no longer does has this line.
            log.info("%s failed", self._name, exc_info=error)
            flying.set_exception(error)
        finally:
            flying.cancel()


class Crowded(TimeoutError):
    """So much is under way that nothing else is begun."""


class Flights(Generic[T]):
    """The same for work on one of many things, by key; on at most `most` of them at once. Safe to use
    from many threads."""

    def __init__(self, work: Callable[[str], T], name: str, most: int) -> None:
        self._work = work
        self._name = name
        self._most = most
        self._lock = threading.Lock()
        self._flights: dict[str, Flight[T]] = {}

    def wait(self, key: str, seconds: float) -> T:
        """As Flight.wait, for a key. Crowded where others have all the places."""
        with self._lock:
            self._flights = {at: each for at, each in self._flights.items() if each.busy}
            if key not in self._flights:
                if len(self._flights) >= self._most:
                    raise Crowded
                work = functools.partial(self._work, key)
                self._flights[key] = Flight(work, self._name)
            flying = self._flights[key].begin()
        return flying.result(seconds)
