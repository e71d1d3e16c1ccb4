"""Which Services lead to a gateway that something else installed, and what a spec says of them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.kube.objects import Manifest
from deploy.plans.readers import Readers
from deploy.rendering.pod_template import HTTP, HTTPS

_TYPES = ("LoadBalancer", "NodePort", "ClusterIP")
_USUAL = (80, 443)


@dataclass(frozen=True)
class FoundServices:
    """The Service of live traffic, the one by which pods find each other, and the rest, which stay as
    they are."""

    live: Manifest | None
    discovery: Manifest | None
    rest: tuple[Manifest, ...]


def services_of(
    services: Sequence[Manifest],
    labels: Mapping[str, Any],
    container: Mapping[str, Any],
    host: str,
    readers: Readers,
) -> FoundServices:
    """The Services that select pods of these labels. That of live traffic is found by where its ports
    lead, `host` is the name by which pods find each other. What selects others' pods too is in the
    rest."""
    chosen = [s for s in services if selects(_spec(s).get("selector"), labels)]
    own = [s for s in chosen if not any(selects(_spec(s)["selector"], o) for o in readers.labels)]
    leading = [s for s in own if not _is_headless(s) and serving_ports(s, container)]
    live = min(leading, key=lambda s: _rank(s, container), default=None)
    paired = [s for s in own if _is_headless(s) and _udp(s)]
    discovery = min(paired, key=lambda s: (name_of(s) != host.partition(".")[0],), default=None)
    rest = tuple(s for s in chosen if s is not live and s is not discovery)
    return FoundServices(live, discovery, rest)


def serving_ports(service: Manifest, container: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The Service's ports that lead to the gateway's own for HTTP and for HTTPS, the usual number
    first."""
    named = {p.get("name"): p.get("containerPort") for p in container.get("ports") or ()}
    found: dict[str, Mapping[str, Any]] = {}
    ports = sorted(_spec(service).get("ports") or (), key=lambda p: p.get("port") not in _USUAL)
    for port in ports:
        target = port.get("targetPort", port.get("port"))
        number = int(target) if str(target).isdecimal() else named.get(target)
        kind = {HTTP: "http", HTTPS: "https"}.get(number or 0)
        if kind is not None and port.get("protocol", "TCP") == "TCP":
            found.setdefault(kind, port)
    return found


def service_fields(service: Manifest, container: Mapping[str, Any]) -> dict[str, Any]:
    """What a spec says of the Service of live traffic."""
    spec = _spec(service)
    ports = serving_ports(service, container)
    external = spec.get("type") in ("LoadBalancer", "NodePort")
    return {
        "type": spec.get("type"),
        "only": next(iter(ports)) if len(ports) == 1 else None,
        "httpPort": ports.get("http", {}).get("port"),
        "httpsPort": ports.get("https", {}).get("port"),
        "externalTrafficPolicy": spec.get("externalTrafficPolicy") if external else None,
        "loadBalancerClass": spec.get("loadBalancerClass"),
        "loadBalancerSourceRanges": spec.get("loadBalancerSourceRanges"),
    }


def port_fields(
    service: Manifest,
    container: Mapping[str, Any],
    selector: Mapping[str, str],
    *,
    ports_stay: bool,
) -> dict[str, Any]:
    """What differs there from what this bot would call it: names by which an Ingress or HTTPRoute finds
    a port stay, and so does where each leads. Where the container's ports stay as they are, the bot
    leads to numbers."""
    found: dict[str, Any] = {}
    for kind, port in serving_ports(service, container).items():
        if port.get("name", "") != kind:
            found[f"{kind}Name"] = port.get("name", "")
        if ports_stay or port.get("targetPort") != kind:
            found[f"{kind}Target"] = str(port.get("targetPort", port.get("port")))
    selecting = _spec(service)["selector"]
    return found if selecting == selector else {**found, "serviceSelector": selecting}


def selects(chosen: Any, labels: Mapping[str, Any]) -> bool:
    """Whether a selector of labels chooses pods that have these; one without any chooses none."""
    return bool(chosen) and all(labels.get(key) == value for key, value in chosen.items())


def name_of(item: Manifest) -> str:
    """Its name."""
    return str(item["metadata"]["name"])


def _rank(service: Manifest, container: Mapping[str, Any]) -> tuple[int, int, int, str]:
    """The lowest is that of live traffic: open to the outside, at usual numbers, with both ports."""
    ports = serving_ports(service, container)
    kind = str(_spec(service).get("type", "ClusterIP"))
    usual = sum(port.get("port") in _USUAL for port in ports.values())
    at = _TYPES.index(kind) if kind in _TYPES else len(_TYPES)
    return at, -usual, -len(ports), name_of(service)


def _is_headless(service: Manifest) -> bool:
    return _spec(service).get("clusterIP") == "None"


def _udp(service: Manifest) -> bool:
    return any(port.get("protocol") == "UDP" for port in _spec(service).get("ports") or ())


def _spec(service: Manifest) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = service.get("spec") or {}
    return spec
