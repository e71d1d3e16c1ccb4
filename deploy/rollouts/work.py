"""One run of one action: patience with services that do not answer, and how it ends if they refuse."""

from collections.abc import Callable
from typing import TypeVar

from deploy.actions.action import Action, Outcome, State
from deploy.actions.executor import Run
from deploy.errors import GatewayBotError, NotFound, Unavailable
from deploy.kube.api_errors import NamespaceEnds
from deploy.kube.warnings import distinct
from deploy.retry import HELD_SECONDS, RunLost, patiently

APPLY = "apply"
TOKEN = "token"
"""The steps after which something has changed: what an earlier run recorded tells what it did."""

T = TypeVar("T")


class Work:
    """One run of one action, and what it and earlier runs of it have changed so far."""

    def __init__(
        self, action: Action, run: Run, patience: float, again: str = "Deploy again"
    ) -> None:
        """`again` is how a person tries anew, where an error has no remedy of its own."""
        self.action = action
        self.run = run
        begun = {step.name for step in action.steps}
        self.minted = (action.plan.token.secret or "") if TOKEN in begun else ""
        self.applying = APPLY in begun
        self.applied = False
        self._patience = patience
        self.again = again
        self._warnings: list[str] = []

    def warned(self, texts: tuple[str, ...]) -> None:
        """The API server warned of that beside a write."""
        self._warnings += texts

    @property
    def unshown(self) -> tuple[str, ...]:
        """What it warned of that the plan did not show."""
        shown = self.action.plan.warnings
        return distinct(text for text in self._warnings if text not in shown)

    def minting(self, secret: str) -> None:
        """The Secret of that name was written, or may have been."""
        self.minted = secret

    def check(self) -> None:
        """Raise RunLost when this run may not continue."""
        if self.run.lost.is_set():
            raise RunLost

    def patiently(self, call: Callable[[], T]) -> T:
        """Repeat an idempotent call while a service does not answer, within the bound; once it was
        applied, also what is refused."""
        refused = HELD_SECONDS if self.applied or self.applying else 0.0
        return patiently(call, self.run.lost, self._patience, refused=refused)

    def failure(self, error: GatewayBotError) -> Outcome:
        """How it ended when something refused, with what has been changed until then.

        FAILED only where it is known what state things are in; else UNKNOWN, never a guess.
        """
        state = State.FAILED
        if self.applied and isinstance(error, NotFound | NamespaceEnds):
            meaning = ""
        elif self.applied:
            state = State.UNKNOWN
            meaning = "The plan was applied, but the bot can no longer follow its rollout."
        elif self.applying:
            state = State.UNKNOWN if isinstance(error, Unavailable) else State.FAILED
            meaning = "Some of the gateway's objects may have been changed."
        elif self.minted:
            meaning = (
                f"No pod was changed; Secret {self.minted} with a new token may have been created."
            )
        else:
            meaning = "Nothing was changed."
        return Outcome(
            state,
            error.happened,
            " ".join(part for part in (error.meaning, meaning) if part),
            error.remedy or f"{self.again} once that is settled.",
        )
