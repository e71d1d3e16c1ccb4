"""What holds up a rollout, and since when: the headline of its message while it is followed. Pure.

A cause counts once it has lasted a moment: a node may just be starting, and the first pull of an image may
fail. A container that crashes again and again runs for a while in between, so that a cause which is gone for
a moment is still there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.masking import masked
from deploy.observed.causes import Cause
from deploy.observed.progress import Progress

LASTS = 8.0
"""Seconds a cause must last until the rollout is called stuck."""
FORGOTTEN = 20.0
"""Seconds without it after which a cause is over."""
_LONGEST = 300


@dataclass(frozen=True)
class Obstacle:
    """One cause, in Kubernetes' words. `since` is when it was first seen; `gone` since when it is not, None
    while it is."""

    said: str
    since: float
    gone: float | None = None

    def lasted(self, now: float) -> float:
        """For how many seconds it was there."""
        return (now if self.gone is None else self.gone) - self.since


@dataclass(frozen=True)
class Obstacles:
    """What was in the way of a rollout that had got as far as `figures`, which it last did at `moved`.
    Times are epoch seconds."""

    figures: tuple[int, ...]
    moved: float
    found: Mapping[Cause, Obstacle]

    def stuck(self, now: float) -> tuple[Cause, Obstacle] | None:
        """What the rollout is stuck on: of several causes that which Cause names first."""
        lasting = (
            (cause, self.found[cause])
            for cause in Cause
            if cause in self.found and self.found[cause].lasted(now) >= LASTS
        )
        return next((each for each in lasting if not _is_over(each[1], now)), None)


def obstacles(progress: Progress, before: Obstacles | None, now: float) -> Obstacles:
    """What is in the way after the rollout has become that. What cannot be seen stays as it was."""
    if before is not None and progress.stale_since is not None:
        return before
    figures = (progress.updated, progress.ready, progress.available, -progress.old)
    moved = before is None or figures != before.figures
    kept = {} if before is None or moved else before.found
    told = dict(reversed(list(zip(progress.causes, progress.trouble, strict=True))))
    found = {
        cause: Obstacle(masked(said, _LONGEST), kept[cause].since if cause in kept else now)
        for cause, said in told.items()
    }
    for cause, obstacle in kept.items():
        gone = now if obstacle.gone is None else obstacle.gone
        left = Obstacle(obstacle.said, obstacle.since, gone)
        if cause not in found and not _is_over(left, now):
            found[cause] = left
    if progress.complete:
        found = {}
    return Obstacles(figures, now if before is None or moved else before.moved, found)


def stuck_to_mapping(found: Obstacles, now: float, deadline: float | None) -> dict[str, Any] | None:
    """What the rollout is stuck on, as stored with the progress of an action: JSON-able, None where it is
    not stuck. `until` is when it fails unless pods get ready, where the `deadline` in seconds is known."""
    stuck = found.stuck(now)
    if stuck is None:
        return None
    cause, obstacle = stuck
    until = None if deadline is None else found.moved + deadline
    return {
        "cause": cause.value,
        "said": obstacle.said,
        "since": obstacle.since,
        "until": until,
    }


def _is_over(obstacle: Obstacle, now: float) -> bool:
    return obstacle.gone is not None and now - obstacle.gone >= FORGOTTEN
