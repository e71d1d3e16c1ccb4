"""Why pods do not get ready where no field of theirs tells: the newest event about them, as of a volume that is
attached elsewhere."""

from collections.abc import Callable, Mapping

from deploy.errors import GatewayBotError
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.masking import mask_secrets
from deploy.observed.causes import Cause, cause_of, meaning_of
from deploy.observed.pods import ENDING
from deploy.observed.progress import Progress
from deploy.rollouts.live_state import within

_ASKED = 2
"""Pods of one version mostly wait for the same."""
_SCHEDULER = "FailedScheduling"
"""A pod's own condition tells that, as long as it holds."""
_SECONDS = 2.0
"""A rollout is followed meanwhile by nobody."""


def warned_of(cluster: Cluster, ref: GatewayRef, progress: Progress) -> Mapping[str, Cause]:
    """The cause by Kubernetes' words, of the first pods that are not ready and say nothing themselves; empty
    where there is none, or the cluster does not answer at once."""
    quiet = [
        pod.name
        for pod in progress.pods
        if pod.updated and not (pod.ready or pod.trouble or pod.state == ENDING)
    ][:_ASKED]
    if not quiet:
        return {}
    try:
        found = within(_SECONDS, cluster, [_asking(cluster, ref, name) for name in quiet])
    except GatewayBotError:
        return {}
    newest = (
        max((e for e in events if e.get("reason") != _SCHEDULER), key=_order, default=None)
        for events in found
    )
    told = (_told(event) for event in newest if event is not None)
    return {text: cause for text, cause in told if meaning_of(cause)}


def _asking(cluster: Cluster, ref: GatewayRef, pod: str) -> Callable[[], list[Manifest]]:
    about = f"involvedObject.kind=Pod,involvedObject.name={pod}"
    return lambda: list(cluster.list("Event", ref.namespace, field_selector=about))


def _order(event: Manifest) -> tuple[str, bool]:
    """The last event; of the same second not the warning, which something has followed then."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    latest = max((str(at)[:19] for at in times if at), default="")
    return latest, event.get("type") != "Warning"


def _told(event: Manifest) -> tuple[str, Cause]:
    reason, message = str(event.get("reason", "")), str(event.get("message", ""))
    if event.get("type") != "Warning":
        return "", Cause.OTHER
    return mask_secrets(f"{reason}: {message}"), cause_of(reason, message)
