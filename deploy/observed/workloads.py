"""Gateways that run in something else than a Deployment, read as if they ran in one. Pure.

This bot deploys gateways as Deployments and changes no other. Others run them in StatefulSets,
DaemonSets and Argo Rollouts, or in pods that nothing of these made: those are shown, watched and
warned of all the same. Fields are those of the Kubernetes API reference (apps/v1) and of
argoproj.io/v1alpha1 (argo-rollouts.readthedocs.io, "Rollout Specification"), looked up 2026-11-29.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from deploy.kube.objects import Manifest
from deploy.observed.pods import is_ready
from deploy.times import epoch

DEPLOYMENT = "Deployment"
OTHERS = ("StatefulSet", "DaemonSet", "Rollout")
"""Further kinds whose objects are read; what else has pods is known by them alone."""
_FIRST_SECONDS = 600.0
"""For how long a workload that was never changed may still be starting (Kubernetes' own default of
`progressDeadlineSeconds`)."""
_HASHES = {"pod-template-hash": DEPLOYMENT, "rollouts-pod-template-hash": "Rollout"}


def workload_kind(workload: Manifest) -> str:
    """The kind of the object that its pods belong to; `Pod` for a pod that belongs to none."""
    return str(workload.get("kind") or DEPLOYMENT)


def is_managed(workload: Manifest) -> bool:
    """Whether this bot can change it."""
    return workload_kind(workload) == DEPLOYMENT


def owner_of(pod: Manifest) -> tuple[str, str]:
    """Kind and name of what a pod belongs to; a Deployment or Rollout by the name of its
    ReplicaSet. A pod that belongs to nothing stands for itself."""
    labels = pod["metadata"].get("labels") or {}
    owners = pod["metadata"].get("ownerReferences") or ()
    for owner in owners:
        name = str(owner.get("name", ""))
        for label, above in _HASHES.items():
            suffix = f"-{labels.get(label, '')}"
            if owner.get("kind") == "ReplicaSet" and label in labels and name.endswith(suffix):
                return above, name.removesuffix(suffix)
    for owner in sorted(owners, key=lambda owner: not owner.get("controller")):
        return str(owner.get("kind", "")), str(owner.get("name", ""))
    return "Pod", str(pod["metadata"]["name"])


def stateful_set(item: Manifest) -> Manifest:
    """As a Deployment would be that has these pods."""
    strategy = item["spec"].get("updateStrategy") or {}
    return _like("StatefulSet", item, strategy, item["spec"].get("replicas", 1))


def daemon_set(item: Manifest) -> Manifest:
    """As a Deployment would be that has these pods: as many as there are nodes for them."""
    status = item.get("status") or {}
    counts = {
        "readyReplicas": status.get("numberReady", 0),
        "updatedReplicas": status.get("updatedNumberScheduled", 0),
        "availableReplicas": status.get("numberAvailable", 0),
        "conditions": status.get("conditions"),
    }
    strategy = item["spec"].get("updateStrategy") or {}
    wanted = status.get("desiredNumberScheduled", 0)
    return _like("DaemonSet", {**item, "status": counts}, strategy, wanted)


def rollout(item: Manifest) -> Manifest:
    """As a Deployment would be that has these pods."""
    strategy = item["spec"].get("strategy") or {}
    canary = {"rollingUpdate": {"maxUnavailable": "25%", **(strategy.get("canary") or {})}}
    like = _like("Rollout", item, canary, item["spec"].get("replicas", 1))
    reference = item["spec"].get("workloadRef")
    return {**like, "spec": {**like["spec"], "workloadRef": reference}} if reference else like


def template_elsewhere(workload: Manifest) -> str:
    """The Deployment whose template a Rollout takes instead of one of its own; empty for others."""
    reference = workload["spec"].get("workloadRef") or {}
    return str(reference.get("name", "")) if reference.get("kind") == DEPLOYMENT else ""


def with_template_of(workload: Manifest, deployment: Manifest) -> Manifest:
    """A Rollout with the template and the selector of the Deployment that it refers to."""
    taken = {key: deployment["spec"].get(key) for key in ("template", "selector")}
    return {**workload, "spec": {**workload["spec"], **taken}}


def of_pods(kind: str, name: str, pods: Sequence[Manifest]) -> Manifest:
    """Pods of which nothing else is known, oldest first, as a Deployment would be that has them."""
    newest = pods[-1]
    metadata = newest["metadata"]
    ready = sum(map(is_ready, pods))
    return {
        # Of a Deployment that is not there its ReplicaSets are left.
        "kind": "ReplicaSet" if kind == DEPLOYMENT else kind or "Pod",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": pods[0]["metadata"].get("creationTimestamp"),
            "labels": metadata.get("labels") or {},
        },
        "spec": {
            "replicas": len(pods),
            "template": {
                "metadata": {"labels": metadata.get("labels") or {}},
                "spec": newest["spec"],
            },
        },
        "status": {
            "readyReplicas": ready,
            "availableReplicas": ready,
            "updatedReplicas": len(pods),
        },
    }


def has_pods_alone(workload: Manifest) -> bool:
    """Whether nothing but its pods is known of it."""
    return not is_managed(workload) and not workload["spec"].get("selector")


def just_made(workload: Manifest, now: float) -> bool:
    """Whether something else than a Deployment was made lately and never changed since."""
    metadata = workload["metadata"]
    made = epoch(metadata.get("creationTimestamp"))
    new = made is not None and now - made < _FIRST_SECONDS
    return new and metadata.get("generation", 1) == 1


def _like(kind: str, item: Manifest, strategy: Mapping[str, Any], replicas: int | None) -> Manifest:
    spec = item["spec"]
    # StatefulSets and DaemonSets replace one pod at a time where nothing else is said.
    rolling = {"maxUnavailable": 1, **(strategy.get("rollingUpdate") or {})}
    return {
        "kind": kind,
        "metadata": item["metadata"],
        "spec": {
            "replicas": 1 if replicas is None else replicas,
            "selector": spec.get("selector"),
            "strategy": {"rollingUpdate": rolling},
            "template": spec.get("template") or {},
        },
        "status": item.get("status") or {},
    }
