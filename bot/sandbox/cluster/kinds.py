"""The kinds this API server serves, as discovery lists them."""

from dataclasses import dataclass
from typing import Any

ALL_VERBS = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)


@dataclass(frozen=True)
class Kind:
    """One served kind. `model` names the class of the official client its fields are read from;
    `has_generation` says whether metadata.generation counts changes of the spec."""

    group: str
    version: str
    kind: str
    plural: str
    model: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    has_generation: bool = False
    stored_as: str = ""
    verbs: tuple[str, ...] = ALL_VERBS

    @property
    def api_version(self) -> str:
        """apiVersion of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """The resource with its group: `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular(self) -> str:
        """The lower-case kind."""
        return self.kind.lower()

    @property
    def storage(self) -> str:
        """The key of the store's table: two versions of a kind may share one."""
        return self.stored_as or self.resource


def _core(kind: str, plural: str, model: str = "", **more: Any) -> Kind:
    return Kind("", "v1", kind, plural, model or f"V1{kind}", **more)


KINDS: tuple[Kind, ...] = (
    _core(
        "Namespace",
        "namespaces",
        namespaced=False,
        short_names=("ns",),
        subresources=("status", "finalize"),
    ),
    _core(
        "Pod",
        "pods",
        short_names=("po",),
        categories=("all",),
        subresources=("status", "log", "proxy", "eviction", "binding"),
        has_generation=True,
    ),
    _core(
        "Service",
        "services",
        short_names=("svc",),
        categories=("all",),
        subresources=("status",),
    ),
    _core("ConfigMap", "configmaps", short_names=("cm",)),
    _core("Secret", "secrets"),
    _core("Event", "events", "CoreV1Event", short_names=("ev",)),
    _core(
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        short_names=("pvc",),
        subresources=("status",),
    ),
    _core(
        "PersistentVolume",
        "persistentvolumes",
        namespaced=False,
        short_names=("pv",),
        subresources=("status",),
    ),
    _core("ServiceAccount", "serviceaccounts", short_names=("sa",), subresources=("token",)),
    _core("Node", "nodes", namespaced=False, short_names=("no",), subresources=("status",)),
    _core("Endpoints", "endpoints", short_names=("ep",)),
    _core("ResourceQuota", "resourcequotas", short_names=("quota",), subresources=("status",)),
    _core("LimitRange", "limitranges", short_names=("limits",)),
    Kind(
        "apps",
        "v1",
        "Deployment",
        "deployments",
        "V1Deployment",
        short_names=("deploy",),
        categories=("all",),
        subresources=("status", "scale"),
        has_generation=True,
    ),
    Kind(
        "apps",
        "v1",
        "ReplicaSet",
        "replicasets",
        "V1ReplicaSet",
        short_names=("rs",),
        categories=("all",),
        subresources=("status", "scale"),
        has_generation=True,
    ),
    Kind(
        "apps",
        "v1",
        "StatefulSet",
        "statefulsets",
        "V1StatefulSet",
        short_names=("sts",),
        categories=("all",),
        subresources=("status", "scale"),
        has_generation=True,
    ),
    Kind(
        "apps",
        "v1",
        "DaemonSet",
        "daemonsets",
        "V1DaemonSet",
        short_names=("ds",),
        categories=("all",),
        subresources=("status",),
        has_generation=True,
    ),
    Kind(
        "policy",
        "v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        "V1PodDisruptionBudget",
        short_names=("pdb",),
        subresources=("status",),
        has_generation=True,
    ),
    Kind(
        "autoscaling",
        "v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        "V2HorizontalPodAutoscaler",
        short_names=("hpa",),
        categories=("all",),
        subresources=("status",),
    ),
    # Stored and listed; nothing runs them.
    Kind(
        "batch",
        "v1",
        "CronJob",
        "cronjobs",
        "V1CronJob",
        short_names=("cj",),
        categories=("all",),
        subresources=("status",),
        has_generation=True,
    ),
    Kind("coordination.k8s.io", "v1", "Lease", "leases", "V1Lease"),
    Kind(
        "discovery.k8s.io",
        "v1",
        "EndpointSlice",
        "endpointslices",
        "V1EndpointSlice",
        has_generation=True,
    ),
    Kind(
        "events.k8s.io",
        "v1",
        "Event",
        "events",
        "EventsV1Event",
        short_names=("ev",),
        stored_as="events",
    ),
    Kind("rbac.authorization.k8s.io", "v1", "Role", "roles", "V1Role"),
    Kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", "V1RoleBinding"),
    Kind(
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRole",
        "clusterroles",
        "V1ClusterRole",
        namespaced=False,
    ),
    Kind(
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
        "V1ClusterRoleBinding",
        namespaced=False,
    ),
    Kind(
        "storage.k8s.io",
        "v1",
        "StorageClass",
        "storageclasses",
        "V1StorageClass",
        namespaced=False,
        short_names=("sc",),
    ),
    Kind(
        "networking.k8s.io",
        "v1",
        "Ingress",
        "ingresses",
        "V1Ingress",
        short_names=("ing",),
        subresources=("status",),
        has_generation=True,
    ),
    Kind(
        "networking.k8s.io",
        "v1",
        "NetworkPolicy",
        "networkpolicies",
        "V1NetworkPolicy",
        short_names=("netpol",),
        has_generation=True,
    ),
    Kind(
        "node.k8s.io",
        "v1",
        "RuntimeClass",
        "runtimeclasses",
        "V1RuntimeClass",
        namespaced=False,
    ),
    Kind(
        "scheduling.k8s.io",
        "v1",
        "PriorityClass",
        "priorityclasses",
        "V1PriorityClass",
        namespaced=False,
        short_names=("pc",),
    ),
    *(
        Kind(
            "admissionregistration.k8s.io",
            "v1",
            f"{verb}WebhookConfiguration",
            f"{verb.lower()}webhookconfigurations",
            f"V1{verb}WebhookConfiguration",
            namespaced=False,
            categories=("api-extensions",),
            has_generation=True,
        )
        for verb in ("Mutating", "Validating")
    ),
    Kind(
        "authorization.k8s.io",
        "v1",
        "SelfSubjectAccessReview",
        "selfsubjectaccessreviews",
        "V1SelfSubjectAccessReview",
        namespaced=False,
        verbs=("create",),
    ),
    Kind(
        "authorization.k8s.io",
        "v1",
        "SelfSubjectRulesReview",
        "selfsubjectrulesreviews",
        "V1SelfSubjectRulesReview",
        namespaced=False,
        verbs=("create",),
    ),
    Kind(
        "authentication.k8s.io",
        "v1",
        "SelfSubjectReview",
        "selfsubjectreviews",
        "V1SelfSubjectReview",
        namespaced=False,
        verbs=("create",),
    ),
)

_BY_RESOURCE = {(k.group, k.version, k.plural): k for k in KINDS}
_BY_KIND = {(k.api_version, k.kind): k for k in KINDS}
GROUPS: tuple[tuple[str, str], ...] = tuple(dict.fromkeys((k.group, k.version) for k in KINDS))

SCALE = Kind("autoscaling", "v1", "Scale", "scales", "V1Scale")


def by_resource(group: str, version: str, plural: str) -> Kind | None:
    """The kind a request path names."""
    return _BY_RESOURCE.get((group, version, plural))


def by_kind(api_version: str, kind: str) -> Kind:
    """The kind an object names. KeyError when this server does not have it."""
    return _BY_KIND[(api_version, kind)]


NAMESPACE = by_kind("v1", "Namespace")
POD = by_kind("v1", "Pod")
SERVICE = by_kind("v1", "Service")
CONFIG_MAP = by_kind("v1", "ConfigMap")
SECRET = by_kind("v1", "Secret")
EVENT = by_kind("v1", "Event")
CLAIM = by_kind("v1", "PersistentVolumeClaim")
VOLUME = by_kind("v1", "PersistentVolume")
SERVICE_ACCOUNT = by_kind("v1", "ServiceAccount")
NODE = by_kind("v1", "Node")
ENDPOINTS = by_kind("v1", "Endpoints")
QUOTA = by_kind("v1", "ResourceQuota")
LIMIT_RANGE = by_kind("v1", "LimitRange")
DEPLOYMENT = by_kind("apps/v1", "Deployment")
REPLICA_SET = by_kind("apps/v1", "ReplicaSet")
STATEFUL_SET = by_kind("apps/v1", "StatefulSet")
DAEMON_SET = by_kind("apps/v1", "DaemonSet")
PDB = by_kind("policy/v1", "PodDisruptionBudget")
HPA = by_kind("autoscaling/v2", "HorizontalPodAutoscaler")
LEASE = by_kind("coordination.k8s.io/v1", "Lease")
ENDPOINT_SLICE = by_kind("discovery.k8s.io/v1", "EndpointSlice")
EVENTS_EVENT = by_kind("events.k8s.io/v1", "Event")
ROLE = by_kind("rbac.authorization.k8s.io/v1", "Role")
ROLE_BINDING = by_kind("rbac.authorization.k8s.io/v1", "RoleBinding")
CLUSTER_ROLE = by_kind("rbac.authorization.k8s.io/v1", "ClusterRole")
CLUSTER_ROLE_BINDING = by_kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding")
STORAGE_CLASS = by_kind("storage.k8s.io/v1", "StorageClass")
RUNTIME_CLASS = by_kind("node.k8s.io/v1", "RuntimeClass")
PRIORITY_CLASS = by_kind("scheduling.k8s.io/v1", "PriorityClass")
MUTATING_WEBHOOKS = by_kind("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration")
VALIDATING_WEBHOOKS = by_kind("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")
