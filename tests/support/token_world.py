"""A world in which gateways are shared between environments, for tests of who decides on their tokens."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from bot.sandbox.world import DEFAULT

APPROVERS = {"approvers": {"groups": ["S0APPROVE"]}}
COLLECTOR = "collector.example.net"
LISTED_HOST = "apim.contoso.example"
"""A host of contoso's own that its settings list as an endpoint."""
MIRROR = "mirror.contoso.example/apim/gateway"
"""An image repository that the settings list."""


def token_world(path: Path, gateways: Sequence[str], clusters: Sequence[str]) -> Path:
    """Write its world file: development is listed first, namespace `lab` is in no environment, two
    entries of the settings are one service, and `shared-*` is governed by development alone."""
    world: dict[str, Any] = copy.deepcopy(yaml.safe_load(DEFAULT.read_text()))
    azure = world["azure"]
    azure["gateways"] = [{"name": name, "location": "North"} for name in gateways]
    service = {
        "subscription": azure["subscription"],
        "resource_group": azure["resource_group"],
        "service": azure["service"],
    }
    again = {key: value.upper() for key, value in service.items()}
    world |= {
        "clusters": [{"name": name, "namespaces": ["dev", "prod", "lab"]} for name in clusters],
        "legacy": None,
        "settings": {
            "apim": [
                {
                    "name": "contoso",
                    **service,
                    "endpoints": [LISTED_HOST],
                    "gateways": [{"match": "shared-*", "governed_by": ["development"]}],
                },
                {"name": "again", **again, "endpoints": [LISTED_HOST]},
            ],
            "environments": [
                {"name": "development", "namespaces": ["dev"], "rotation": "auto"},
                _production("west", 1),
                _production("east", 2),
            ],
            "images": {"repositories": ["mcr.microsoft.com/azure-api-management/gateway", MIRROR]},
        },
    }
    path.write_text(yaml.safe_dump(world))
    return path


def _production(cluster: str, quorum: int) -> dict[str, Any]:
    return {
        "name": f"production-{cluster}",
        "clusters": [cluster],
        "namespaces": ["prod"],
        "production": True,
        "approval": {**APPROVERS, "quorum": quorum},
    }
