"""Rate tiers of the Web API: docs.slack.dev/apis/web-api/rate-limits.

Token buckets that hold a minute's worth, as Slack tolerates short bursts.
"""

import math
import time
from collections.abc import Callable

from bot.sandbox.slack.api.call import Tier

PER_MINUTE: dict[Tier, float] = {"t1": 1, "t2": 20, "t3": 50, "t4": 100, "special": 200}
MESSAGES_PER_SECOND = 1.0
MESSAGE_BURST = 5.0


class RateLimits:
    """Counts the calls of the one app in the one workspace."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, method: str, tier: Tier, channel: str = "") -> int | None:
        """Count a call. Returns the seconds to wait when it is one too many."""
        if method == "chat.postMessage":
            return self._take(f"{method} {channel}", MESSAGE_BURST, MESSAGES_PER_SECOND)
        return self._take(method, PER_MINUTE[tier], PER_MINUTE[tier] / 60)

    def clear(self) -> None:
        """Forget what was counted."""
        self._buckets.clear()

    def _take(self, key: str, capacity: float, per_second: float) -> int | None:
        now = self._clock()
        level, then = self._buckets.get(key, (capacity, now))
        level = min(capacity, level + (now - then) * per_second)
        if level < 1:
            self._buckets[key] = (level, now)
            return max(1, math.ceil((1 - level) / per_second))
        self._buckets[key] = (level - 1, now)
        return None
