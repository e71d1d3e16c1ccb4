"""Records how far a rollout is, and what it is stuck on."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

from deploy.actions.executor import Run
from deploy.observed.causes import Cause
from deploy.observed.obstacles import Obstacles, obstacles, stuck_to_mapping
from deploy.observed.progress import Progress, progress_to_mapping

QUIET = 5.0
"""Seconds between two questions about pods that are not ready and do not say why."""


class Telling:
    """Records how far a rollout is, and what it is stuck on: that comes with time alone."""

    def __init__(
        self,
        run: Run,
        deadline: float | None,
        warned: Callable[[Progress], Mapping[str, Cause]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`deadline` is in how many seconds without any progress the rollout fails, if known; `warned`
        asks the cluster what it says of pods beside what their fields tell."""
        self._run = run
        self._deadline = deadline
        self._warned = warned
        self._clock = clock
        self._ask_at = clock() + QUIET
        self._progress: Progress | None = None
        self._obstacles: Obstacles | None = None
        self._beside: Mapping[str, Cause] = {}
        self._told: Mapping[str, Any] | None = None

    def see(self, progress: Progress) -> None:
        """The rollout has become that. Raises RunLost."""
        self._progress = progress
        if progress.causes:
            self._beside = {}
        self._obstacles = obstacles(self._with_told(progress), self._obstacles, self._clock())
        self._tell(progress, self._obstacles)
        if progress.causes:
            self._ask_at = self._clock() + QUIET

    def look(self) -> None:
        """Time has passed. Raises RunLost."""
        if self._progress is None or self._obstacles is None:
            return
        # A question may take a while.
        self._tell_new(self._progress, self._obstacles)
        if self._clock() >= self._ask_at and not self._progress.causes:
            self._ask_at = self._clock() + QUIET
            self._beside = self._warned(self._progress)
            found = self._with_told(self._progress)
            self._obstacles = obstacles(found, self._obstacles, self._clock())
            self._tell_new(self._progress, self._obstacles)

    def _with_told(self, progress: Progress) -> Progress:
        """With what the cluster said when it was last asked: until the next question that still holds."""
        if not self._beside:
            return progress
        told = self._beside
        return dataclasses.replace(progress, trouble=tuple(told), causes=tuple(told.values()))

    def _tell_new(self, progress: Progress, found: Obstacles) -> None:
        if self._stuck(found) != self._told:
            self._tell(progress, found)

    def _tell(self, progress: Progress, found: Obstacles) -> None:
        self._told = self._stuck(found)
        self._run.progress({**progress_to_mapping(progress), "stuck": self._told})

    def _stuck(self, found: Obstacles) -> Mapping[str, Any] | None:
        return stuck_to_mapping(found, self._clock(), self._deadline)
