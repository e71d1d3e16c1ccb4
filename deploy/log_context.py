"""What lines of the log are about: the request, the action, the person and the gateway at hand.

It is set where work begins, at a command, a click or the run of an action, and goes along where
work is handed to another thread. Whoever formats a line adds it, so nobody passes it around.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_NONE: Mapping[str, str] = {}
_about: ContextVar[Mapping[str, str]] = ContextVar("about", default=_NONE)

FIELDS = ("request", "action", "user", "gateway", "cluster")
"""In the order in which a line has them."""


def request_reference(request_id: str) -> str:
    """The short form of a request's id, by which a person and the log name it: the same one for each
    delivery, and on each bot that takes the request up."""
    return hashlib.sha256(request_id.encode()).hexdigest()[:8]


def here() -> Mapping[str, str]:
    """What this thread is at, by the name of each field."""
    return _about.get()


@contextmanager
def about(
    *,
    request: str = "",
    action: str = "",
    user: str = "",
    gateway: str = "",
    cluster: str = "",
    anew: bool = False,
) -> Iterator[None]:
    """Lines within the block are about that too, or with `anew` about that alone."""
    values = (request, action, user, gateway, cluster)
    known = {name: value for name, value in zip(FIELDS, values, strict=True) if value}
    before = _NONE if anew else _about.get()
    token = _about.set({**before, **known})
    try:
        yield
    finally:
        _about.reset(token)


def carried(work: Callable[P, T]) -> Callable[P, T]:
    """The work, for another thread, about the same as this one."""
    context = copy_context()

    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        # A context can be entered once at a time, and some work is given to several threads.
        return context.copy().run(work, *args, **kwargs)

    return run


@dataclass(frozen=True)
class Stopwatch:
    """Since when something is under way."""

    since: float

    @classmethod
    def started(cls) -> "Stopwatch":
        """From now on."""
        return cls(time.monotonic())

    def event(self, name: str, outcome: str, **more: str) -> dict[str, object]:
        """The `extra` of a log line that says how it ended, and how many seconds it took."""
        took = round(time.monotonic() - self.since, 3)
        return {"event": name, "outcome": outcome, "duration": took, **more}
