"""What the API server asks of a pod's spec as a whole."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from bot.sandbox.cluster import names
from bot.sandbox.cluster.checks import Check, each, given, needed, one_of, text
from bot.sandbox.cluster.container_rules import PROBES, mounts
from bot.sandbox.cluster.errors import (
    Cause,
    duplicate,
    forbidden_field,
    invalid_value,
    missing_value,
    required,
    too_long,
    unsupported,
)
from bot.sandbox.cluster.objects import Obj, get
from bot.sandbox.cluster.placement_rules import spread

_SYSCTL = re.compile(r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?")
_OF_JOBS = ("OnFailure", "Never")
_MAX_ANNOTATIONS = 256 * 1024
_MAX_SERVERS, _MAX_SEARCHES, _MAX_SEARCH_TEXT = 3, 32, 2048


def large_annotations(annotations: Mapping[str, str], at: str) -> list[Cause]:
    """Annotations that are too large together."""
    size = sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items())
    return [too_long(at, _MAX_ANNOTATIONS)] if size > _MAX_ANNOTATIONS else []


def _template(template: Obj, at: str) -> list[Cause]:
    # The paths are the server's own: they leave out `metadata`.
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    causes = names.labels(metadata.get("labels") or {}, f"{at}.labels")
    causes += names.annotations(annotations, f"{at}.annotations")
    causes += large_annotations(annotations, f"{at}.annotations")
    causes += _restarts(spec.get("restartPolicy", ""), at)
    if spec.get("activeDeadlineSeconds") is not None:
        words = "activeDeadlineSeconds in ReplicaSet is not Supported"
        causes.append(forbidden_field(f"{at}.spec.activeDeadlineSeconds", words))
    if spec.get("ephemeralContainers"):
        words = "ephemeral containers not allowed in pod template"
        causes.append(forbidden_field(f"{at}.spec.ephemeralContainers", words))
    return causes


def _restarts(policy: str, at: str) -> list[Cause]:
    where = f"{at}.spec.restartPolicy"
    if ".jobTemplate." not in at:
        return [] if policy == "Always" else [unsupported(where, policy, ("Always",))]
    if policy in _OF_JOBS:
        return []
    return [required(where, 'valid values: "OnFailure", "Never"')]


def _spec(spec: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    volumes: set[str] = set()
    for index, volume in enumerate(spec.get("volumes") or []):
        if volume.get("name") in volumes:
            causes.append(duplicate(f"{at}.volumes[{index}].name", volume["name"]))
        volumes.add(volume.get("name", ""))
    causes += _containers(spec, at, volumes) + _dns(spec, f"{at}.dnsConfig")
    causes += names.labels(spec.get("nodeSelector") or {}, f"{at}.nodeSelector")
    causes += spread(spec.get("topologySpreadConstraints") or [], f"{at}.topologySpreadConstraints")
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2**31 - 1:
        words = "must be between 1 and 2147483647, inclusive"
        causes.append(invalid_value(f"{at}.activeDeadlineSeconds", deadline, words))
    return causes


def _containers(spec: Obj, at: str, volumes: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    names_seen: set[str] = set()
    host_ports: set[str] = set()
    claims = {claim.get("name") for claim in spec.get("resourceClaims") or []}
    for group in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(group) or []):
            where, name = f"{at}.{group}[{index}]", container.get("name", "")
            if name and name in names_seen:
                causes.append(duplicate(f"{where}.name", name))
            names_seen.add(name)
            causes += mounts(container, where, volumes)
            causes += _host_ports(
                spec, container, where, host_ports if group == "containers" else set()
            )
            causes += _lifetime(spec, container, where, starts=group == "initContainers")
            for position, claim in enumerate(get(container, "resources", "claims", default=[])):
                if claim.get("name") not in claims:
                    missing = "which is empty" if not claims else f"{sorted(claims, key=str)}"
                    words = f"must be one of the names in pod.spec.resourceClaims {missing}"
                    at_claim = f"{where}.resources.claims[{position}]"
                    causes.append(missing_value(at_claim, claim.get("name", ""), words))
    return causes


def _host_ports(spec: Obj, container: Obj, at: str, taken: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    for index, entry in enumerate(container.get("ports") or []):
        number, where = entry.get("hostPort"), f"{at}.ports[{index}].hostPort"
        if not number:
            continue
        key = f"{entry.get('protocol', '')}/{entry.get('hostIP', '')}/{number}"
        if key in taken:
            causes.append(duplicate(where, key))
        taken.add(key)
        if spec.get("hostNetwork") and number != entry.get("containerPort"):
            words = "must match `containerPort` when `hostNetwork` is true"
            causes.append(invalid_value(where, number, words))
    return causes


def _lifetime(spec: Obj, container: Obj, at: str, *, starts: bool) -> list[Cause]:
    """What a container that only starts a pod may not have, and how long one may take to end."""
    if starts and container.get("restartPolicy") != "Always":
        words = "may not be set for init containers without restartPolicy=Always"
        return [
            forbidden_field(f"{at}.{field}", words)
            for field in ("lifecycle", *PROBES)
            if container.get(field) is not None
        ]
    grace = spec.get("terminationGracePeriodSeconds", 0)
    causes: list[Cause] = []
    for hook in ("postStart", "preStop"):
        sleep = get(container, "lifecycle", hook, "sleep")
        seconds = (sleep or {}).get("seconds", 0)
        if sleep is not None and not 0 <= seconds <= grace:
            words = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
            causes.append(invalid_value(f"{at}.lifecycle.{hook}.sleep", seconds, words))
    return causes


def _dns(spec: Obj, at: str) -> list[Cause]:
    config = spec.get("dnsConfig")
    servers = get(config or {}, "nameservers", default=[])
    if spec.get("dnsPolicy") == "None":
        if config is None:
            return [required(at, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not servers:
            words = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [required(f"{at}.nameservers", words)]
    searches = get(config or {}, "searches", default=[])
    causes: list[Cause] = []
    if len(servers) > _MAX_SERVERS:
        words = f"must not have more than {_MAX_SERVERS} nameservers"
        causes.append(invalid_value(f"{at}.nameservers", servers, words))
    if len(searches) > _MAX_SEARCHES:
        words = f"must not have more than {_MAX_SEARCHES} search paths"
        causes.append(invalid_value(f"{at}.searches", searches, words))
    if len(" ".join(searches)) > _MAX_SEARCH_TEXT:
        words = f"must not have more than {_MAX_SEARCH_TEXT} characters (including spaces) in the search list"
        causes.append(invalid_value(f"{at}.searches", searches, words))
    return causes + [
        required(f"{at}.options[{index}]", "must not be empty")
        for index, option in enumerate(get(config or {}, "options", default=[]))
        if not option.get("name")
    ]


def _security(context: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, entry in enumerate(context.get("sysctls") or []):
        name, where = entry.get("name", ""), f"{at}.sysctls[{index}].name"
        if not name:
            causes.append(required(where))
        elif not _SYSCTL.fullmatch(name) or len(name) > 253:
            pattern = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
            words = f"must have at most 253 characters and match regex {pattern}"
            causes.append(invalid_value(where, name, words))
        elif name in seen:
            causes.append(duplicate(where, name))
        seen.add(name)
    return causes


def _os(system: Obj, at: str) -> list[Cause]:
    name = system.get("name", "")
    if not name:
        return [required(f"{at}.name")]
    allowed = ("linux", "windows")
    return [] if name in allowed else [unsupported(at, name, allowed)]


_NAME = given(text(names.subdomain))
_SHORT_NAME = given(text(names.label))

FIELDS: Mapping[str, Mapping[str, Check]] = {
    "V1PodSpec": {
        "containers": needed(),
        "restartPolicy": one_of("Always", "OnFailure", "Never"),
        "dnsPolicy": one_of("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"),
        "serviceAccountName": _NAME,
        "nodeName": _NAME,
        "priorityClassName": _NAME,
        "runtimeClassName": _NAME,
        "hostname": _SHORT_NAME,
        "subdomain": _SHORT_NAME,
        "preemptionPolicy": given(one_of("PreemptLowerPriority", "Never")),
    },
    "V1PodDNSConfig": {
        "nameservers": each(text(names.ip_address)),
        "searches": each(text(names.search_path)),
    },
    "V1HostAlias": {
        "ip": text(names.ip_address),
        "hostnames": each(text(names.subdomain)),
    },
    "V1PodReadinessGate": {"conditionType": text(names.qualified)},
}
WHOLES: Mapping[str, Callable[[Any, str], list[Cause]]] = {
    "V1PodTemplateSpec": _template,
    "V1PodSpec": _spec,
    "V1PodSecurityContext": _security,
    "V1PodOS": _os,
}
