"""Resource Manager's throttling: token buckets for each client and kind of operation.

Sizes and refill are those of Microsoft's page on request limits and throttling (2024).
"""

import math
import time
from collections.abc import Callable

_BUCKETS = {"reads": (250.0, 25.0), "writes": (200.0, 10.0), "deletes": (200.0, 10.0)}
_KINDS = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}


class Buckets:
    """How many more requests each client may make of each kind."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, client: str, method: str) -> int | None:
        """Count one request; how many are left, or None when it is one too many."""
        size, refill = _BUCKETS[kind_of(method)]
        now = self._clock()
        left, since = self._left.get((client, kind_of(method)), (size, now))
        left = min(size, left + (now - since) * refill)
        if left < 1:
            self._left[client, kind_of(method)] = (left, now)
            return None
        self._left[client, kind_of(method)] = (left - 1, now)
        return math.floor(left - 1)


def kind_of(method: str) -> str:
    """The kind of operation a method counts as."""
    return _KINDS.get(method, "writes")
