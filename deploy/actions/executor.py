"""What the runner and those who carry actions out promise each other."""

import threading
from collections.abc import Mapping
from typing import Any, Protocol

from deploy.actions.action import Action, Outcome
from deploy.kube.unconfirmed import Unconfirmed


class Outgrown(Exception):
    """What was decided no longer suffices for what is about to be done: nothing more may be."""


class Run(Protocol):
    """One try at an action, while its lease lasts."""

    @property
    def lost(self) -> threading.Event:
        """Set when the run is over: the lease is lost, the bot ends, or the action was stopped."""

    @property
    def unconfirmed(self) -> Unconfirmed:
        """Where its writes are noted that may still take effect although they failed."""

    def guard(self) -> None:
        """Look whether this run may still write; to be called before each write.

        Raises RunLost when it may not, Unavailable when the cluster cannot be asked.
        """

    def step(self, name: str, detail: str = "") -> None:
        """Record how far it got. Raises RunLost."""

    def progress(self, state: Mapping[str, Any]) -> None:
        """Record the newest progress, JSON-able. Raises RunLost."""


class Executor(Protocol):
    """Carries out one kind of action. Everything it does may be repeated by another."""

    def execute(self, action: Action, run: Run) -> Outcome:
        """Do it and say how it ended. Raises RunLost when the run is over before that."""
