"""Everything of the bot that has threads, under one protocol and in one list."""

import logging
import threading
from collections.abc import Collection, Mapping
from typing import Protocol

from deploy.deadline import Deadline

log = logging.getLogger(__name__)


class Part(Protocol):
    """Something with threads of its own."""

    def start(self) -> None:
        """Begin; called once, when every part before it has started."""

    def stop(self, deadline: Deadline) -> None:
        """End, waiting until `deadline` for what is under way, and no longer."""

    @property
    def live(self) -> bool:
        """Whether it does its work. What it depends on may be away: a restart does not mend that."""


class Parts:
    """The list. What is used stands before what uses it: they start in this order and stop in the
    reverse of it, so that nothing new can arrive and nothing begun is lost."""

    def __init__(self, parts: Mapping[str, Part], *, at_once: Collection[str] = ()) -> None:
        """Those named in `at_once` are told to stop before all others, which do not wait for them."""
        self._parts = dict(parts)
        self._at_once = at_once
        self._begun: list[str] = []
        self._lock = threading.Lock()
        self._stopping = False

    def start(self) -> None:
        """Start every part, or as many as there is time for before they are told to stop."""
        for name, part in self._parts.items():
            with self._lock:
                if self._stopping:
                    return
                self._begun.append(name)
            part.start()

    def stop(self, deadline: Deadline) -> None:
        """Stop every part that has started, and return at `deadline` whatever any of them does.

        The next one's turn comes when a part has ended, or has had half of the time that was left:
        one that hangs costs the others some of their time, never all of it.
        """
        with self._lock:
            self._stopping = True
            begun = self._begun[::-1]
        ending = {name: self._ending(name, deadline) for name in begun if name in self._at_once}
        for name in begun:
            if name not in ending:
                ending[name] = self._ending(name, deadline)
                ending[name].join(deadline.left / 2)
        deadline.join(ending.values())
        for name, thread in ending.items():
            if thread.is_alive():
                log.warning("%s did not stop in time and is left as it is", name)

    def live(self) -> dict[str, bool]:
        """Whether each part does its work, by its name."""
        return {name: part.live for name, part in self._parts.items()}

    def _ending(self, name: str, deadline: Deadline) -> threading.Thread:
        thread = threading.Thread(
            target=_end, args=(name, self._parts[name], deadline), name=f"stop {name}"
        )
        thread.start()
        return thread


def _end(name: str, part: Part, deadline: Deadline) -> None:
    try:
        part.stop(deadline)
    except Exception:  # the other parts must stop all the same
        log.exception("%s could not be stopped", name)
