"""Rules on how callers reach the pods, and how the pods find each other."""

from typing import Any

from deploy.rules.reading import mappings, whole
from deploy.rules.rule import DNS, PRODUCTION, SERVICES, SETTINGS, Rule
from deploy.rules.view import GatewayView

_PORTS = {"policy.rate-limit.sync.port": 4290, "neighborhood.heartbeat.port": 4291}
"""The settings and their defaults (Microsoft's settings reference)."""


def _keeps_address(view: GatewayView) -> list[bool]:
    return [s.get("externalTrafficPolicy") == "Local" for s in view.live_services]


def _discovery_ports(view: GatewayView) -> set[int]:
    said = {name: view.settings.get(name, "") for name in _PORTS}
    return {int(v) if v.isdecimal() and len(v) < 6 else _PORTS[n] for n, v in said.items()}


def _udp(ports: Any, key: str) -> set[int | None]:
    return {whole(port.get(key)) for port in mappings(ports) if port.get("protocol") == "UDP"}


def _discovery_is_missing(view: GatewayView) -> bool:
    """Whether pods cannot find each other: two UDP ports of a headless Service, and its name."""
    return view.lacks("neighborhood.host") or not any(
        len(_udp(service.get("ports"), "port")) >= len(_PORTS) for service in view.headless_services
    )


def _dns_fails_on_host(view: GatewayView) -> bool:
    policy = view.pod.get("dnsPolicy")
    return view.pod.get("hostNetwork") is True and policy in (None, "ClusterFirst", "Default")


NETWORK: tuple[Rule, ...] = (
    Rule(
        "host-network-dns",
        "warning",
        "warning",
        _dns_fails_on_host,
        "On the node's network the pods cannot resolve the cluster's names.",
        "There Kubernetes treats ClusterFirst as Default; the policy must be "
        "ClusterFirstWithHostNet.",
        "Set dns.policy to ClusterFirstWithHostNet.",
        DNS,
        {"dns": {"policy": "ClusterFirstWithHostNet"}},
    ),
    Rule(
        "node-dns",
        "info",
        "warning",
        lambda view: (
            view.pod.get("dnsPolicy") == "Default" and view.pod.get("hostNetwork") is not True
        ),
        "The pods use their node's DNS, so they cannot resolve the cluster's own names.",
        "Microsoft documents ClusterFirst; with Default, pods cannot resolve the discovery Service, "
        "for example.",
        "Set dns.policy to ClusterFirst.",
        DNS,
        {"dns": {"policy": "ClusterFirst"}},
    ),
    Rule(
        "uneven-traffic",
        "info",
        "info",
        lambda view: any(_keeps_address(view)),
        "externalTrafficPolicy Local keeps the client's address, but may spread calls unevenly.",
        "Each node passes its share of the traffic only to its own pods, however many it has.",
        "Nothing to do while the pods are spread over the nodes.",
        SERVICES,
    ),
    Rule(
        "client-address-lost",
        "info",
        "warning",
        lambda view: not all(_keeps_address(view)),
        "The gateway does not see the client's address.",
        "With externalTrafficPolicy Cluster it is hidden; Microsoft advises Local where policies "
        "or logs need it.",
        "Set service.externalTrafficPolicy to Local.",
        PRODUCTION,
        {"service": {"externalTrafficPolicy": "Local"}},
    ),
    Rule(
        "no-discovery",
        "warning",
        "warning",
        lambda view: view.several and _discovery_is_missing(view),
        "The pods cannot find each other, so each counts rate limits for itself.",
        "Microsoft says that instances synchronise over UDP 4290 and 4291, found by the name in "
        "neighborhood.host; this takes a headless Service.",
        "Add the headless Service and the setting; a deployment by this bot does.",
        PRODUCTION,
    ),
    Rule(
        "discovery-ports",
        "info",
        "warning",
        lambda view: (
            view.several
            and not _discovery_ports(view) <= _udp(view.container.get("ports"), "containerPort")
        ),
        "The container does not declare the UDP ports that pods use to share rate limits.",
        "Microsoft says to expose UDP 4290 and 4291, or what the settings put in their place.",
        "Add them to the container's ports; a deployment by this bot does.",
        SETTINGS,
    ),
)
