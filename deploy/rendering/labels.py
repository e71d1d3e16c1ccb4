"""Names and labels of a gateway's objects, which show whose they are.

None of the labels is one by which other tools track objects: by `app.kubernetes.io/instance` Argo CD
finds what it may prune (argo-cd.readthedocs.io, "Resource Tracking"), and charts of Helm select pods.
A label that only one tool reads has that tool's prefix (Kubernetes, "Recommended Labels"). On the
objects of an adopted gateway the shared labels stay as they were: Helm counts an object as a release's
by `app.kubernetes.io/managed-by` (helm/helm, pkg/action/validate.go). All looked up 2026-11-29.
"""

from collections.abc import Mapping
from typing import Any

from deploy.annotations import MANAGER, PART_OF_LABEL
from deploy.kube.objects import Manifest
from deploy.specs.gateway_spec import GatewaySpec

MANAGED_BY = "app.kubernetes.io/managed-by"
EARLIER_LABEL = "app.kubernetes.io/instance"
"""Earlier versions of this bot named the gateway in it, instead of in PART_OF_LABEL."""
_SHARED = {
    "app.kubernetes.io/name": "self-hosted-gateway",
    "app.kubernetes.io/part-of": "azure-api-management",
    MANAGED_BY: MANAGER,
}
DESCRIPTIVE = (*_SHARED, EARLIER_LABEL)
"""Labels that this version or an earlier one gives to pods; the bot selects pods by none of them."""
_LONGEST_VALUE = 63


def short_value(name: str) -> str:
    """A label's value that says a name, which may be longer than values are."""
    return name[:_LONGEST_VALUE].rstrip("-.")


def metadata(spec: GatewaySpec, name: str) -> dict[str, Any]:
    """The metadata of an object that may be older than the bot, where the gateway was adopted."""
    own = {PART_OF_LABEL: spec.ref.name, **dict(spec.labels)}
    return _metadata(spec, name, own if spec.adopted else made_labels(spec))


def made_metadata(spec: GatewaySpec, name: str) -> dict[str, Any]:
    """The metadata of an object that only this bot makes, also for an adopted gateway."""
    return _metadata(spec, name, made_labels(spec))


def made_labels(spec: GatewaySpec) -> dict[str, str]:
    """All labels of an object that this bot makes."""
    return {
        "app": spec.ref.name,
        **_SHARED,
        PART_OF_LABEL: spec.ref.name,
        **dict(spec.labels),
    }


def pod_labels(spec: GatewaySpec) -> dict[str, str]:
    """The labels of the pods; those of an adopted gateway get only the spec's beside their selector's."""
    shared = {} if spec.adopted else _SHARED
    return {**selector(spec), **shared, **dict(spec.labels), **selector(spec)}


def marks(spec: GatewaySpec) -> tuple[dict[str, str], ...]:
    """The labels that make an object this gateway's and this bot's: the present ones, and those of
    earlier versions, in which the labels of the pods' selector took precedence."""
    earlier = {MANAGED_BY: MANAGER, EARLIER_LABEL: spec.ref.name}
    chosen = selector(spec)
    return (
        {PART_OF_LABEL: spec.ref.name},
        {name: chosen.get(name, value) for name, value in earlier.items()},
    )


def is_marked(item: Manifest, spec: GatewaySpec) -> bool:
    """Whether a live object is this gateway's and this bot's."""
    found: Mapping[str, Any] = item["metadata"].get("labels") or {}
    return any(each.items() <= found.items() for each in marks(spec))


def _metadata(spec: GatewaySpec, name: str, labels: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "namespace": spec.ref.namespace, "labels": labels}
    if spec.annotations:
        found["annotations"] = dict(spec.annotations)
    return found


def selector(spec: GatewaySpec) -> dict[str, str]:
    """What selects the gateway's pods; a Deployment's can never be changed."""
    return dict(spec.objects.selector) or {"app": spec.ref.name}


def config_map_name(spec: GatewaySpec) -> str:
    """The ConfigMap the container's settings are in."""
    return spec.objects.config_map or f"{spec.ref.name}-env"


def container_name(spec: GatewaySpec) -> str:
    """The gateway's container; by another name it would be a second one."""
    return spec.objects.container or spec.ref.name


def service_name(spec: GatewaySpec) -> str:
    """The Service of live traffic."""
    return spec.objects.service or f"{spec.ref.name}-live-traffic"


def budget_name(spec: GatewaySpec) -> str:
    """The PodDisruptionBudget."""
    return spec.objects.disruption_budget or spec.ref.name


def discovery_name(spec: GatewaySpec) -> str:
    """The headless Service over which pods find each other."""
    return spec.objects.discovery_service or f"{spec.ref.name}-instance-discovery"


def claim_name(spec: GatewaySpec) -> str:
    """The claim of the configuration's backup."""
    return spec.backup.existing_claim or f"{spec.ref.name}-config-backup"


def service_account_name(spec: GatewaySpec) -> str:
    """The service account of workload identity."""
    return spec.auth.service_account or spec.ref.name
