"""Why a run goes back: a cause, which chooses what to do next, and the sentence for people.

The cause is stored as the name of the step that begins to go back, so that a run that resumes the
action after a crash knows it. Kubernetes' own words decide which it is, never ours.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from deploy.actions.action import Step
from deploy.observed.progress import Progress


class Cause(StrEnum):
    """What made a rollout fail. The values are names of steps, found in stored actions.

    `OTHER` is what nothing tells, and what was recorded before causes were.
    """

    IMAGE = "roll back: image"
    CONFIGURATION = "roll back: configuration"
    CRASH = "roll back: crash"
    SCHEDULING = "roll back: scheduling"
    QUOTA = "roll back: quota"
    TOKEN_REFUSED = "roll back: token refused"
    OTHER = "roll back"


_BY_REASON: Mapping[str, Cause] = {
    "ErrImageNeverPull": Cause.IMAGE,
    "ErrImagePull": Cause.IMAGE,
    "ImagePullBackOff": Cause.IMAGE,
    "InvalidImageName": Cause.IMAGE,
    "CreateContainerConfigError": Cause.CONFIGURATION,
    "CreateContainerError": Cause.CONFIGURATION,
    "RunContainerError": Cause.CONFIGURATION,
    "ContainerCannotRun": Cause.CRASH,
    "CrashLoopBackOff": Cause.CRASH,
    "Error": Cause.CRASH,
    "OOMKilled": Cause.CRASH,
    "StartError": Cause.CRASH,
    "Unschedulable": Cause.SCHEDULING,
    "FailedCreate": Cause.QUOTA,
}


@dataclass(frozen=True)
class Reason:
    """Why a run goes back; `text` is a sentence, or empty where the cluster says nothing."""

    cause: Cause
    text: str


def cause_of(reasons: Collection[str]) -> Cause:
    """The cause by Kubernetes' reasons; of several, the one that Cause names first. Pure."""
    found = {_BY_REASON.get(reason, Cause.OTHER) for reason in reasons}
    return next((cause for cause in Cause if cause in found), Cause.OTHER)


def reason_of(progress: Progress) -> Reason:
    """What keeps a rollout from getting on, as far as the cluster says."""
    text, *more = progress.trouble or ("",)
    if more:
        text = f"{text} ({len(more)} more like it or beside it.)"
    return Reason(cause_of(progress.reasons), text)


def recorded_reason(steps: Iterable[Step]) -> Reason | None:
    """Why an earlier run of the action began to go back; None where none did."""
    causes = set(Cause)
    return next((Reason(Cause(s.name), s.detail) for s in steps if s.name in causes), None)
