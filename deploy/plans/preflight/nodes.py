"""Whether any node would take the pods, as far as labels and taints tell. Pure.

Affinity, free resources and what a cluster autoscaler would add are the scheduler's to know, so it is
never more than a warning.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.kube.objects import Manifest
from deploy.plans.preflight.classes import with_runtime
from deploy.plans.preflight.outlook import Outlook, Wanted
from deploy.rules.finding import Finding
from deploy.rules.reading import at, mapping, mappings, text

_OS, _ARCH = "kubernetes.io/os", "kubernetes.io/arch"
_IMAGE = {_OS: "linux", _ARCH: "amd64"}
"""What the image runs on (issue 192 of the gateway's repository: there is none for arm64)."""
_REPELS = ("NoSchedule", "NoExecute")
_PASSED_OVER = (
    *("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/"),
    "eks.amazonaws.com/compute-type",
)
"""Taints of a node that is not ready, full or new, which Kubernetes takes away automatically; and that of
nodes of EKS Fargate, which makes one for each pod of its profiles."""


def node_findings(wanted: Wanted, outlook: Outlook) -> Iterator[Finding]:
    """That no node fits."""
    nodes = [node for node in outlook.nodes or () if not at(node, "spec", "unschedulable")]
    if outlook.nodes is None or not outlook.nodes:
        return
    pod = with_runtime(wanted.pod, outlook)
    chosen = {**_IMAGE, **mapping(pod.get("nodeSelector"))}
    labelled = [node for node in nodes if _has(node, chosen)]
    if not labelled:
        run = sorted({f"{_label(n, _OS)}/{_label(n, _ARCH)}" for n in nodes})
        yield Finding(
            "nodes",
            "warning",
            f"No node has {', '.join(f'{key}={value}' for key, value in sorted(chosen.items()))}.",
            f"Nodes that accept pods: {', '.join(run) or 'none'}. Unless the cluster adds such a "
            "node, the pods stay pending.",
            "Change placement.nodeSelector, or add a node with these labels.",
        )
        return
    tolerated = mappings(pod.get("tolerations"))
    if all(_repels(node, tolerated) for node in labelled):
        taints = sorted({_taint(taint) for node in labelled for taint in _taints(node)})
        yield Finding(
            "nodes",
            "warning",
            "Every node with these labels has a taint that the pods do not tolerate.",
            f"Taints: {', '.join(taints)}.",
            "Add placement.tolerations for one of them.",
        )


def _has(node: Manifest, labels: Mapping[str, Any]) -> bool:
    # A node that does not say what it is may be anything.
    return all(_label(node, key) in (value, "?") for key, value in labels.items())


def _label(node: Manifest, key: str) -> str:
    known = key in (_OS, _ARCH)
    return text(mapping(at(node, "metadata", "labels")).get(key)) or ("?" if known else "")


def _taints(node: Manifest) -> list[Mapping[str, Any]]:
    taints = mappings(at(node, "spec", "taints"))
    return [
        taint
        for taint in taints
        if taint.get("effect") in _REPELS and not text(taint.get("key")).startswith(_PASSED_OVER)
    ]


def _repels(node: Manifest, tolerated: tuple[Mapping[str, Any], ...]) -> bool:
    return any(not any(_bears(each, taint) for each in tolerated) for taint in _taints(node))


def _bears(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    exists = toleration.get("operator") == "Exists"
    if not toleration.get("key"):
        return exists
    same = toleration.get("key") == taint.get("key")
    return same and (exists or (toleration.get("value") or "") == (taint.get("value") or ""))


def _taint(taint: Mapping[str, Any]) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{text(taint.get('key'))}{value}:{text(taint.get('effect'))}"
