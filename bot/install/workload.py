"""The bots themselves: their Deployment and what an eviction leaves of them. Pure."""

from typing import Any

from bot.install.access import own_cluster, uses_workload_identity
from bot.install.configuration import (
    CONFIG_FILE,
    MODE,
    SECRETS,
    Configuration,
    mounts,
    volumes,
)
from bot.install.installation import APP, SLACKS_PLACES, Installation
from bot.install.network import ports
from bot.install.secret_needs import secret_needs
from bot.secret_files import SUFFIX
from bot.settings import Settings
from deploy.errors import InvalidInput
from deploy.kube.objects import Manifest

GRACE_SECONDS = 30
"""The bot ends within 25 after SIGTERM, whatever hangs (`bot.run`)."""
USER = 10001
"""The one of the image."""
CHECKSUM = "gateway-bot.io/settings-hash"
_TEMPORARY = "/tmp"
_SECRETS_VOLUME = "secrets"
_SECRETS_MOUNT = {"name": _SECRETS_VOLUME, "mountPath": str(SECRETS), "readOnly": True}
_RESOURCES = {
    "requests": {"cpu": "100m", "memory": "192Mi"},
    "limits": {"cpu": "2", "memory": "512Mi"},
}
"""Measured: 112 to 122 MiB while everything changes, below 200 with 500 gateways (docs/benchmarks.md). Python
computes on little more than one processor, so that limit slows nothing down."""


def deployment(settings: Settings, found: Configuration, installation: Installation) -> Manifest:
    """Bots that are replaced one by one, and all of them when the settings change."""
    pod_labels = dict(installation.selector)
    if uses_workload_identity(settings):
        pod_labels["azure.workload.identity/use"] = "true"
    annotations = {
        CHECKSUM: found.digest,
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(settings.health.port),
        "prometheus.io/path": "/metrics",
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": installation.metadata(),
        "spec": {
            "replicas": installation.replicas,
            "selector": {"matchLabels": installation.selector},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": replacing(settings, installation.replicas),
            },
            "template": {
                "metadata": {"labels": pod_labels, "annotations": annotations},
                "spec": _pod(settings, found, installation),
            },
        },
    }


def replacing(settings: Settings, replicas: int) -> dict[str, int]:
    """How many more, or fewer, bots there are while they are replaced. Slack counts the connections
    of all of them. InvalidInput where even without one more they would be too many."""
    each = settings.slack.connections if settings.slack.mode == "socket" else 0
    if each * (replicas + 1) <= SLACKS_PLACES:
        return {"maxSurge": 1, "maxUnavailable": 0}
    if each * replicas <= SLACKS_PLACES and replicas > 1:
        return {"maxSurge": 0, "maxUnavailable": 1}
    raise InvalidInput(
        f"{replicas} bots with slack.connections: {each} need {each * replicas} of Slack's ten "
        "connections, and one is kept free.",
        remedy=f"Set slack.connections to {max(1, SLACKS_PLACES // (replicas + 1))}, or lower --replicas.",
    )


def disruption_budget(installation: Installation) -> Manifest:
    """A drained node takes one bot at a time."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": installation.metadata(),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": installation.selector},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def _pod(settings: Settings, found: Configuration, installation: Installation) -> dict[str, Any]:
    return {
        "serviceAccountName": APP,
        "automountServiceAccountToken": own_cluster(settings) is not None,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": installation.selector},
                "matchLabelKeys": ["pod-template-hash"],
            }
            for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
        ],
        "containers": [_container(settings, found, installation)],
        "volumes": [
            *volumes(found, installation),
            *([_secret_files(settings, installation)] if _as_files(installation) else ()),
            {"name": "tmp", "emptyDir": {"sizeLimit": "128Mi"}},
        ],
    }


def _container(
    settings: Settings, found: Configuration, installation: Installation
) -> dict[str, Any]:
    return {
        "name": APP,
        "image": installation.image,
        "args": ["run", "--config", str(CONFIG_FILE)],
        "env": _environment(settings, found, installation),
        "ports": [
            {"name": name, "containerPort": number, "protocol": "TCP"}
            for name, number in ports(settings).items()
        ],
        "startupProbe": {**_probe("/livez"), "periodSeconds": 2, "failureThreshold": 60},
        "livenessProbe": {**_probe("/livez"), "periodSeconds": 10, "failureThreshold": 3},
        "readinessProbe": {**_probe("/readyz"), "periodSeconds": 2, "failureThreshold": 2},
        "resources": {name: dict(amounts) for name, amounts in _RESOURCES.items()},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            *mounts(found),
            *([_SECRETS_MOUNT] if _as_files(installation) else ()),
            {"name": "tmp", "mountPath": _TEMPORARY},
        ],
    }


def _environment(
    settings: Settings, found: Configuration, installation: Installation
) -> list[dict[str, Any]]:
    # Programs that fetch credentials keep what they fetched at home, and nothing else can be written.
    plain = {"HOME": _TEMPORARY, **(found.environment or {})}
    secret: list[dict[str, Any]] = []
    for need in secret_needs(settings):
        if _as_files(installation):
            file = str(SECRETS / need.variable)
            secret.append({"name": need.variable + SUFFIX, "value": file})
            continue
        reference = {"name": installation.secret, "key": need.variable}
        optional = {} if need.required else {"optional": True}
        secret.append(
            {"name": need.variable, "valueFrom": {"secretKeyRef": {**reference, **optional}}}
        )
    return [*({"name": name, "value": value} for name, value in plain.items()), *secret]


def _as_files(installation: Installation) -> bool:
    return installation.secrets == "files"


def _secret_files(settings: Settings, installation: Installation) -> dict[str, Any]:
    """The Secret's keys as files. A pod does not start without those that are required; of the others
    the bot finds out itself which there are (`bot.secret_files`)."""
    sources: list[dict[str, Any]] = []
    for required in (True, False):
        needs = [need for need in secret_needs(settings) if need.required is required]
        items = [{"key": need.variable, "path": need.variable} for need in needs]
        optional = {} if required else {"optional": True}
        sources.append({"secret": {"name": installation.secret, "items": items, **optional}})
    return {"name": _SECRETS_VOLUME, "projected": {"defaultMode": MODE, "sources": sources}}


def _probe(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "health"}, "timeoutSeconds": 2}
