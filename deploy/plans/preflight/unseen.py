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
            f"Whether a node takes the pods is not known: {unseen['Node']}",
            "On a cluster without one, they stay pending.",
            "Compare placement with `kubectl get nodes --show-labels`.",
        )
    if "StorageClass" in unseen and any(map(_needs_class, new_claims)):
        yield Finding(
            "storage-class",
            "info",
            f"Whether a StorageClass can make the volume is not known: {unseen['StorageClass']}",
            "Where none can, the claim stays pending, and the pods with it.",
            "Compare backup.storageClass with `kubectl get storageclass`.",
        )
    for kind, key in (("RuntimeClass", "runtimeClassName"), ("PriorityClass", "priorityClassName")):
        if kind in unseen and (name := text(wanted.pod.get(key))):
            yield Finding(
                "missing-object",
                "info",
                f"Whether the cluster has {kind} {name} is not known: {unseen[kind]}",
                "Kubernetes creates no pod of a class that does not exist.",
                f"Compare placement.{key} with `kubectl get {kind.lower()}`.",
            )
    for kind, rule in (("ResourceQuota", "quota"), ("LimitRange", "limit-range")):
        if kind in unseen:
            yield Finding(
                rule,
                "info",
                f"Whether a {kind} allows the pods is not known: {unseen[kind]}",
                "One that does not keeps them from being created.",
                "Give the bot the right to list them: docs/install.md.",
            )


def _needs_class(claim: Manifest) -> bool:
    return at(claim, "spec", "storageClassName") != "" and not at(claim, "spec", "volumeName")
