"""Why a run goes back: a cause, which chooses what to do next, and the sentence for people.

The cause is stored as the name of the step that begins to go back, so that a run that resumes the
action after a crash knows it. Kubernetes' own words decide which it is, never ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from deploy.actions.action import Step
from deploy.observed.causes import Cause, cause_of, meaning_of
from deploy.observed.progress import Progress


@dataclass(frozen=True)
class Reason:
    """Why a run goes back; `text` is what the cluster says, or empty where it says nothing."""

    cause: Cause
    text: str

    @property
    def told(self) -> str:
        """What it means, and the cluster's own words."""
        meaning = meaning_of(self.cause)
        # Of a pause the cluster has no words of its own.
        return self.text if self.text.startswith(meaning) else f"{meaning} {self.text}".strip()


def reason_of(progress: Progress) -> Reason:
    """What keeps a rollout from getting on, as far as the cluster says: of several troubles that
    whose cause Cause names first, and where there is none the newest warning about a pod."""
    order = list(Cause)
    found = sorted(
        zip(progress.causes, progress.trouble, strict=True), key=lambda e: order.index(e[0])
    )
    if not found:
        told = [pod.event for pod in progress.pods if pod.updated and not pod.ready and pod.event]
        found = [(cause_of(text.partition(":")[0], text), text) for text in told[:1]]
    (cause, text), *more = found or [(Cause.OTHER, "")]
    if more:
        text = f"{text} ({len(more)} more found.)"
    return Reason(cause, text)


def recorded_reason(steps: Iterable[Step]) -> Reason | None:
    """Why an earlier run of the action began to go back; None where none did."""
    causes = set(Cause)
    return next((Reason(Cause(s.name), s.detail) for s in steps if s.name in causes), None)
