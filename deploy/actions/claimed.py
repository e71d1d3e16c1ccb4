"""An action while one bot carries it out."""

import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

from deploy.actions.action import Action
from deploy.actions.fencing import Fence, FenceLost
from deploy.actions.reader import Interruption
from deploy.actions.store import ActionStore
from deploy.kube.unconfirmed import Unconfirmed
from deploy.retry import RunLost, patiently


class ClaimedRun:
    """One bot's turn at an action: what the executor sees of it.

    It is over, which `lost` signals to all who wait, when the action is another's, when Redis has
    lost the action, and when somebody stopped it, which `stopped` signals.
    """

    def __init__(self, store: ActionStore, action: Action, owner: str, fence: int) -> None:
        self.fence = fence
        self.lost = threading.Event()
        self.stopped = False
        self.hold: Fence | None = None
        self.unconfirmed = Unconfirmed()
        self._store = store
        self._action = action
        self._owner = owner
        self._count = len(action.steps)
        if action.stop_by:
            self._stop()

    def look(self) -> None:
        """End the run if somebody stopped the action, or Redis has lost it. Unavailable when Redis
        cannot be used."""
        found = self._store.interruption(self._action.id)
        if found is Interruption.STOPPED:
            self._stop()
        elif found is Interruption.LOST:
            # What nobody can see or stop any longer must not continue.
            self.lost.set()

    def _stop(self) -> None:
        self.stopped = True
        self.lost.set()

    def guard(self) -> None:
        """Look whether the gateway is this run's still, and the action not stopped."""
        if self.lost.is_set() or self.hold is None:
            raise RunLost
        try:
            self.hold.guard()
        except FenceLost:
            self.lost.set()
            raise RunLost from None
        patiently(self.look, self.lost, math.inf)
        if self.lost.is_set():
            raise RunLost

    def step(self, name: str, detail: str = "") -> None:
        """Record how far it got."""
        self._count += 1
        request_id = f"{self._owner}:{self.fence}:{self._count}"
        self._tell(
            lambda: self._store.step(
                self._action.id, self._owner, self.fence, name, detail, request_id
            )
        )

    def progress(self, state: Mapping[str, Any]) -> None:
        """Record the newest progress."""
        self._tell(lambda: self._store.progress(self._action.id, self._owner, self.fence, state))

    def _tell(self, record: Callable[[], bool]) -> None:
        # While Redis is away the run is not at fault: it ends when its lease does.
        if not patiently(record, self.lost, math.inf):
            patiently(self.look, self.lost, math.inf)
            self.lost.set()
        if self.lost.is_set():
            raise RunLost
