"""The Kubernetes kinds gateways are made of and watched by, and their paths in its API."""

from dataclasses import dataclass
from urllib.parse import quote

from deploy.errors import InvalidInput


@dataclass(frozen=True)
class ResourceKind:
    """One kind. `plural` is the name of its resource in paths and in access rules."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def root(self) -> str:
        """The path of its API group's version."""
        return f"/apis/{self.api_version}" if "/" in self.api_version else "/api/v1"

    def path(self, namespace: str | None, name: str | None = None, subresource: str = "") -> str:
        """The path of the collection, an object or its subresource; every part is quoted."""
        parts = [self.root]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=":"))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


_KINDS = (
    ResourceKind("v1", "ConfigMap", "configmaps"),
    ResourceKind("v1", "Event", "events"),
    ResourceKind("v1", "LimitRange", "limitranges"),
    ResourceKind("v1", "Namespace", "namespaces", namespaced=False),
    ResourceKind("v1", "Node", "nodes", namespaced=False),
    ResourceKind("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ResourceKind("v1", "Pod", "pods"),
    ResourceKind("v1", "ResourceQuota", "resourcequotas"),
    ResourceKind("v1", "Secret", "secrets"),
    ResourceKind("v1", "Service", "services"),
    ResourceKind("v1", "ServiceAccount", "serviceaccounts"),
    ResourceKind("apps/v1", "DaemonSet", "daemonsets"),
    ResourceKind("apps/v1", "Deployment", "deployments"),
    ResourceKind("apps/v1", "ReplicaSet", "replicasets"),
    ResourceKind("apps/v1", "StatefulSet", "statefulsets"),
    ResourceKind("argoproj.io/v1alpha1", "Rollout", "rollouts"),
    ResourceKind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    ResourceKind("batch/v1", "CronJob", "cronjobs"),
    ResourceKind("coordination.k8s.io/v1", "Lease", "leases"),
    ResourceKind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    ResourceKind("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", namespaced=False),
    ResourceKind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ResourceKind("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", namespaced=False),
    ResourceKind("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False),
)

_BY_NAME = {kind.kind: kind for kind in _KINDS}


def kind_of(name: str) -> ResourceKind:
    """The kind of that name, as manifests write it. InvalidInput for one the bot does not use."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise InvalidInput(f"The bot does not handle objects of kind “{name[:80]}”.") from None
