"""Follows the rollout of one run to its end and tells how far it is."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

from deploy.actions.executor import Run
from deploy.errors import GatewayBotError, NotFound
from deploy.kube.cluster import Cluster
from deploy.observed.causes import Cause
from deploy.observed.installed import deployment_of
from deploy.observed.obstacles import Obstacles, obstacles, stuck_to_mapping
from deploy.observed.progress import Progress, agrees, progress_of, progress_to_mapping
from deploy.observed.selecting import labelled
from deploy.observed.standstill import Standstill, standstill
from deploy.rendering.labels import selector
from deploy.rollouts.live_state import why_gone
from deploy.rollouts.pod_warnings import warned_of
from deploy.rollouts.rollout import StopSignal, explain, follow
from deploy.rollouts.work import Work
from deploy.specs.gateway_spec import GatewaySpec

_QUIET = 5.0
"""Seconds between two questions about pods that are not ready and do not say why."""
MARGIN = 60.0
"""Added to the Deployment's own progress deadline, which its controller watches."""


def follow_through(
    work: Work,
    cluster: Cluster,
    spec: GatewaySpec,
    margin: float = MARGIN,
    stop: StopSignal | None = None,
    standing: float | None = None,
) -> Progress:
    """How the rollout ended; one that did not finish with what its pods last said.

    Ends early when `stop` is set, and where `standing` is given, once a cause that waiting does not
    heal has held it up for at least so many seconds. RunLost when the run is over; NotFound when
    the Deployment is deleted meanwhile, NamespaceEnds when that is because its namespace is.
    """
    ends = _Ends(stop or work.run.lost, standing)
    # A cause that waiting does not heal may end the rollout sooner.
    telling = _Telling(
        work.run,
        spec.rollout.progress_deadline if standing is None else None,
        lambda progress: warned_of(cluster, spec.ref, progress),
    )

    def seen(progress: Progress) -> None:
        telling.see(progress)
        ends.see(progress)

    try:
        progress = follow(
            cluster,
            spec.ref,
            chosen=labelled(selector(spec)),
            deadline=spec.rollout.progress_deadline + margin,
            on_progress=seen,
            stop=ends,
            on_look=telling.look,
        )
    except NotFound:
        raise why_gone(cluster, spec.ref) from None
    if progress.complete:
        return progress
    work.check()
    if not progress.stale_since:
        progress = explain(cluster, spec.ref, progress)
    work.run.progress(progress_to_mapping(progress))
    return progress


def last_look(work: Work, cluster: Cluster, spec: GatewaySpec, progress: Progress) -> Progress:
    """The same rollout as it is at the end of its action, read once more where its pods were still about to
    go, or their watch behind what the Deployment said. RunLost when the run is over."""
    if agrees(progress):
        return progress
    ref = spec.ref
    try:
        deployment, sets, pods = cluster.at_once(
            [
                lambda: [deployment_of(cluster, ref)],
                lambda: cluster.list("ReplicaSet", ref.namespace),
                lambda: cluster.list("Pod", ref.namespace, label_selector=labelled(selector(spec))),
            ]
        )
    except GatewayBotError:
        # What was done stays done; the message shows what was seen last.
        return progress
    now = progress_of(deployment[0], sets, pods)
    if not now.complete:
        return progress
    work.run.progress(progress_to_mapping(now))
    return now


class _Telling:
    """Records how far a rollout is, and what it is stuck on: that comes with time alone."""

    def __init__(
        self,
        run: Run,
        deadline: float | None,
        warned: Callable[[Progress], Mapping[str, Cause]],
    ) -> None:
        """`deadline` is in how many seconds without any progress the rollout fails, if known; `warned`
        asks the cluster what it says of pods beside what their fields tell."""
        self._run = run
        self._deadline = deadline
        self._warned = warned
        self._ask_at = time.time() + _QUIET
        self._progress: Progress | None = None
        self._obstacles: Obstacles | None = None
        self._told: Mapping[str, Any] | None = None

    def see(self, progress: Progress) -> None:
        """The rollout has become that. Raises RunLost."""
        self._progress = progress
        self._obstacles = obstacles(progress, self._obstacles, time.time())
        self._tell(progress, self._obstacles)
        if progress.causes:
            self._ask_at = time.time() + _QUIET

    def look(self) -> None:
        """Time has passed. Raises RunLost."""
        if self._progress is None or self._obstacles is None:
            return
        if time.time() >= self._ask_at and not self._progress.causes:
            self._ask_at = time.time() + _QUIET
            told = self._warned(self._progress)
            beside = dataclasses.replace(
                self._progress, trouble=tuple(told), causes=tuple(told.values())
            )
            self._obstacles = obstacles(beside, self._obstacles, time.time())
        if self._stuck(self._obstacles) != self._told:
            self._tell(self._progress, self._obstacles)

    def _tell(self, progress: Progress, found: Obstacles) -> None:
        self._told = self._stuck(found)
        self._run.progress({**progress_to_mapping(progress), "stuck": self._told})

    def _stuck(self, found: Obstacles) -> Mapping[str, Any] | None:
        return stuck_to_mapping(found, time.time(), self._deadline)


class _Ends:
    """Set once something else says so, or the rollout stands still for good."""

    def __init__(self, stop: StopSignal, standing: float | None) -> None:
        self._stop = stop
        self._standing = standing
        self._still: Standstill | None = None

    def see(self, progress: Progress) -> None:
        """The rollout has become that."""
        self._still = standstill(progress, self._still, time.monotonic())

    def is_set(self) -> bool:
        """Whether to look no further."""
        if self._stop.is_set():
            return True
        if self._standing is None or self._still is None:
            return False
        return self._still.is_final(time.monotonic(), self._standing)
