"""One run of one action: patience with services that do not answer, and how it ends if they refuse."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from deploy.actions.executor import Run, RunLost
from deploy.actions.record import Action, Outcome, State
from deploy.errors import GatewayBotError, NotFound, Unavailable

PATIENCE = 30.0
"""For how long, in seconds, a service that does not answer is asked again."""
_PAUSE = 1.0

T = TypeVar("T")


class Work:
    """One run of one action, and what it has changed so far."""

    def __init__(
        self, action: Action, run: Run, patience: float, again: str = "Deploy again"
    ) -> None:
        """`again` is how a person tries anew, where an error has no remedy of its own."""
        self.action = action
        self.run = run
        self.minted = ""
        self.applying = False
        self.applied = False
        self._patience = patience
        self.again = again

    @property
    def _lost(self) -> threading.Event:
        return self.run.lost

    def check(self) -> None:
        """Raise RunLost when this run may not go on."""
        if self._lost.is_set():
            raise RunLost

    def patiently(self, call: Callable[[], T]) -> T:
        """Repeat an idempotent call while a service does not answer, within the bound."""
        give_up = time.monotonic() + self._patience
        while True:
            self.check()
            try:
                return call()
            except Unavailable as error:
                wait = error.retry_after or _PAUSE
                if time.monotonic() + wait > give_up:
                    raise
            if self._lost.wait(wait):
                raise RunLost

    def failure(self, error: GatewayBotError) -> Outcome:
        """How it ended when something refused, with what has been changed until then.

        FAILED only where it is known what state things are in; else UNKNOWN, never a guess.
        """
        state = State.FAILED
        if self.applied and isinstance(error, NotFound):
            meaning = ""
        elif self.applied:
            state = State.UNKNOWN
            meaning = "The plan was applied, but how its rollout goes on cannot be seen."
        elif self.applying:
            state = State.UNKNOWN if isinstance(error, Unavailable) else State.FAILED
            meaning = "Some of the gateway's objects may have been changed, others not."
        elif self.minted:
            meaning = f"No pod runs differently; Secret {self.minted} with a new token was made."
        else:
            meaning = "Nothing was changed."
        return Outcome(
            state,
            error.happened,
            " ".join(part for part in (error.meaning, meaning) if part),
            error.remedy or f"{self.again} once that is settled.",
        )
