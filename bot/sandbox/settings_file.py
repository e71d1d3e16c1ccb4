"""The bot's settings file, as whoever installs it would write it for this world."""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from bot.sandbox.files import write_private_yaml
from bot.sandbox.world import Freeze, World


@dataclass(frozen=True)
class Addresses:
    """Where the parts are, and the bot itself where Slack, and Event Grid, deliver over HTTP."""

    slack_api: str
    azure: str
    registry: str
    bot: str | None
    event_grid: str | None = None


def write_settings(
    path: Path,
    world: World,
    addresses: Addresses,
    *,
    mode: Literal["socket", "http"],
    kubeconfig: Path,
    contexts: Mapping[str, str],
) -> Path:
    """Write the file. `contexts` are the clusters' contexts in `kubeconfig` by cluster name."""
    slack: dict[str, Any] = {"mode": mode, "api_url": addresses.slack_api}
    if addresses.bot is not None:
        bot = urlsplit(addresses.bot)
        slack["http"] = {"host": bot.hostname, "port": bot.port, "path": bot.path or "/"}
        # Nothing stands between this Slack and the bot that would have to learn of its end.
        slack["http"]["drain_seconds"] = 0
    azure = world.azure
    settings: dict[str, Any] = {
        "slack": slack,
        "azure": {
            "authority": addresses.azure,
            "tenant_id": azure.tenant_id,
            "client_id": azure.client_id,
            "arm_endpoint": addresses.azure,
        },
        "apim": [
            {
                "name": azure.service.lower(),
                "subscription": azure.subscription,
                "resource_group": azure.resource_group,
                "service": azure.service,
            }
        ],
        "clusters": [
            {"name": name, "kubeconfig": str(kubeconfig), "context": context}
            for name, context in contexts.items()
        ],
        "environments": _environments(world, contexts),
        "images": {"registry_url": addresses.registry, "repository": world.repository},
        # The demo's gateways poll every three seconds; a person need not wait for the real ten.
        "rotation": {"verify_seconds": 5, "regenerate_keys": True},
        "warnings": {"channel": _alerts(world)},
        "health": {"host": "127.0.0.1", "port": 0},
    }
    if addresses.event_grid is not None:
        at = urlsplit(addresses.event_grid)
        settings["event_grid"] = {"host": at.hostname, "port": at.port, "path": at.path}
    return write_private_yaml(path, _over(settings, world.settings))


def _over(settings: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with more of them; what is a mapping in both is joined."""
    joined = {
        name: _over(settings[name], value)
        for name, value in more.items()
        if isinstance(value, Mapping) and isinstance(settings.get(name), Mapping)
    }
    return {**settings, **more, **joined}


def _frozen(freeze: Freeze) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC).replace(second=0, microsecond=0)
    return {
        "reason": freeze.reason,
        "starts": (now - datetime.timedelta(days=freeze.since_days)).isoformat(),
        "ends": (now + datetime.timedelta(days=freeze.for_days)).isoformat(),
    }


def _alerts(world: World) -> str | None:
    """The channel that is named for it."""
    return next((c.id for c in world.channels if c.name.endswith("alerts")), None)


def _environments(world: World, clusters: Iterable[str]) -> list[dict[str, Any]]:
    """Production cluster by cluster, then everything else. A cluster that the world does not know
    has production as the world's first one has it."""
    production = []
    for name in clusters:
        own = [each for each in world.production if each.cluster == name] or world.production[:1]
        production += [
            {
                "name": f"production-{name}",
                "clusters": [name],
                "namespaces": list(each.namespaces),
                "production": True,
                "approval": {
                    "approvers": {"groups": list(each.approvers)},
                    "quorum": each.quorum,
                },
                "freezes": [_frozen(freeze) for freeze in world.freezes if freeze.cluster == name],
            }
            for each in own
        ]
    return [*production, {"name": "development"}]
