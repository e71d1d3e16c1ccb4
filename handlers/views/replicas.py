"""How many pods a spec asks for, in words. Pure."""

from deploy.specs.gateway_spec import GatewaySpec


def replicas_of(spec: GatewaySpec) -> str:
    """How many pods the spec asks for: a number, or the bounds of its autoscaler."""
    scaling = spec.autoscaling
    return str(spec.replicas) if scaling.most is None else f"{scaling.least} to {scaling.most}"
