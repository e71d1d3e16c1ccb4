"""The rights that the bot needs on a cluster: in a namespace where it has nothing but a Role, and where
a ClusterRole lets it read the outline of all namespaces.

What is documented, installed, checked and tested is this one table; a test compares it with what an API
server's audit log says the bot asks for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from deploy.annotations import MANAGER

RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Rights:
    """What is done with some resources of an API group; `why` says what for, `needed` whether
    nothing works without."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str
    needed: bool = True

    @property
    def rule(self) -> dict[str, list[str]]:
        """The rule of a Role."""
        return {
            "apiGroups": [self.group],
            "resources": list(self.resources),
            "verbs": list(self.verbs),
        }


_WRITE = ("create", "patch", "delete")
_LOOK = ("get", "list", "watch")

IN_NAMESPACE = (
    Rights("", ("namespaces",), ("get",), "whether it exists, or is being deleted"),
    Rights("apps", ("deployments",), (*_LOOK, *_WRITE), "gateways"),
    Rights("", ("configmaps",), (*_LOOK, *_WRITE), "their settings"),
    Rights("", ("secrets",), ("get", "list", *_WRITE), "their tokens"),
    Rights("", ("services",), ("get", "list", *_WRITE), "how clients and pods reach them"),
    Rights("autoscaling", ("horizontalpodautoscalers",), ("get", "list", *_WRITE), "autoscaling"),
    Rights("policy", ("poddisruptionbudgets",), ("get", "list", *_WRITE), "disruption budgets"),
    Rights(
        "networking.k8s.io",
        ("networkpolicies",),
        ("get", *_WRITE),
        "network policies, where specs ask for one",
        False,
    ),
    Rights("", ("persistentvolumeclaims",), ("get", "list", *_WRITE), "backup"),
    Rights("", ("serviceaccounts",), ("get", *_WRITE), "identity"),
    Rights("", ("pods",), _LOOK, "what runs"),
    Rights("apps", ("replicasets",), ("list", "watch"), "earlier revisions for a rollback"),
    Rights(
        "coordination.k8s.io",
        ("leases",),
        ("get", "create", "update", "delete"),
        "one change at a time",
    ),
    Rights("", ("pods/log", "pods/proxy"), ("get",), "logs, and evidence of heartbeats", False),
    Rights("", ("events",), ("list",), "why pods do not start", False),
    Rights("", ("resourcequotas", "limitranges"), ("list",), "what would make a plan fail", False),
    Rights("batch", ("cronjobs",), ("list",), "other jobs that rotate tokens", False),
    Rights("apps", ("statefulsets", "daemonsets"), _LOOK, "gateways of others", False),
    Rights("argoproj.io", ("rollouts",), _LOOK, "the same", False),
)
"""Of every kind of request that the bot makes, those that a Role can allow."""

IN_CLUSTER = (
    Rights("", ("pods", "configmaps"), _LOOK, "what runs"),
    Rights("", ("namespaces", "services"), ("get", "list"), "where it runs"),
    Rights("", ("events",), ("list",), "why pods do not start", False),
    Rights("apps", ("deployments",), _LOOK, "gateways"),
    Rights("apps", ("replicasets",), ("list", "watch"), "versions to go back to"),
    Rights("batch", ("cronjobs",), ("list",), "others that rotate tokens", False),
    Rights(
        "",
        ("nodes", "resourcequotas", "limitranges"),
        ("list",),
        "what a plan would fail at",
        False,
    ),
    Rights("storage.k8s.io", ("storageclasses",), ("list",), "the same", False),
    Rights("node.k8s.io", ("runtimeclasses",), ("list",), "the same", False),
    Rights("scheduling.k8s.io", ("priorityclasses",), ("list",), "the same", False),
    Rights("apps", ("statefulsets", "daemonsets"), _LOOK, "gateways of others", False),
    Rights("argoproj.io", ("rollouts",), _LOOK, "the same", False),
)
"""What it reads of a whole cluster whose settings list no namespaces."""


def _beside(everywhere: Sequence[Rights]) -> tuple[Rights, ...]:
    """Those in a namespace that `everywhere` does not give already."""
    given = {
        (rights.group, resource, verb)
        for rights in everywhere
        for resource in rights.resources
        for verb in rights.verbs
    }
    left = []
    for rights in IN_NAMESPACE:
        by_verbs: dict[tuple[str, ...], list[str]] = {}
        for resource in rights.resources:
            verbs = tuple(v for v in rights.verbs if (rights.group, resource, v) not in given)
            by_verbs.setdefault(verbs, []).append(resource)
        left += [
            replace(rights, resources=tuple(resources), verbs=verbs)
            for verbs, resources in by_verbs.items()
            if verbs
        ]
    return tuple(left)


BESIDE_CLUSTER_ROLE = _beside(IN_CLUSTER)
"""What it needs in a namespace with gateways when it has the ClusterRole."""


def cluster_role(name: str = MANAGER) -> dict[str, Any]:
    """The ClusterRole to read the outline of a whole cluster."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [each.rule for each in IN_CLUSTER],
    }


def role(
    namespace: str, rights: Sequence[Rights] = IN_NAMESPACE, name: str = MANAGER
) -> dict[str, Any]:
    """The Role for one namespace."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": name, "namespace": namespace},
        "rules": [each.rule for each in rights],
    }
