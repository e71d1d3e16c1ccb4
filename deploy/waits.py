"""What a piece of work waits for outside of the bot, for whoever wants to say so.

Clients note it where they wait. Work that is nobody's, such as a watch, is not looked at.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """What is asked outside of the bot: its kind, such as `cluster`, and which of several."""

    kind: str
    name: str = ""


@dataclass
class Call:
    """One call of a service. `error` is why it was in vain, in a word; empty where it was not."""

    error: str = ""


Observe = Callable[[Service, float, str], object]
"""Called after each call with the seconds that it took, and its error. It must be quick."""


def unobserved(service: Service, seconds: float, error: str) -> None:
    """For a bot of which nobody wants to know."""


def guarded(observe: Callable[P, object]) -> Callable[P, None]:
    """The observer, for whoever does the work that it observes: a figure that is missing must cost no
    work and no ack. Whatever it raises is logged, once, and the work continues."""
    failed = False

    @functools.wraps(observe)
    def observed(*args: P.args, **kwargs: P.kwargs) -> None:
        nonlocal failed
        try:
            observe(*args, **kwargs)
        except Exception:  # a label that Prometheus does not accept, for one
            if not failed:
                log.exception("metrics are incomplete: %s failed", observe)
            failed = True

    return observed


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

    def __init__(self, observe: Observe = unobserved) -> None:
        self._work: dict[int, Work] = {}
        self._observe = guarded(observe)
        self._calling: set[tuple[int, str]] = set()

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
    def on(self, whom: str, why: str = "", *, service: Service | None = None) -> Iterator[Call]:
        """Within the block this thread waits for `whom`. With a `service` the block is one call of
        it, in which further ones, as redis-py nests them, do not count."""
        here, call, began = threading.get_ident(), Call(), time.monotonic()
        work, wait = self._work.get(here), Wait(whom, why)
        counted = service is not None and (here, service.kind) not in self._calling
        if work is not None:
            work._waits.append(wait)
        if service is not None and counted:
            self._calling.add((here, service.kind))
        try:
            yield call
        except BaseException as error:
            call.error = call.error or type(error).__name__
            raise
        finally:
            if work is not None:
                work._waits.remove(wait)
            if service is not None and counted:
                self._calling.discard((here, service.kind))
                self._observe(service, time.monotonic() - began, call.error)

    def carried(self, call: Callable[[], T]) -> Callable[[], T]:
        """The call, for another thread, as a part of what this thread works on."""
        work = self._work.get(threading.get_ident())
        if work is None:
            return call

        def run() -> T:
            with self.of(work):
                return call()

        return run
