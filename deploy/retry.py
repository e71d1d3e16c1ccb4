"""Asking a service that does not answer again, ever less often, until it answers or time is over."""

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from deploy.errors import Unavailable

PATIENCE = 30.0
"""For how long, in seconds, a service that does not answer is asked again."""
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 5.0

T = TypeVar("T")


class RunLost(Exception):
    """This run is over and must end at once: its action is another bot's, or was stopped."""


def patiently(call: Callable[[], T], lost: threading.Event, seconds: float = PATIENCE) -> T:
    """Repeat an idempotent call while a service does not answer, for that many seconds.

    The pauses double, or are as long as the service says; each is up to half shorter by chance, so
    that many who failed at once do not come back at once. RunLost when `lost` is set meanwhile.
    """
    give_up = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while True:
        if lost.is_set():
            raise RunLost
        try:
            return call()
        except Unavailable as error:
            wait = error.retry_after or pause * random.uniform(0.5, 1.0)
            if time.monotonic() + wait > give_up:
                raise
        if lost.wait(wait):
            raise RunLost
        pause = min(pause * 2, _LONGEST_PAUSE)
