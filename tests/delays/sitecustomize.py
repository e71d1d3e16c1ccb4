"""Random short delays where threads and processes hand over to each other, so that of two things at
once now this one and now that one comes first. A test that takes one order for granted fails then.

Python imports this by its name where PYTHONPATH names its folder: `make test-orders` does, for the
tests and for every bot and sandbox that they start. DELAYS is the seed; without it nothing is done.
"""

import functools
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

_CHANCE = 0.04
_LONGEST_SECONDS = 0.08


def _delayed(maybe: Callable[[], None], method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def delayed(*args: Any, **kwargs: Any) -> Any:
        maybe()
        result = method(*args, **kwargs)
        maybe()
        return result

    return delayed


def _install(seed: str) -> None:
    chosen = random.Random(f"{seed} {os.getpid()}")

    def maybe(chance: float = _CHANCE) -> None:
        if chosen.random() < chance:
            time.sleep(chosen.random() ** 2 * _LONGEST_SECONDS)

    often = functools.partial(maybe, 5 * _CHANCE)
    for owner, name, when in (
        (socket.socket, "send", maybe),
        (socket.socket, "sendall", maybe),
        (socket.socket, "accept", maybe),
        (threading.Event, "set", maybe),
        (threading.Thread, "run", often),
    ):
        setattr(owner, name, _delayed(when, getattr(owner, name)))


if seed := os.environ.get("DELAYS"):
    _install(seed)
