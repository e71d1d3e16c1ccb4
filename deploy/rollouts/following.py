"""Follows the rollout of one run to its end and tells how far it is."""

from deploy.errors import NotFound
from deploy.kube.cluster import Cluster
from deploy.observed.progress import Progress, progress_to_mapping
from deploy.observed.selecting import labelled
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
) -> Progress:
    """How the rollout ended; one that did not finish with what its pods last said.

    Ends early when `stop` is set. RunLost when the run is over; NotFound when the Deployment is
    deleted meanwhile, NamespaceEnds when that is because its namespace is.
    """
    try:
        progress = follow(
            cluster,
            spec.ref,
            chosen=labelled(selector(spec)),
            deadline=spec.rollout.progress_deadline + margin,
            on_progress=lambda p: work.run.progress(progress_to_mapping(p)),
            stop=stop or work.run.lost,
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
