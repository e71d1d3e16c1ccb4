"""The rights that the bot needs in a namespace where it has nothing but a Role.

What is documented, checked and tested is this one table; a test compares it with what an API server's
audit log says the bot asks for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
        "coordination.k8s.io", ("leases",), ("get", "create", "update", "delete"), "one at once"
    ),
    Rights("", ("pods/log", "pods/proxy"), ("get",), "logs, and evidence of heartbeats", False),
    Rights("", ("events",), ("list",), "why pods do not start", False),
    Rights("", ("resourcequotas", "limitranges"), ("list",), "what would make a plan fail", False),
    Rights("batch", ("cronjobs",), ("list",), "other jobs that rotate tokens", False),
    Rights("apps", ("statefulsets", "daemonsets"), _LOOK, "gateways of others", False),
    Rights("argoproj.io", ("rollouts",), _LOOK, "the same", False),
)
"""Of every kind of request that the bot makes, those that a Role can allow."""


def role(namespace: str, rights: Sequence[Rights] = IN_NAMESPACE) -> dict[str, Any]:
    """The Role for one namespace."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": MANAGER, "namespace": namespace},
        "rules": [each.rule for each in rights],
    }
