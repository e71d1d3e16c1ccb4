"""What a plan could not look at before it, where that matters to its pods. Pure.

Nodes and classes are the whole cluster's: with a Role alone they are not to be seen.
"""

from collections.abc import Collection, Iterator

from deploy.kube.objects import Manifest
from deploy.plans.preflight.outlook import Outlook, Wanted
from deploy.rules.finding import Finding
from deploy.rules.reading import at, mapping, text

_ALWAYS = ("kubernetes.io/os", "kubernetes.io/arch")
"""Nearly every cluster has nodes with these of the image."""


def unseen_findings(
    wanted: Wanted, outlook: Outlook, new_claims: Collection[Manifest]
) -> Iterator[Finding]:
    """`new_claims` are those that the plan makes."""
    unseen = outlook.unseen
    chosen = [key for key in mapping(wanted.pod.get("nodeSelector")) if key not in _ALWAYS]
    if "Node" in unseen and (chosen or wanted.pod.get("tolerations")):
        yield Finding(
            "nodes",
            "info",
            f"Could not check whether a node accepts the pods: {unseen['Node']}",
            "If no node does, they stay pending.",
            "Compare placement with `kubectl get nodes --show-labels`.",
        )
    if "StorageClass" in unseen and any(map(_needs_class, new_claims)):
        yield Finding(
            "storage-class",
            "info",
            "Could not check whether a StorageClass can provide the volume: "
            f"{unseen['StorageClass']}",
            "If none can, the claim and its pods stay pending.",
            "Compare backup.storageClass with `kubectl get storageclass`.",
        )
    for kind, key in (("RuntimeClass", "runtimeClassName"), ("PriorityClass", "priorityClassName")):
        if kind in unseen and (name := text(wanted.pod.get(key))):
            yield Finding(
                "missing-object",
                "info",
                f"Could not check whether the cluster has {kind} {name}: {unseen[kind]}",
                "Kubernetes does not create pods with a class that does not exist.",
                f"Compare placement.{key} with `kubectl get {kind.lower()}`.",
            )
    for kind, rule in (("ResourceQuota", "quota"), ("LimitRange", "limit-range")):
        if kind in unseen:
            yield Finding(
                rule,
                "info",
                f"Could not check whether every {kind} allows the pods: {unseen[kind]}",
                "One that does not allow them prevents their creation.",
                "Give the bot the right to list them: docs/install.md.",
            )


def _needs_class(claim: Manifest) -> bool:
    return at(claim, "spec", "storageClassName") != "" and not at(claim, "spec", "volumeName")
