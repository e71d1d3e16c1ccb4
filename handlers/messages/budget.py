"""Slack's rate limits, kept to before Slack has to say so.

chat.update is of tier 3, about fifty a minute for a method in a workspace; chat.postMessage takes
one message a second in a channel, short bursts allowed (Slack's rate limits page).
"""

import threading
import time
from collections.abc import Callable

_FORGET = 1000


class Budget:
    """A token bucket: `per_minute` calls on average, `burst` at once. Safe for many threads."""

    def __init__(
        self, per_minute: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = per_minute / 60
        self._burst = burst
        self._clock = clock
        self._left = float(burst)
        self._at = clock()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Use one call if there is one."""
        return self.wait() == 0.0

    def wait(self) -> float:
        """Use one call if there is one, and then 0; else the seconds until there is."""
        with self._lock:
            now = self._clock()
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
            self._at = now
            if self._left < 1:
                return (1 - self._left) / self._rate
            self._left -= 1
            return 0.0


class Budgets:
    """What one bot may send: updates in all, and posts channel by channel."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._updates = Budget(50, 10, clock)
        self._posts: dict[str, Budget] = {}
        self._lock = threading.Lock()

    def update(self) -> float:
        """Use one chat.update; 0, or the seconds to wait for one."""
        return self._updates.wait()

    def post(self, channel: str) -> float:
        """Use one post to a channel; 0, or the seconds to wait for one."""
        with self._lock:
            if len(self._posts) > _FORGET:
                self._posts.clear()
            budget = self._posts.setdefault(channel, Budget(60, 5, self._clock))
        return budget.wait()
