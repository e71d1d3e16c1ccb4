"""Wakes who waits for something to change, without whoever changes it knowing them.

It only saves waiting: what has changed stands in Redis, and is looked for from time to time as well.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Bell(Generic[T]):
    """Listeners are added while the bot is put together; what rings before that is only not heard."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[T], object]] = []

    def listen(self, listener: Callable[[T], object]) -> None:
        """Call `listener` at each ring, with what has changed or its id; it must be quick."""
        self._listeners.append(listener)

    def ring(self, changed: T) -> None:
        """This, or what has that id, has changed."""
        for listener in self._listeners:
            listener(changed)
