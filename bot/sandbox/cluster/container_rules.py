"""What the API server asks of a container: its settings, ports, probes, resources and security."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.sandbox.cluster import names, quantity
from bot.sandbox.cluster.checks import (
    Check,
    at_least,
    between,
    each,
    given,
    needed,
    no_negative_quantity,
    one_of,
    port,
    port_or_name,
    text,
)
from bot.sandbox.cluster.errors import (
    Cause,
    duplicate,
    forbidden_field,
    invalid_value,
    missing_value,
    required,
    unsupported,
)
from bot.sandbox.cluster.objects import Obj, get

PROBES = ("livenessProbe", "readinessProbe", "startupProbe")

_ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_OTHER_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "spec.restartPolicy",
    "spec.schedulerName",
    "status.phase",
)
_RESOURCES = ("cpu", "ephemeral-storage", "memory")
_RESOURCE_FIELDS = tuple(f"{part}.{name}" for part in ("limits", "requests") for name in _RESOURCES)
_CPU_DIVISORS = ("1m", "1")
_SIZE_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_STANDARD = frozenset(
    {
        *(*_RESOURCES, "storage", "pods", "services", "secrets", "configmaps", "resourcequotas"),
        *("replicationcontrollers", "persistentvolumeclaims", "services.nodeports"),
        *("services.loadbalancers", "count/pods"),
        *(f"{part}.{name}" for part in ("limits", "requests") for name in _RESOURCES),
        "requests.storage",
    }
)
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_MAX_ID = 2**31 - 1
_ID = given(between(0, _MAX_ID))
_PROFILES = given(one_of("Localhost", "RuntimeDefault", "Unconfined"))


def field_reference(reference: Obj, at: str, allowed: Sequence[str]) -> list[Cause]:
    """A reference to a field of the pod itself."""
    path = reference.get("fieldPath", "")
    if not path:
        return [required(f"{at}.fieldPath")]
    words = ""
    name, bracket, key = path.partition("['")
    if reference.get("apiVersion", "v1") != "v1":
        words = f"unsupported pod version: {reference['apiVersion']}"
    elif bracket and path.endswith("']"):
        if name in ("metadata.annotations", "metadata.labels"):
            key = key.removesuffix("']")
            return text(names.qualified)(key.lower() if "ann" in name else key, at)
        words = f"field label does not support subscript: {path}"
    elif path not in (*_ENV_FIELDS, *_OTHER_FIELDS):
        words = f"field label not supported: {path}"
    if words:
        return [invalid_value(f"{at}.fieldPath", path, f"error converting fieldPath: {words}")]
    return [] if path in allowed else [unsupported(f"{at}.fieldPath", path, allowed)]


def resource_reference(reference: Obj, at: str) -> list[Cause]:
    """A reference to a request or limit of a container."""
    resource = reference.get("resource", "")
    if not resource:
        return [required(f"{at}.resource")]
    if resource not in _RESOURCE_FIELDS and ".hugepages-" not in resource:
        return [unsupported(f"{at}.resource", resource, _RESOURCE_FIELDS)]
    divisor = quantity.canonical(reference.get("divisor", "0"))
    name = resource.partition(".")[2]
    allowed = _CPU_DIVISORS if name == "cpu" else _SIZE_DIVISORS
    if divisor in ("0", *allowed):
        return []
    kind = name if name in _RESOURCES else "hugepages"
    listed = " and ".join(allowed) if name == "cpu" else ", ".join(allowed)
    words = f"only divisor's values {listed} are supported with the {kind} resource"
    return [invalid_value(f"{at}.divisor", resource, words)]


def _variable(variable: Obj, at: str) -> list[Cause]:
    source = variable.get("valueFrom")
    if source is None:
        return []
    at = f"{at}.valueFrom"
    causes: list[Cause] = []
    if source.get("fieldRef") is not None:
        causes += field_reference(source["fieldRef"], f"{at}.fieldRef", _ENV_FIELDS)
    if source.get("resourceFieldRef") is not None:
        causes += resource_reference(source["resourceFieldRef"], f"{at}.resourceFieldRef")
    if not source:
        words = (
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
            "`secretKeyRef` or `fileKeyRef`"
        )
        causes.append(invalid_value(at, "", words))
    elif variable.get("value"):
        causes.append(invalid_value(at, "", "may not be specified when `value` is not empty"))
    elif len(source) > 1:
        causes.append(invalid_value(at, "", "may not have more than one field specified at a time"))
    return causes


def _sources(sources: list[Obj], at: str) -> list[Cause]:
    # The path is the server's own: it does not say which source it is.
    causes: list[Cause] = []
    for source in sources:
        count = sum(source.get(name) is not None for name in ("configMapRef", "secretRef"))
        if count == 0:
            words = "must specify one of: `configMapRef` or `secretRef`"
            causes.append(invalid_value(at, "", words))
        elif count > 1:
            words = "may not have more than one field specified at a time"
            causes.append(invalid_value(at, "", words))
    return causes


def _handler(handler: Obj, at: str) -> list[Cause]:
    found = [name for name in _HANDLERS if handler.get(name) is not None]
    if not found:
        return [required(at, "must specify a handler type")]
    words = "may not specify more than 1 handler type"
    return [forbidden_field(f"{at}.{extra}", words) for extra in found[1:]]


def _headers(action: Obj, at: str) -> list[Cause]:
    return [
        cause
        for each_header in action.get("httpHeaders") or []
        for cause in text(names.header)(each_header.get("name"), f"{at}.httpHeaders")
    ]


def mounts(container: Obj, at: str, volumes: set[str]) -> list[Cause]:
    """The mounts of a container in a pod with these volumes."""
    causes: list[Cause] = []
    paths: set[str] = set()
    inside = f"{at}.volumeMounts"
    for index, mount in enumerate(container.get("volumeMounts") or []):
        where, name, path = f"{inside}[{index}]", mount.get("name", ""), mount.get("mountPath", "")
        if name not in volumes:
            causes.append(missing_value(f"{where}.name", name))
        if path in paths:
            causes.append(invalid_value(f"{where}.mountPath", path, "must be unique"))
        paths.add(path)
        below, computed = mount.get("subPath"), mount.get("subPathExpr")
        if below and computed:
            words = "subPathExpr and subPath are mutually exclusive"
            causes.append(invalid_value(f"{where}.subPathExpr", computed, words))
        # These paths are the server's own: they do not say which mount it is.
        for field, value in (("subPath", below), ("subPathExpr", computed)):
            causes += given(text(names.descending_path))(value, f"{inside}.{field}")
        mode = mount.get("mountPropagation")
        known = given(one_of("Bidirectional", "HostToContainer", "None"))
        causes += known(mode, f"{inside}.mountPropagation")
        if mode == "Bidirectional" and not get(container, "securityContext", "privileged"):
            words = "Bidirectional mount propagation is available only to privileged containers"
            causes.append(forbidden_field(f"{inside}.mountPropagation", words))
        if mount.get("recursiveReadOnly") not in (None, "Disabled") and not mount.get("readOnly"):
            words = "may only be specified when readOnly is true"
            causes.append(forbidden_field(f"{inside}.recursiveReadOnly", words))
    return causes


def _container(container: Obj, at: str) -> list[Cause]:
    causes = _sources(container.get("envFrom") or [], f"{at}.envFrom")
    seen: set[str] = set()
    for index, entry in enumerate(container.get("ports") or []):
        name = entry.get("name")
        if name in seen:
            causes.append(duplicate(f"{at}.ports[{index}].name", name))
        seen |= {name} if name else set()
    for probe in PROBES:
        where, asked = f"{at}.{probe}", container.get(probe)
        if asked is None:
            continue
        if probe == "readinessProbe":
            if asked.get("terminationGracePeriodSeconds") is not None:
                seconds = asked["terminationGracePeriodSeconds"]
                words = "must not be set for readinessProbes"
                where = f"{where}.terminationGracePeriodSeconds"
                causes.append(invalid_value(where, seconds, words))
        elif asked.get("successThreshold", 1) != 1:
            successes = asked["successThreshold"]
            causes.append(invalid_value(f"{where}.successThreshold", successes, "must be 1"))
    return causes


def _is_overcommitted(name: str) -> bool:
    return "/" not in name and not name.startswith("hugepages-")


def resource_name(name: str, at: str) -> list[Cause]:
    """The name of a resource that a container can ask for."""
    causes = text(names.qualified)(name, at)
    if "/" in name or name.startswith("hugepages-"):
        return causes
    if not causes and name not in _STANDARD:
        words = "must be a standard resource type or fully qualified"
        causes.append(invalid_value(at, name, words))
    if name not in _RESOURCES:
        causes.append(invalid_value(at, name, "must be a standard resource for containers"))
    return causes


def _resources(resources: Obj, at: str) -> list[Cause]:
    causes: list[Cause] = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for group, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            where = f"{at}.{group}[{name}]"
            causes += resource_name(name, where) + no_negative_quantity(amount, where)
            if "/" in name and quantity.parse(amount) % 1:
                shown = quantity.canonical(amount)
                causes.append(invalid_value(where, shown, "must be an integer"))
    for name, amount in requests.items():
        if name in limits:
            asked, limit = quantity.parse(amount), quantity.parse(limits[name])
            shown, most = quantity.canonical(amount), quantity.canonical(limits[name])
            if asked != limit and not _is_overcommitted(name):
                words = f"must be equal to {name} limit of {most}"
                causes.append(invalid_value(f"{at}.requests", shown, words))
            elif asked > limit:
                words = f"must be less than or equal to {name} limit of {most}"
                causes.append(invalid_value(f"{at}.requests", shown, words))
        elif not _is_overcommitted(name):
            words = "Limit must be set for non overcommitable resources"
            causes.append(required(f"{at}.limits", words))
    asked_for = {*limits, *requests}
    if any(name.startswith("hugepages-") for name in asked_for) and not asked_for & {
        "cpu",
        "memory",
    }:
        causes.append(forbidden_field(at, "HugePages require cpu or memory"))
    return causes


def _seccomp(profile: Obj, at: str) -> list[Cause]:
    kind, path = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        return [required(f"{at}.type", "type is required when seccompProfile is set")]
    at_path = f"{at}.localhostProfile"
    if kind == "Localhost":
        if path is None:
            return [required(at_path, "must be set when seccomp type is Localhost")]
        return text(names.descending_path)(path, at_path)
    if path is not None:
        shown = {"Type": kind, "LocalhostProfile": path}
        words = "can only be set when seccomp type is Localhost"
        return [invalid_value(at_path, shown, words)]
    return []


# The Go names of the fields, in their order: the server shows the whole struct.
_SECURITY = (
    *("Capabilities", "Privileged", "SELinuxOptions", "WindowsOptions", "RunAsUser", "RunAsGroup"),
    *("RunAsNonRoot", "ReadOnlyRootFilesystem", "AllowPrivilegeEscalation", "ProcMount"),
    *("SeccompProfile", "AppArmorProfile"),
)


def _security(context: Obj, at: str) -> list[Cause]:
    if context.get("allowPrivilegeEscalation") is not False:
        return []
    shown = {name: context.get(name[0].lower() + name[1:]) for name in _SECURITY}
    added = context.get("capabilities")
    if added is not None:
        shown["Capabilities"] = {"Add": added.get("add"), "Drop": added.get("drop")}
    reasons = ["`privileged` to true"] if context.get("privileged") else []
    if "CAP_SYS_ADMIN" in get(context, "capabilities", "add", default=[]):
        reasons.append("`capabilities.Add` CAP_SYS_ADMIN")
    return [
        invalid_value(at, shown, f"cannot set `allowPrivilegeEscalation` to false and {reason}")
        for reason in reasons
    ]


_REFERENCE = {"name": text(names.subdomain), "key": needed(text(names.data_key))}
_SOURCE = {"name": needed(text(names.subdomain))}
_PORT = port_or_name(names.port_name)
_COUNT = at_least(0)

FIELDS: Mapping[str, Mapping[str, Check]] = {
    "V1Container": {
        "name": needed(text(names.label)),
        "image": needed(),
        "terminationMessagePolicy": one_of("File", "FallbackToLogsOnError"),
        "imagePullPolicy": one_of("Always", "IfNotPresent", "Never"),
        "restartPolicy": given(one_of("Always", "Never", "OnFailure")),
    },
    "V1ContainerPort": {
        "name": given(text(names.port_name)),
        "containerPort": needed(port),
        "hostPort": given(port),
        "protocol": one_of("SCTP", "TCP", "UDP"),
    },
    "V1EnvVar": {"name": needed(text(names.env_name))},
    "V1EnvFromSource": {"prefix": given(text(names.env_name))},
    "V1SecretKeySelector": _REFERENCE,
    "V1ConfigMapKeySelector": _REFERENCE,
    "V1SecretEnvSource": _SOURCE,
    "V1ConfigMapEnvSource": _SOURCE,
    "V1VolumeMount": {"name": needed(), "mountPath": needed()},
    "V1Probe": {
        "initialDelaySeconds": _COUNT,
        "timeoutSeconds": _COUNT,
        "periodSeconds": _COUNT,
        "successThreshold": _COUNT,
        "failureThreshold": _COUNT,
        "terminationGracePeriodSeconds": at_least(1, "must be greater than 0"),
    },
    "V1ExecAction": {"command": needed()},
    "V1HTTPGetAction": {
        "path": needed(),
        "port": _PORT,
        "scheme": one_of("HTTP", "HTTPS"),
    },
    "V1TCPSocketAction": {"port": _PORT},
    "V1GRPCAction": {"port": port},
    "V1SecurityContext": {
        "runAsUser": _ID,
        "runAsGroup": _ID,
        "procMount": given(one_of("Default", "Unmasked")),
    },
    "V1PodSecurityContext": {
        "runAsUser": _ID,
        "runAsGroup": _ID,
        "fsGroup": _ID,
        "supplementalGroups": each(_ID),
        "fsGroupChangePolicy": given(one_of("Always", "OnRootMismatch")),
        "supplementalGroupsPolicy": given(one_of("Merge", "Strict")),
    },
    "V1SeccompProfile": {"type": _PROFILES},
    "V1AppArmorProfile": {"type": _PROFILES},
}
WHOLES: Mapping[str, Callable[[Any, str], list[Cause]]] = {
    "V1Container": _container,
    "V1EnvVar": _variable,
    "V1Probe": _handler,
    "V1LifecycleHandler": _handler,
    "V1HTTPGetAction": _headers,
    "V1ResourceRequirements": _resources,
    "V1SeccompProfile": _seccomp,
    "V1SecurityContext": _security,
}
