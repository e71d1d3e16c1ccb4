"""Everything of the bot that has threads, under one protocol and in one list."""

import logging
import threading
from collections.abc import Mapping
from typing import Protocol

from deploy.deadline import Deadline

log = logging.getLogger(__name__)


class Part(Protocol):
    """Something with threads of its own."""

    def start(self) -> None:
        """Begin; called once, when every part before it has begun."""

    def stop(self, deadline: Deadline) -> None:
        """End, waiting until `deadline` for what is under way, and no longer."""

    @property
    def live(self) -> bool:
        """Whether it does its work. What it depends on may be away: a restart does not mend that."""


class Parts:
    """The list. What is used stands before what uses it: they start in this order and stop in the
    reverse of it, so that nothing new can arrive and nothing begun is lost."""

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self._parts = dict(parts)

    def start(self) -> None:
        """Start every part."""
        for part in self._parts.values():
            part.start()

    def stop(self, deadline: Deadline) -> None:
        """Stop every part, and return at `deadline` whatever any of them does.

        The next one's turn comes when a part has ended, or has had half of the time that was left:
        one that hangs costs the others some of their time, never all of it.
        """
        late: dict[str, threading.Thread] = {}
        for name, part in reversed(self._parts.items()):
            ending = threading.Thread(
                target=_end, args=(name, part, deadline), name=f"stop {name}", daemon=True
            )
            ending.start()
            ending.join(deadline.left / 2)
            if ending.is_alive():
                late[name] = ending
        deadline.join(late.values())
        for name, ending in late.items():
            if ending.is_alive():
                log.warning("%s did not stop in time and is left as it is", name)

    def live(self) -> dict[str, bool]:
        """Whether each part does its work, by its name."""
        return {name: part.live for name, part in self._parts.items()}


def _end(name: str, part: Part, deadline: Deadline) -> None:
    try:
        part.stop(deadline)
    except Exception:  # the other parts must stop all the same
        log.exception("%s could not be stopped", name)
