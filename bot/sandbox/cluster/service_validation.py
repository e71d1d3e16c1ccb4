"""What the API server refuses in a Service."""

import ipaddress
from typing import Any

from bot.sandbox.cluster import names
from bot.sandbox.cluster.checks import Check, each, given, needed, one_of, port, port_or_name, text
from bot.sandbox.cluster.errors import (
    IMMUTABLE,
    Cause,
    duplicate,
    forbidden_field,
    invalid_value,
    required,
)
from bot.sandbox.cluster.objects import Obj, annotations_of, get

_SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_FAMILIES = given(one_of("IPv4", "IPv6"))
_FAMILY_POLICIES = given(one_of("PreferDualStack", "RequireDualStack", "SingleStack"))
_POLICIES = ("Cluster", "Local")
_LONGEST_AFFINITY = 86400

_SPEC: dict[str, Check] = {
    "type": one_of(*_SERVICE_TYPES),
    "sessionAffinity": one_of("ClientIP", "None"),
    "internalTrafficPolicy": given(one_of(*_POLICIES)),
    "trafficDistribution": given(one_of("PreferClose", "PreferSameZone", "PreferSameNode")),
}
_PORT: dict[str, Check] = {
    "port": port,
    "protocol": one_of("SCTP", "TCP", "UDP"),
    "targetPort": port_or_name(names.port_name),
    "appProtocol": given(text(names.qualified)),
}


def needs_health_check(spec: Obj) -> bool:
    """Whether nodes answer a port of their own with whether pods of the Service run there."""
    local = spec.get("externalTrafficPolicy") == "Local"
    return spec.get("type") == "LoadBalancer" and local


def address_causes(spec: Obj) -> list[Cause]:
    """What is wrong with the addresses of a Service and their families, which is looked at before
    any address is given out; all else is not looked at then."""
    if spec.get("type") == "ExternalName":
        return []
    address, addresses = spec.get("clusterIP"), spec.get("clusterIPs") or []
    at, families = "spec.clusterIPs", spec.get("ipFamilies") or []
    causes: list[Cause] = []
    if address and addresses[:1] != [address]:
        causes.append(invalid_value(at, addresses, "first value must match `clusterIP`"))
    elif addresses and not address:
        causes.append(
            invalid_value(at, addresses, "must be empty when `clusterIP` is not specified")
        )
    causes += each(_FAMILIES)(families, "spec.ipFamilies")
    causes += [
        duplicate(f"spec.ipFamilies[{index}]", family)
        for index, family in enumerate(families)
        if family in families[:index]
    ]
    causes += _FAMILY_POLICIES(spec.get("ipFamilyPolicy"), "spec.ipFamilyPolicy")
    if addresses[:1] == ["None"] and len(addresses) > 1:
        causes.append(invalid_value(at, addresses, "'None' must be the first and only value"))
    for index, value in enumerate(addresses):
        if index > 0 or value != "None":
            causes += text(names.ip_address)(value, f"{at}[{index}]")
    if address != "None" and not causes:
        for index, (value, family) in enumerate(zip(addresses, families, strict=False)):
            if family != f"IPv{ipaddress.ip_address(value).version}":
                words = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
                causes.append(invalid_value(f"{at}[{index}]", value, words))
    return causes or _single_stack(spec, families)


def _single_stack(spec: Obj, families: list[str]) -> list[Cause]:
    """This cluster has addresses of IPv4 alone."""
    policy = spec.get("ipFamilyPolicy") or "SingleStack"
    at_policy = "spec.ipFamilyPolicy"
    if len(families) > 1 and policy == "SingleStack":
        words = (
            "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are "
            "specified"
        )
        return [invalid_value(at_policy, policy, words)]
    if policy == "RequireDualStack":
        words = "this cluster is not configured for dual-stack services"
        return [invalid_value(at_policy, policy, words)]
    return [
        invalid_value(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
        for index, family in enumerate(families)
        if family != "IPv4"
    ]


def validate_service(obj: Obj, old: Obj | None) -> list[Cause]:
    """Every cause to refuse writing the Service `obj` in place of `old` (None on create)."""
    spec = obj["spec"]
    causes = [c for name, check in _SPEC.items() for c in check(spec.get(name), f"spec.{name}")]
    causes += _ports(spec) + names.labels(spec.get("selector") or {}, "spec.selector")
    causes += _addresses(spec, old) + _affinity(spec) + _outside(spec)
    policy = spec.get("externalTrafficPolicy")
    external = spec.get("type") in ("LoadBalancer", "NodePort") or spec.get("externalIPs")
    if external:
        causes += given(one_of(*_POLICIES))(policy, "spec.externalTrafficPolicy")
    elif policy is not None:
        words = "may only be set for externally-accessible services"
        causes.append(invalid_value("spec.externalTrafficPolicy", policy, words))
    if spec.get("allocateLoadBalancerNodePorts") is not None and spec["type"] != "LoadBalancer":
        words = "may only be used when `type` is 'LoadBalancer'"
        causes.append(forbidden_field("spec.allocateLoadBalancerNodePorts", words))
    return causes + _health_check(spec, old) + _class(spec, old) + _source_ranges(obj)


def _ports(spec: Obj) -> list[Cause]:
    causes: list[Cause] = []
    ports, kind = spec.get("ports") or [], spec.get("type")
    if not ports and spec.get("clusterIP") != "None" and kind != "ExternalName":
        causes.append(required("spec.ports"))
    seen_names: set[str] = set()
    seen: set[tuple[Any, Any]] = set()
    node_ports: set[tuple[Any, Any]] = set()
    for index, entry in enumerate(ports):
        at, name = f"spec.ports[{index}]", entry.get("name", "")
        if name:
            causes += text(names.label)(name, f"{at}.name")
        elif len(ports) > 1:
            causes.append(required(f"{at}.name"))
        if name in seen_names:
            causes.append(duplicate(f"{at}.name", name))
        seen_names |= {name} if name else set()
        causes += [
            c for field, check in _PORT.items() for c in check(entry.get(field), f"{at}.{field}")
        ]
        if entry.get("nodePort") and kind == "ClusterIP":
            words = "may not be used when `type` is 'ClusterIP'"
            causes.append(forbidden_field(f"{at}.nodePort", words))
        taken = (entry.get("nodePort"), entry.get("protocol"))
        if taken[0] and taken in node_ports:
            causes.append(duplicate(f"{at}.nodePort", taken[0]))
        node_ports.add(taken)
        key = (entry.get("port"), entry.get("protocol"))
        if key in seen:
            # The server shows no more than what it compares, in a struct of its own.
            shown = {"Name": "", "Protocol": key[1], "AppProtocol": None, "Port": key[0]}
            causes.append(duplicate(at, {**shown, "TargetPort": 0, "NodePort": 0}))
        seen.add(key)
    return causes


def _addresses(spec: Obj, old: Obj | None) -> list[Cause]:
    kind, address = spec.get("type"), spec.get("clusterIP")
    causes: list[Cause] = []
    if kind == "ExternalName":
        if address:
            words = "may not be set for ExternalName services"
            causes.append(forbidden_field("spec.clusterIPs", words))
        name = spec.get("externalName", "").removesuffix(".")
        return causes + needed(text(names.subdomain))(name, "spec.externalName")
    if address == "None" and kind in ("NodePort", "LoadBalancer"):
        words = f"may not be set to 'None' for {kind} services"
        causes.append(invalid_value("spec.clusterIPs[0]", address, words))
    before = get(old or {}, "spec", "clusterIP")
    if before and get(old, "spec", "type") != "ExternalName" and address != before:
        words = "may not change once set"
        causes.append(invalid_value("spec.clusterIPs[0]", spec.get("clusterIPs"), words))
    return causes


def _affinity(spec: Obj) -> list[Cause]:
    seconds = get(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds")
    if spec.get("sessionAffinity") != "ClientIP" or seconds is None:
        return []
    if 0 < seconds <= _LONGEST_AFFINITY:
        return []
    at = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
    words = f"must be greater than 0 and less than {_LONGEST_AFFINITY}"
    return [invalid_value(at, seconds, words)]


def _outside(spec: Obj) -> list[Cause]:
    causes: list[Cause] = []
    for index, address in enumerate(spec.get("externalIPs") or []):
        at, wrong = f"spec.externalIPs[{index}]", names.ip_address(address)
        if not wrong:
            parsed = ipaddress.ip_address(address)
            kinds = (
                (parsed.is_unspecified, f"may not be unspecified ({address})"),
                (parsed.is_loopback, "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
                (
                    parsed.is_link_local,
                    "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
                ),
            )
            wrong = [words for applies, words in kinds if applies]
        causes += [invalid_value(at, address, words) for words in wrong]
    return causes


def _health_check(spec: Obj, old: Obj | None) -> list[Cause]:
    at, number = "spec.healthCheckNodePort", spec.get("healthCheckNodePort")
    if not needs_health_check(spec):
        words = (
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        )
        return [invalid_value(at, number, words)] if number else []
    causes: list[Cause] = []
    before = get(old or {}, "spec", "healthCheckNodePort")
    if before and needs_health_check(get(old, "spec")) and number != before:
        causes.append(forbidden_field(at, IMMUTABLE))
    return causes + port(number, at)


def _class(spec: Obj, old: Obj | None) -> list[Cause]:
    at, name = "spec.loadBalancerClass", spec.get("loadBalancerClass")
    if spec.get("type") != "LoadBalancer":
        words = "may only be used when `type` is 'LoadBalancer'"
        return [] if name is None else [forbidden_field(at, words)]
    before = old["spec"] if old is not None else {}
    causes = given(text(names.qualified))(name, at)
    if before.get("type") == "LoadBalancer" and before.get("loadBalancerClass") != name:
        causes.append(invalid_value(at, name, "may not change once set"))
    return causes


def _source_ranges(obj: Obj) -> list[Cause]:
    spec, annotation = obj["spec"], annotations_of(obj).get(_RANGES, "").strip()
    # The capital L is the server's own, and so is the way a range is named that an annotation has.
    at = "spec.LoadBalancerSourceRanges"
    ranges = spec.get("loadBalancerSourceRanges") or []
    causes: list[Cause] = []
    noted = f"metadata.annotations[{_RANGES}]"
    if (ranges or annotation) and spec.get("type") != "LoadBalancer":
        words = "may only be used when `type` is 'LoadBalancer'"
        causes.append(forbidden_field(at if ranges else noted, words))
    places = [(f"{at}[{index}]", value) for index, value in enumerate(ranges)]
    if not ranges and annotation:
        places = [(noted, item) for item in annotation.split(",")]
    return causes + [
        invalid_value(place, value, words)
        for place, value in places
        for words in names.cidr(value.strip())
    ]
