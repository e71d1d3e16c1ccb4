"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T | bool | None], what: str = "it", seconds: float = 60) -> T:
    """What `look` returns once it is true; fails with `what` was waited for and the last look.
    A look at something that is not there yet, such as the first of no messages, is looked again."""
    end = time.monotonic() + seconds
    seen: T | LookupError | bool | None = None
    while time.monotonic() < end:
        try:
            seen = look()
        except LookupError as missing:
            seen = missing
        else:
            if seen:
                return seen  # type: ignore[return-value]  # a T, or the bool asked for
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {seconds} s; last seen: {seen!r}")
