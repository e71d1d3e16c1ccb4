"""Where a gateway runs, and whether that is production, for notifications and screen readers. Pure."""

from collections.abc import Callable

from deploy.access import Environment
from deploy.gateway import GatewayRef

EnvironmentOf = Callable[[GatewayRef], Environment]
"""The environment that a gateway is in, as the settings have it now."""


def placed(ref: GatewayRef, environment: Environment | None) -> str:
    """A gateway with its environment, such as `west/prod/edge-1 (production-west, production)`."""
    return f"{ref} ({named(environment)})" if environment is not None else str(ref)


def named(environment: Environment) -> str:
    """An environment by its name, and that it is production where its name does not say it."""
    if not environment.production or environment.name == "production":
        return environment.name
    return f"{environment.name}, production"
