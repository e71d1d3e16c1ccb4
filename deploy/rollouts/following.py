"""Follows the rollout of one run to its end and tells how far it is."""

import time

from deploy.errors import NotFound
from deploy.kube.cluster import Cluster
from deploy.observed.progress import Progress, progress_to_mapping
from deploy.observed.selecting import labelled
from deploy.observed.standstill import Standstill, standstill
from deploy.rendering.labels import selector
from deploy.rollouts.live_state import why_gone
from deploy.rollouts.rollout import StopSignal, explain, follow
from deploy.rollouts.work import Work
from deploy.specs.gateway_spec import GatewaySpec

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

    def seen(progress: Progress) -> None:
        work.run.progress(progress_to_mapping(progress))
        ends.see(progress)

    try:
        progress = follow(
            cluster,
            spec.ref,
            chosen=labelled(selector(spec)),
            deadline=spec.rollout.progress_deadline + margin,
            on_progress=seen,
            stop=ends,
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
