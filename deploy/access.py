"""Environments: which clusters and namespaces are production, and what that means."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from deploy.errors import Refused
from deploy.gateway import GatewayRef
from deploy.rules import Exemption


@dataclass(frozen=True)
class Environment:
    """Clusters and namespaces under the same rules; `*` and `?` are wildcards."""

    name: str
    clusters: tuple[str, ...] = ("*",)
    namespaces: tuple[str, ...] = ("*",)
    production: bool = False
    exemptions: tuple[Exemption, ...] = ()

    def holds(self, ref: GatewayRef) -> bool:
        """Whether `ref` is in this environment."""
        return any(fnmatchcase(ref.cluster, p) for p in self.clusters) and any(
            fnmatchcase(ref.namespace, p) for p in self.namespaces
        )


UNLISTED = Environment("unlisted", production=True)
"""Where no environment holds: as careful as production, since nobody said that it is not."""


def environment_of(ref: GatewayRef, environments: Sequence[Environment]) -> Environment:
    """The first environment that holds `ref`."""
    return next((e for e in environments if e.holds(ref)), UNLISTED)


def production_refusal(ref: GatewayRef, environment: Environment) -> Refused | None:
    """Why `ref` may not be changed, or None where it may."""
    if not environment.production:
        return None
    if environment is UNLISTED:
        return Refused(
            f"{ref.cluster}/{ref.namespace} belongs to no environment, so it counts as production.",
            meaning="Nothing was changed.",
            remedy="List it under `environments` in the settings.",
        )
    return Refused(
        f"{ref.cluster}/{ref.namespace} is production ({environment.name}): "
        "changes there need an approval.",
        meaning="This version cannot ask for approvals yet, so nothing was changed.",
        remedy="Deploy to a namespace outside production.",
    )
