"""Where a gateway runs, and whether that is production: said the same way everywhere. Pure."""

from collections.abc import Callable, Iterable

from deploy.access import UNLISTED, Environment
from deploy.gateway import GatewayRef

EnvironmentOf = Callable[[GatewayRef], Environment]
"""The environment that a gateway is in, as the settings have it now."""

PRODUCTION = "🔶"
"""The mark of production, and of nothing else. Its shape differs from every sign of a state, and as a
character it shows in headers, dialogs, options and notifications alike."""


def placed(ref: GatewayRef, environment: Environment | None) -> str:
    """A gateway with its environment, such as `west/prod/edge-1 (🔶 production-west)`."""
    return f"{ref} ({named(environment)})" if environment is not None else str(ref)


def named(environment: Environment) -> str:
    """An environment within a sentence: marked where it is production, and called so."""
    return f"{mark(environment)}{_unmarked(environment)}"


def heading(text: str, environment: Environment | None) -> str:
    """A title with its environment; of production the mark comes first."""
    if environment is None:
        return text
    return f"{mark(environment)}{text} ({_unmarked(environment)})"


def heading_of_several(text: str, environments: Iterable[Environment]) -> str:
    """The same with each of these environments, production first."""
    first = sorted(environments, key=lambda environment: not environment.production)
    if not first:
        return text
    names = "; ".join(dict.fromkeys(map(_unmarked, first)))
    return f"{mark(first[0])}{text} ({names})"


def mark(environment: Environment | None) -> str:
    """The mark with a space, to be put before what is in production; empty elsewhere."""
    return f"{PRODUCTION} " if environment is not None and environment.production else ""


def _unmarked(environment: Environment) -> str:
    """By its name, without the mark; and that it is production where its name does not say it."""
    if environment == UNLISTED:
        return "no environment, counts as production"
    if not environment.production or environment.name.startswith("production"):
        return environment.name
    return f"{environment.name}, production"
