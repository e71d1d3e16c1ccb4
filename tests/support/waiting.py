"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T | bool | None], what: str, seconds: float = 30) -> T:
    """What `look` returns once it is true; fails with `what` was waited for and the last look."""
    end = time.monotonic() + seconds
    seen: T | bool | None = None
    while time.monotonic() < end:
        seen = look()
        if seen:
            return seen  # type: ignore[return-value]  # a true value is a T, or the bool asked for
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds} s; last seen: {seen!r}")
