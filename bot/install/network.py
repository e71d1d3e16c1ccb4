"""What reaches the bot, and what the bot reaches: NetworkPolicy, Service and Ingress. Pure."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from bot.install.access import uses_workload_identity
from bot.install.installation import APP, Installation
from bot.settings import Settings
from deploy.actions.redis_address import address_of
from deploy.kube.objects import Manifest

_HTTPS, _API_SERVER = 443, 6443
"""Policies see a Service's traffic where it arrives, and many API servers listen on 6443."""
_DNS = (53, 5353)
"""OpenShift's DNS pods listen on 5353, as the policy of gateways has it too."""
Ports = tuple[int, int]
"""The first and the last of a range."""
_SERVERS: tuple[Ports, ...] = ((6379, 6379), (6380, 6380))
"""Redis, and Azure Cache for Redis with TLS."""
_MANAGED: tuple[Ports, ...] = ((10000, 10000), (8500, 8599))
"""Azure Managed Redis, and its nodes with the OSS clustering policy, whose ports change within that range
(github.com/MicrosoftDocs/azure-docs, managed-redis-architecture.md)."""
_METADATA = "169.254.169.254/32"
"""Where Azure's machines give the tokens of their managed identities."""
_USUAL = {"http": 80, "https": _HTTPS}


def is_served(settings: Settings) -> bool:
    """Whether somebody outside sends requests to the bot."""
    return bool(paths(settings))


def paths(settings: Settings) -> dict[str, tuple[str, int]]:
    """By the name of its port, the path and the number of what is asked from outside."""
    found = {}
    if settings.slack.mode == "http":
        found["slack"] = (settings.slack.http.path, settings.slack.http.port)
    if settings.event_grid is not None:
        found["event-grid"] = (settings.event_grid.path, settings.event_grid.port)
    return found


def ports(settings: Settings) -> dict[str, int]:
    """The ports of the container by name."""
    return {
        "health": settings.health.port,
        **{name: number for name, (_, number) in paths(settings).items()},
    }


def network_policy(settings: Settings, installation: Installation) -> Manifest:
    """What it does not open is closed. Names are unknown to it, so Slack and Azure are every address
    on their port."""
    redis = installation.redis_ports
    outside = dict.fromkeys(
        [
            *((number, number) for number in (_HTTPS, _API_SERVER)),
            *([(number, number) for number in redis] if redis else redis_ports(settings)),
            *((number, number) for number in (*_named(settings), *installation.egress_ports)),
        ]
    )
    egress: list[dict[str, Any]] = [
        {"ports": [_port(number, protocol) for number in _DNS for protocol in ("UDP", "TCP")]},
        {"ports": [_port(first, last=last) for first, last in outside]},
    ]
    if not uses_workload_identity(settings) and not settings.azure.tenant_id:
        egress.append({"to": [{"ipBlock": {"cidr": _METADATA}}], "ports": [_port(80)]})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": installation.metadata(),
        "spec": {
            "podSelector": {"matchLabels": installation.selector},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": [_port(number) for number in ports(settings).values()]}],
            "egress": egress,
        },
    }


def redis_ports(settings: Settings) -> tuple[Ports, ...]:
    """The ports that the settings name, and those that are assumed."""
    if settings.redis.url is None:
        return assumed_redis_ports(settings)
    address = address_of(settings.redis.url, check_files=False)
    named = ((port, port) for _, port in address.hosts)
    return tuple(dict.fromkeys((*named, *assumed_redis_ports(settings))))


def assumed_redis_ports(settings: Settings) -> tuple[Ports, ...]:
    """The usual ports where a Secret has the URL, and those of servers that Sentinels or the nodes of a
    cluster name only when they are asked."""
    if settings.redis.url is None:
        return (*_SERVERS, *_MANAGED)
    topology = address_of(settings.redis.url, check_files=False).topology
    return {"one": (), "sentinel": _SERVERS, "cluster": (*_SERVERS, *_MANAGED[1:])}[topology]


def service(settings: Settings, installation: Installation) -> Manifest:
    """Where an Ingress finds the bots that are ready."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": installation.metadata(),
        "spec": {
            "selector": installation.selector,
            "ports": [
                {"name": name, "port": number, "targetPort": name, "protocol": "TCP"}
                for name, (_, number) in paths(settings).items()
            ],
        },
    }


def ingress(settings: Settings, installation: Installation, host: str) -> Manifest:
    """TLS for Slack and Event Grid, which speak nothing else; only their paths are passed on."""
    routes = [
        {
            "path": path,
            "pathType": "Exact",
            "backend": {"service": {"name": APP, "port": {"name": name}}},
        }
        for name, (path, _) in paths(settings).items()
    ]
    named = installation.ingress_class
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": installation.metadata(),
        "spec": {
            **({"ingressClassName": named} if named else {}),
            "tls": [{"hosts": [host], "secretName": installation.tls_secret}],
            "rules": [{"host": host, "http": {"paths": routes}}],
        },
    }


def _named(settings: Settings) -> Iterator[int]:
    """Where else the settings send the bot."""
    azure, images = settings.azure, settings.images
    addresses = (settings.slack.api_url, azure.authority, azure.arm_endpoint, images.registry_url)
    registries = (images.pull_from, *images.repositories)
    for url in (*addresses, *(f"https://{name}" for name in registries if name)):
        if url:
            parts = urlsplit(url)
            yield parts.port or _USUAL.get(parts.scheme, _HTTPS)


def _port(number: int, protocol: str = "TCP", last: int | None = None) -> dict[str, Any]:
    end = {} if last in (None, number) else {"endPort": last}
    return {"protocol": protocol, "port": number, **end}
