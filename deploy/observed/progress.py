"""How far a rollout is: a pure function of the Deployment, its ReplicaSets and its pods."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deploy.kube.objects import Manifest
from deploy.masking import mask_secrets
from deploy.observed.causes import Cause, cause_of
from deploy.observed.pods import ENDING, PodProgress, is_over, pod_progress
from deploy.times import epoch

_HASH = "pod-template-hash"
_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"


@dataclass(frozen=True)
class Progress:
    """A rollout as it stands.

    `ready` counts ready pods of the wanted version alone, `available` those of any version, as
    the Deployment's status does; `old` the pods of versions before. `complete` and `failed` are
    what `kubectl rollout status` would say. `serving` is how many pods of versions before are
    ready. `trouble` says what keeps the rollout from getting on and `causes` has the cause of each
    words for it. `stale_since` (epoch seconds) is set while the cluster cannot be asked.
    """

    desired: int
    updated: int
    ready: int
    available: int
    old: int
    complete: bool
    failed: bool
    serving: int = 0
    pods: tuple[PodProgress, ...] = ()
    trouble: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    stale_since: float | None = None


def progress_of(
    deployment: Manifest,
    replica_sets: Iterable[Manifest],
    pods: Iterable[Manifest],
    events: Iterable[Manifest] = (),
) -> Progress:
    """Where the rollout stands.

    `events`, where given, lend each troubled pod the newest warning about it.
    """
    spec, status = deployment["spec"], deployment.get("status") or {}
    observed = _generation(deployment) <= int(status.get("observedGeneration", 0))
    desired = int(spec.get("replicas", 1))
    updated = int(status.get("updatedReplicas", 0)) if observed else 0
    total = int(status.get("replicas", 0))
    available = int(status.get("availableReplicas", 0))
    failed = observed and _deadline_exceeded(deployment)
    # The controller's own sense of complete (deployment_util.go). kubectl's is content with more
    # pods than wanted, so it calls a scale-down done before any pod has gone.
    complete = observed and not failed and updated == total == available == desired
    owned = [rs for rs in replica_sets if _owned_by(rs, deployment)]
    newest = _newest(deployment, owned) if observed else None
    seen = _pods(owned, newest, pods, _warnings(events))
    ready = int(status.get("readyReplicas", 0)) if complete else _ready(newest)
    troubles = {} if complete else _troubles(deployment, owned, seen)
    return Progress(
        desired=desired,
        updated=updated,
        ready=ready,
        available=available,
        old=max(0, total - updated),
        complete=complete,
        failed=failed,
        serving=sum(pod.ready and not pod.updated for pod in seen),
        pods=seen,
        trouble=tuple(troubles),
        causes=tuple(troubles.values()),
    )


def agrees(progress: Progress) -> bool:
    """Whether the pods show what the Deployment says: as many ready ones as it wants, and none that ends."""
    ready = sum(pod.ready and pod.updated for pod in progress.pods)
    return ready >= progress.desired and all(pod.state != ENDING for pod in progress.pods)


def progress_to_mapping(progress: Progress) -> dict[str, Any]:
    """What is stored with an action and shown: JSON-able."""
    return {
        "desired": progress.desired,
        "updated": progress.updated,
        "ready": progress.ready,
        "available": progress.available,
        "old": progress.old,
        "serving": progress.serving,
        "complete": progress.complete,
        "failed": progress.failed,
        "trouble": list(progress.trouble),
        "stale_since": progress.stale_since,
        "pods": [
            {
                "name": pod.name,
                "state": pod.state,
                "ready": pod.ready,
                "restarts": pod.restarts,
                "node": pod.node,
                "created_at": pod.created_at,
                "updated": pod.updated,
                "trouble": pod.trouble,
                "last_exit": pod.last_exit,
                "event": pod.event,
                "log": pod.log,
            }
            for pod in progress.pods
        ],
    }


def _generation(deployment: Manifest) -> int:
    return int(deployment["metadata"].get("generation", 0))


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    for condition in status.get("conditions") or ():
        if condition["type"] == kind:
            found: Mapping[str, Any] = condition
            return found
    return {}


def _deadline_exceeded(deployment: Manifest) -> bool:
    """Whether the controller has given up on what is wanted now.

    Its verdict stays, though another version is wanted since, when that one's ReplicaSet is there
    already and as large as it must be: then nothing ever counts as progress.
    """
    condition = _condition(deployment.get("status") or {}, "Progressing")
    if condition.get("reason") != _DEADLINE_EXCEEDED:
        return False
    said = epoch(condition.get("lastUpdateTime"))
    written = [
        at
        for entry in deployment["metadata"].get("managedFields") or ()
        if not entry.get("subresource") and "f:spec" in (entry.get("fieldsV1") or {})
        if (at := epoch(entry.get("time"))) is not None
    ]
    # Within one second a verdict is an earlier one: a deadline lasts longer than that.
    return said is None or not written or said > max(written)


def _owned_by(item: Manifest, owner: Manifest) -> bool:
    uid = owner["metadata"].get("uid")
    return any(o.get("uid") == uid for o in item["metadata"].get("ownerReferences") or ())


def _newest(deployment: Manifest, replica_sets: Sequence[Manifest]) -> Manifest | None:
    """The ReplicaSet of the template that is wanted now; None before it is made, as while the
    Deployment is paused. By the template, never by a number (deployment_util.go, FindNewReplicaSet)."""
    wanted = _template(deployment)
    alike = [each for each in replica_sets if _template(each) == wanted]
    return min(alike, key=lambda each: str(each["metadata"].get("creationTimestamp")), default=None)


def _template(item: Manifest) -> Mapping[str, Any]:
    """The template of its pods, without the label that tells ReplicaSets apart."""
    template = (item.get("spec") or {}).get("template") or {}
    metadata = template.get("metadata") or {}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != _HASH}
    return {**template, "metadata": {**metadata, "labels": labels}}


def _ready(replica_set: Manifest | None) -> int:
    return int(((replica_set or {}).get("status") or {}).get("readyReplicas", 0))


def _pods(
    replica_sets: Sequence[Manifest],
    newest: Manifest | None,
    pods: Iterable[Manifest],
    warnings: Mapping[str, str],
) -> tuple[PodProgress, ...]:
    found: list[PodProgress] = []
    ended: list[PodProgress] = []
    for pod in pods:
        if not any(_owned_by(pod, each) for each in replica_sets):
            continue
        updated = newest is not None and _owned_by(pod, newest)
        seen = pod_progress(pod, updated=updated)
        warning = warnings.get(seen.name, "")
        if not seen.ready and warning and seen.state != ENDING:
            seen = replace(seen, event=warning)
        (ended if is_over(pod) else found).append(seen)
    if not any(pod.updated for pod in found):
        # Nothing else tells why no pod of the wanted version lives.
        newest_first = sorted(ended, key=lambda pod: (not pod.updated, -pod.created_at))
        found += [pod for pod in newest_first[:1] if pod.updated]
    return tuple(sorted(found, key=lambda pod: (not pod.updated, pod.created_at, pod.name)))


def _warnings(events: Iterable[Manifest]) -> dict[str, str]:
    newest: dict[str, tuple[str, str]] = {}
    for event in events:
        involved = event.get("involvedObject") or {}
        if event.get("type") != "Warning" or involved.get("kind") != "Pod":
            continue
        at = event.get("lastTimestamp") or event.get("eventTime") or ""
        name = str(involved.get("name", ""))
        if name not in newest or at >= newest[name][0]:
            text = f"{event.get('reason', '')}: {event.get('message', '')}"
            newest[name] = (at, mask_secrets(text))
    return {name: text for name, (_, text) in newest.items()}


def _troubles(
    deployment: Manifest, replica_sets: Sequence[Manifest], pods: Sequence[PodProgress]
) -> dict[str, Cause]:
    """The words of each and its cause: quota and the like first, then the pods' own."""
    found = []
    if deployment["spec"].get("paused"):
        found.append(
            ("Paused", ("The Deployment is paused, so Kubernetes does not replace its pods."))
        )
    for item in (deployment, *replica_sets):
        failure = _condition(item.get("status") or {}, "ReplicaFailure")
        if failure.get("status") == "True":
            reason = failure.get("reason", "")
            found.append((reason, f"{reason}: {failure.get('message', '')}"))
    found += [(pod.reason, pod.trouble) for pod in pods if pod.updated and pod.trouble]
    return {mask_secrets(text): cause_of(reason, text) for reason, text in found}
