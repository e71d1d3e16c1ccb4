"""Names and labels of a gateway's objects, which tell whose they are."""

from typing import Any

from deploy.annotations import MANAGER
from deploy.specs.gateway_spec import GatewaySpec


def metadata(spec: GatewaySpec, name: str) -> dict[str, Any]:
    """The metadata every object of the gateway has."""
    found: dict[str, Any] = {
        "name": name,
        "namespace": spec.ref.namespace,
        "labels": labels(spec),
    }
    if spec.annotations:
        found["annotations"] = dict(spec.annotations)
    return found


def labels(spec: GatewaySpec) -> dict[str, str]:
    """The labels of every object and pod."""
    return {
        **selector(spec),
        "app.kubernetes.io/name": "self-hosted-gateway",
        "app.kubernetes.io/instance": spec.ref.name,
        "app.kubernetes.io/part-of": "azure-api-management",
        "app.kubernetes.io/managed-by": MANAGER,
        **dict(spec.labels),
        # An adopted gateway's pods may be selected by labels of these names.
        **selector(spec),
    }


def marks(spec: GatewaySpec) -> dict[str, str]:
    """The labels by which an object is known to be this gateway's and this bot's."""
    known = labels(spec)
    return {
        name: known[name] for name in ("app.kubernetes.io/managed-by", "app.kubernetes.io/instance")
    }


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
