"""Whether waiting may still bring a rollout to its end, or only a change that somebody makes. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.observed.causes import Cause, cause_of
from deploy.observed.pods import ENDING, PodProgress
from deploy.observed.progress import Progress

AT_ONCE = 5.0
"""For so many seconds what Kubernetes said of an earlier version may still stand there."""
SOON = 45.0
"""For so many seconds a cause may be somebody's passing change. Kubernetes tries again to create a pod
after pauses that double: the last ones that soon are 20 and 41 seconds after the first."""
RESTARTED = 170.0
"""For so many seconds a webhook that does not answer may be starting anew, as when it is upgraded: the
next tries of Kubernetes are 82 and 164 seconds after the first. Every rotation in the cluster would meet
it, and two failures in a row stop those that are automatic."""

_PATIENCE: Mapping[Cause, float] = {
    Cause.NAMESPACE_ENDS: AT_ONCE,
    Cause.NO_LIMITS: AT_ONCE,
    Cause.LIMIT_RANGE: AT_ONCE,
    Cause.POD_SECURITY: AT_ONCE,
    Cause.SECURITY_CONSTRAINT: AT_ONCE,
    Cause.POLICY: AT_ONCE,
    Cause.WEBHOOK: AT_ONCE,
    Cause.ROOT: AT_ONCE,
    # Another rollout in the namespace may give its room back.
    Cause.QUOTA: SOON,
    Cause.PAUSED: SOON,
    Cause.NO_ACCOUNT: SOON,
    Cause.WEBHOOK_DOWN: RESTARTED,
    Cause.MISSING_KEY: SOON,
    Cause.MISSING_OBJECT: SOON,
    Cause.REFUSED: SOON,
}


def patience_with(cause: Cause) -> float | None:
    """After how many seconds a cause that is still there no longer heals by waiting; None where it may
    at any time, as where an image cannot be pulled or nodes are being added."""
    return _PATIENCE.get(cause)


@dataclass(frozen=True)
class Standstill:
    """A rollout that a cause holds up which waiting does not heal. `since` is when it began, `moved` when
    pods of the gateway last came or went beside it; `moving` says that some do now, or have yet to count
    as available."""

    since: float
    moved: float
    moving: bool
    patience: float

    def is_final(self, now: float, least: float = AT_ONCE) -> bool:
        """Whether nothing is left to wait for, after at least `least` seconds.

        Pods that go make room, and the pauses of Kubernetes grow meanwhile as long as it has tried.
        """
        if self.moving:
            return False
        return now - self.moved >= max(self.patience, least, self.moved - self.since)


def standstill(progress: Progress, before: Standstill | None, now: float) -> Standstill | None:
    """The objects that stand still after the rollout has become that; None where waiting may heal it."""
    found = [p for cause in progress.causes if (p := patience_with(cause)) is not None]
    if not found or progress.complete or progress.stale_since is not None:
        return None
    # Within minReadySeconds a ready pod is not available, and no old one goes before it is.
    counting = progress.available < progress.ready + progress.serving
    moving = counting or any(map(_moves, progress.pods))
    if before is None:
        return Standstill(now, now, moving, min(found))
    moved = now if moving or before.moving else before.moved
    return Standstill(before.since, moved, moving, min(found))


def _moves(pod: PodProgress) -> bool:
    """Whether the pod is about to get ready, or to go."""
    if pod.state == ENDING:
        return True
    if not pod.updated or pod.ready:
        return False
    return not pod.trouble or patience_with(cause_of(pod.reason, pod.trouble)) is None
