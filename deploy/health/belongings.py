"""What belongs to a gateway beside its pods: Services and events, as kubectl lists them. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.kube.objects import Manifest
from deploy.masking import mask_secrets
from deploy.times import epoch

_EVENTS = 10


@dataclass(frozen=True)
class ServiceSummary:
    """A Service as `kubectl get services` lists it."""

    name: str
    type: str
    cluster_ip: str
    external_ip: str
    ports: str
    created_at: float


@dataclass(frozen=True)
class EventSummary:
    """An event about the gateway. `at` is in epoch seconds."""

    at: float
    type: str
    reason: str
    message: str
    about: str


def services_of(
    services: Iterable[Manifest], pod_labels: Mapping[str, str]
) -> tuple[ServiceSummary, ...]:
    """The Services that select pods with these labels, by name."""
    found = [_service(item) for item in services if _selects(item, pod_labels)]
    return tuple(sorted(found, key=lambda service: service.name))


def events_about(events: Iterable[Manifest], names: Iterable[str]) -> tuple[EventSummary, ...]:
    """The newest events about objects of these names, newest first."""
    known = set(names)
    found = [
        _event(item) for item in events if (item.get("involvedObject") or {}).get("name") in known
    ]
    return tuple(sorted(found, key=lambda event: -event.at)[:_EVENTS])


def _selects(service: Manifest, pod_labels: Mapping[str, str]) -> bool:
    selector: Mapping[str, str] = (service.get("spec") or {}).get("selector") or {}
    return bool(selector) and all(pod_labels.get(k) == v for k, v in selector.items())


def _service(service: Manifest) -> ServiceSummary:
    spec = service["spec"]
    kind = spec.get("type", "ClusterIP")
    return ServiceSummary(
        name=service["metadata"]["name"],
        type=kind,
        cluster_ip=spec.get("clusterIP", "") or "-",
        external_ip=_external(service, kind),
        ports=", ".join(_port(port) for port in spec.get("ports") or ()),
        created_at=epoch(service["metadata"].get("creationTimestamp")) or 0.0,
    )


def _external(service: Manifest, kind: str) -> str:
    if kind == "ExternalName":
        return str(service["spec"].get("externalName", ""))
    given = list(service["spec"].get("externalIPs") or ())
    if kind == "LoadBalancer":
        balancer = (service.get("status") or {}).get("loadBalancer") or {}
        given += [
            entry.get("ip") or entry.get("hostname", "") for entry in balancer.get("ingress") or ()
        ]
        return ",".join(given) or "pending"
    return ",".join(given) or "-"


def _port(port: Mapping[str, Any]) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node}/{port.get('protocol', 'TCP')}"


def _event(event: Manifest) -> EventSummary:
    series = event.get("series") or {}
    moment = (
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
    )
    return EventSummary(
        at=epoch(moment) or 0.0,
        type=event.get("type", "Normal"),
        reason=event.get("reason", ""),
        message=mask_secrets(event.get("message", "")),
        about=(event.get("involvedObject") or {}).get("name", ""),
    )
