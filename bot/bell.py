"""Wakes who waits for something to change, without whoever changes it knowing them.

It only saves waiting: what has changed stands in Redis, and is looked for from time to time as well.
"""

from collections.abc import Callable

Listener = Callable[[str], None]


class Bell:
    """Listeners are added while the bot is put together; what rings before that is only not heard."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call `listener` at each ring, with the id of what has changed; it must be quick."""
        self._listeners.append(listener)

    def ring(self, changed: str) -> None:
        """What has that id has changed."""
        for listener in self._listeners:
            listener(changed)
