"""What every cluster holds from its first second."""

from collections.abc import Iterable

from bot.sandbox.cluster.admission import DEFAULT_CLASS
from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.controllers.volumes import DISK
from bot.sandbox.cluster.decoding import Options
from bot.sandbox.cluster.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    NAMESPACE,
    PRIORITY_CLASS,
    SERVICE,
    SERVICE_ACCOUNT,
    STORAGE_CLASS,
)
from bot.sandbox.cluster.objects import Obj

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")

_CA = "kube-root-ca.crt"


def fill(api: Api, namespaces: Iterable[str]) -> None:
    """Make the system's namespaces, those given, AKS' StorageClasses, and the priority classes and
    basic roles that every cluster has."""
    for name in dict.fromkeys((*SYSTEM_NAMESPACES, *namespaces)):
        ensure_namespace(api, name)
    options = Options(manager="kube-apiserver")
    for name, provisioner in _CLASSES.items():
        marked = {"annotations": {DEFAULT_CLASS: "true"}} if name == "default" else {}
        made = {"metadata": {"name": name, **marked}, "provisioner": provisioner}
        api.create(STORAGE_CLASS, "", made, options)
    for name, value in _PRIORITIES.items():
        api.create(PRIORITY_CLASS, "", {"metadata": {"name": name}, "value": value}, options)
    for name, rules in _ROLES.items():
        api.create(CLUSTER_ROLE, "", {"metadata": {"name": name}, "rules": rules}, options)
    api.create(
        CLUSTER_ROLE_BINDING,
        "",
        {
            "metadata": {"name": "cluster-admin"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "cluster-admin",
            },
            "subjects": [{"kind": "Group", "name": "system:masters"}],
        },
        options,
    )
    port = {"name": "https", "port": 443, "targetPort": 6443}
    api.create(
        SERVICE,
        "default",
        {
            "metadata": {"name": "kubernetes"},
            "spec": {"clusterIP": "10.96.0.1", "ports": [port]},
        },
        options,
    )


_CLASSES = {"default": DISK, "azurefile-csi": "file.csi.azure.com"}
_PRIORITIES = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_READ = ["get", "list", "watch"]
_ROLES: dict[str, list[Obj]] = {
    "cluster-admin": [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ],
    "view": [
        {
            "apiGroups": [""],
            "resources": [
                "configmaps",
                "endpoints",
                "events",
                "namespaces",
                "persistentvolumeclaims",
                "pods",
                "pods/log",
                "pods/status",
                "resourcequotas",
                "serviceaccounts",
                "services",
            ],
            "verbs": _READ,
        },
        {
            "apiGroups": [
                "apps",
                "autoscaling",
                "batch",
                "discovery.k8s.io",
                "networking.k8s.io",
                "policy",
            ],
            "resources": ["*"],
            "verbs": _READ,
        },
    ],
    "edit": [
        {
            "apiGroups": [
                "",
                "apps",
                "autoscaling",
                "batch",
                "coordination.k8s.io",
                "networking.k8s.io",
                "policy",
            ],
            "resources": ["*"],
            "verbs": _READ + _WRITE,
        },
    ],
}


def ensure_namespace(api: Api, name: str) -> None:
    """Make a namespace with what its controllers put there, where it is missing."""
    options = Options(manager="kube-apiserver")
    if api.find(NAMESPACE, "", name) is None:
        api.create(NAMESPACE, "", {"metadata": {"name": name}}, options)
    furnish_namespace(api, name)


def furnish_namespace(api: Api, name: str) -> None:
    """The ServiceAccount and the root certificate every namespace gets."""
    options = Options(manager="kube-controller-manager")
    if api.find(SERVICE_ACCOUNT, name, "default") is None:
        api.create(SERVICE_ACCOUNT, name, {"metadata": {"name": "default"}}, options)
    if api.find(CONFIG_MAP, name, _CA) is None:
        note = (
            "Contains a CA bundle that can be used to verify the kube-apiserver when using "
            "internal endpoints such as the internal service IP or kubernetes.default.svc. "
            "No other usage is guaranteed across distributions of Kubernetes clusters."
        )
        body = {
            "metadata": {"name": _CA, "annotations": {"kubernetes.io/description": note}},
            "data": {"ca.crt": ""},
        }
        api.create(CONFIG_MAP, name, body, options)
