"""What the API server refuses in a Service."""

import ipaddress
from typing import Any

from bot.sandbox.cluster import names
from bot.sandbox.cluster.errors import (
    Cause,
    duplicate,
    forbidden_field,
    invalid_value,
    required,
    unsupported,
)
from bot.sandbox.cluster.objects import Obj, get
from bot.sandbox.cluster.pod_validation import port_number

_SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")


def validate_service(obj: Obj, old: Obj | None) -> list[Cause]:
    """Every cause to refuse writing the Service `obj` in place of `old` (None on create)."""
    spec = obj["spec"]
    causes: list[Cause] = []
    if spec.get("type") not in _SERVICE_TYPES:
        causes.append(unsupported("spec.type", spec.get("type"), _SERVICE_TYPES))
    ports = spec.get("ports") or []
    headless = spec.get("clusterIP") == "None"
    if not ports and not headless and spec.get("type") != "ExternalName":
        causes.append(required("spec.ports"))
    seen_names: set[str] = set()
    seen: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        at = f"spec.ports[{index}]"
        name = port.get("name", "")
        if not name and len(ports) > 1:
            causes.append(required(f"{at}.name"))
        elif name:
            causes += names.dns_label(name, f"{at}.name")
            if name in seen_names:
                causes.append(duplicate(f"{at}.name", name))
            seen_names.add(name)
        causes += port_number(port.get("port", 0), f"{at}.port")
        causes += port_number(port.get("targetPort"), f"{at}.targetPort")
        if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
            causes.append(
                unsupported(f"{at}.protocol", port.get("protocol"), ("SCTP", "TCP", "UDP"))
            )
        if port.get("nodePort") and spec.get("type") == "ClusterIP":
            words = "may not be used when `type` is 'ClusterIP'"
            causes.append(forbidden_field(f"{at}.nodePort", words))
        key = (port.get("port"), port.get("protocol"))
        if key in seen:
            causes.append(duplicate(at, {"port": key[0], "protocol": key[1]}))
        seen.add(key)
    if (
        old is not None
        and get(old, "spec", "clusterIP")
        and get(old, "spec", "type") != "ExternalName"
        and spec.get("type") != "ExternalName"
        and spec.get("clusterIP") != old["spec"]["clusterIP"]
    ):
        causes.append(
            invalid_value("spec.clusterIPs[0]", spec.get("clusterIPs"), "may not change once set")
        )
    policy = spec.get("externalTrafficPolicy")
    if policy is not None and policy not in ("Cluster", "Local"):
        causes.append(unsupported("spec.externalTrafficPolicy", policy, ("Cluster", "Local")))
    external = spec.get("type") in ("LoadBalancer", "NodePort") or spec.get("externalIPs")
    if policy is not None and not external:
        causes.append(
            invalid_value(
                "spec.externalTrafficPolicy",
                policy,
                "may only be set for externally-accessible services",
            )
        )
    return causes + _class(spec, old) + _source_ranges(spec)


def _class(spec: Obj, old: Obj | None) -> list[Cause]:
    at, name = "spec.loadBalancerClass", spec.get("loadBalancerClass")
    if spec.get("type") != "LoadBalancer":
        words = "may only be used when `type` is 'LoadBalancer'"
        return [] if name is None else [forbidden_field(at, words)]
    before = old["spec"] if old is not None else {}
    if before.get("type") == "LoadBalancer" and before.get("loadBalancerClass") != name:
        return [invalid_value(at, name, "may not change once set")]
    return []


def _source_ranges(spec: Obj) -> list[Cause]:
    # The capital L is the server's own.
    at = "spec.LoadBalancerSourceRanges"
    ranges = spec.get("loadBalancerSourceRanges") or []
    if ranges and spec.get("type") != "LoadBalancer":
        return [forbidden_field(at, "may only be used when `type` is 'LoadBalancer'")]
    return [
        invalid_value(
            f"{at}[{index}]",
            text,
            "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        )
        for index, text in enumerate(ranges)
        if not _is_cidr(text.strip())
    ]


def _is_cidr(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text
