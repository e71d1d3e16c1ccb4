"""What the bot may do on a cluster: no more than it needs, as RBAC objects."""

from collections.abc import Sequence
from typing import Any

BOT = "gateway-bot"
_READ = ["get", "list", "watch"]
_WRITE = ["create", "patch", "delete"]
_LISTED = ["get", "list", *_WRITE]
_NAMED = ["get", *_WRITE]


def rights(namespaces: Sequence[str]) -> list[dict[str, Any]]:
    """A ClusterRole for reading the whole cluster's outline, and a Role in each namespace."""
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": BOT},
            "rules": [
                _rule("", ["pods", "configmaps"], _READ),
                _rule("", ["namespaces", "services"], ["get", "list"]),
                _rule("", ["events"], ["list"]),
                _rule("apps", ["deployments"], _READ),
                _rule("apps", ["replicasets"], ["list", "watch"]),
                _rule("batch", ["cronjobs"], ["list"]),
                _rule("", ["nodes", "resourcequotas", "limitranges"], ["list"]),
                _rule("storage.k8s.io", ["storageclasses"], ["list"]),
                _rule("node.k8s.io", ["runtimeclasses"], ["list"]),
                _rule("scheduling.k8s.io", ["priorityclasses"], ["list"]),
                _rule("apps", ["statefulsets", "daemonsets"], _READ),
                _rule("argoproj.io", ["rollouts"], _READ),
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": BOT},
            "roleRef": _reference("ClusterRole"),
            "subjects": [_subject()],
        },
    ]
    for namespace in namespaces:
        metadata = {"name": BOT, "namespace": namespace}
        objects += [
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "Role",
                "metadata": metadata,
                "rules": [
                    _rule("apps", ["deployments"], _WRITE),
                    _rule("", ["configmaps", "services"], _WRITE),
                    _rule("", ["secrets", "persistentvolumeclaims"], _LISTED),
                    _rule("autoscaling", ["horizontalpodautoscalers"], _LISTED),
                    _rule("policy", ["poddisruptionbudgets"], _LISTED),
                    _rule("networking.k8s.io", ["networkpolicies"], _NAMED),
                    _rule("", ["serviceaccounts"], _NAMED),
                    _rule("coordination.k8s.io", ["leases"], ["get", "create", "update", "delete"]),
                    _rule("", ["pods/log", "pods/proxy"], ["get"]),
                ],
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": _reference("Role"),
                "subjects": [_subject()],
            },
        ]
    return objects


def _rule(group: str, resources: list[str], verbs: list[str]) -> dict[str, list[str]]:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def _reference(kind: str) -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": BOT}


def _subject() -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": BOT}
