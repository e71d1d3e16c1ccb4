"""Names and labels of a gateway's objects, which tell whose they are."""

from typing import Any

from deploy.gateway import GatewaySpec

MANAGER = "gateway-bot"


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
    }


def selector(spec: GatewaySpec) -> dict[str, str]:
    """What selects the gateway's pods; a Deployment's can never be changed."""
    return {"app": spec.ref.name}


def config_map_name(spec: GatewaySpec) -> str:
    """The ConfigMap the container's settings are in."""
    return f"{spec.ref.name}-env"


def discovery_name(spec: GatewaySpec) -> str:
    """The headless Service over which pods find each other."""
    return f"{spec.ref.name}-instance-discovery"


def claim_name(spec: GatewaySpec) -> str:
    """The claim of the configuration's backup."""
    return spec.backup.existing_claim or f"{spec.ref.name}-config-backup"


def service_account_name(spec: GatewaySpec) -> str:
    """The service account of workload identity."""
    return spec.auth.service_account or spec.ref.name
