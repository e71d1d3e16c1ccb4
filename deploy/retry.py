"""Asking a service that does not answer again, ever less often, until it answers or time is over."""

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from deploy.errors import NotGranted, Unavailable

PATIENCE = 30.0
"""For how long, in seconds, a service that does not answer is asked again."""
HELD_SECONDS = 60.0
"""For how long a refusal of what was granted just before is not believed: an API server that has
just been started answers before it has loaded roles and bindings (seen on Kubernetes 1.36)."""
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 5.0

T = TypeVar("T")


class RunLost(Exception):
    """This run is over and must end at once: its action is another bot's, or was stopped."""


def patiently(
    call: Callable[[], T],
    lost: threading.Event,
    seconds: float = PATIENCE,
    *,
    refused: float = 0.0,
) -> T:
    """Repeat an idempotent call while a service does not answer, for that many seconds, and while
    the bot's rights do not suffice, for `refused`.

    The pauses double, or are as long as the service says; each is up to half shorter by chance, so
    that many who failed at once do not come back at once. RunLost when `lost` is set meanwhile.
    """
    began = time.monotonic()
    pause = _FIRST_PAUSE
    while True:
        if lost.is_set():
            raise RunLost
        try:
            return call()
        except (Unavailable, NotGranted) as error:
            silent = isinstance(error, Unavailable)
            wait = pause * random.uniform(0.5, 1.0)
            if isinstance(error, Unavailable) and error.retry_after:
                wait = error.retry_after
            if time.monotonic() + wait > began + (seconds if silent else refused):
                raise
        if lost.wait(wait):
            raise RunLost
        pause = min(pause * 2, _LONGEST_PAUSE)
