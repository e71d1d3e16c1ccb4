"""Follows the rollout of one run to its end and tells how far it is."""

import time

from deploy.errors import GatewayBotError, NotFound
from deploy.kube.cluster import Cluster
from deploy.observed.installed import deployment_of
from deploy.observed.progress import Progress, agrees, progress_of, progress_to_mapping
from deploy.observed.selecting import labelled
from deploy.observed.standstill import Standstill, standstill
from deploy.rendering.labels import selector
from deploy.rollouts.live_state import why_gone
from deploy.rollouts.pod_warnings import warned_of
from deploy.rollouts.rollout import StopSignal, explain, follow
from deploy.rollouts.telling import Telling
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
    # A cause that waiting does not heal may end the rollout sooner.
    telling = Telling(
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
    try:
        now = progress_now(cluster, spec)
    except GatewayBotError:
        # What was done stays done; the message shows what was seen last.
        return progress
    if not now.complete:
        return progress
    work.run.progress(progress_to_mapping(now))
    return now


def progress_now(cluster: Cluster, spec: GatewaySpec) -> Progress:
    """The rollout as it is now. NotFound where the Deployment is gone."""
    ref = spec.ref
    deployment, sets, pods = cluster.at_once(
        [
            lambda: [deployment_of(cluster, ref)],
            lambda: cluster.list("ReplicaSet", ref.namespace),
            lambda: cluster.list("Pod", ref.namespace, label_selector=labelled(selector(spec))),
        ]
    )
    return progress_of(deployment[0], sets, pods)


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
