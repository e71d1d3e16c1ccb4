"""What the API server refuses, kind by kind, with the fields and words of its own answers."""

from collections.abc import Callable, Mapping
from typing import Any

from bot.sandbox.cluster import names, quantity
from bot.sandbox.cluster.errors import (
    Cause,
    forbidden_field,
    invalid_value,
    required,
    too_long,
    unsupported,
)
from bot.sandbox.cluster.kinds import Kind
from bot.sandbox.cluster.objects import Obj, get, labels_of
from bot.sandbox.cluster.pod_validation import validate_pod_spec
from bot.sandbox.cluster.selectors import requirements, selects
from bot.sandbox.cluster.service_validation import validate_service

_MAX_DATA = 1024 * 1024
_IMMUTABLE = "field is immutable"


def validate(kind: Kind, obj: Obj, old: Obj | None) -> list[Cause]:
    """Every cause to refuse writing `obj` in place of `old` (None on create)."""
    causes = _metadata(kind, obj, old)
    check = _BY_KIND.get(kind.kind)
    if check is not None:
        causes += check(obj, old)
    return causes


def _metadata(kind: Kind, obj: Obj, old: Obj | None) -> list[Cause]:
    metadata = obj["metadata"]
    causes: list[Cause] = []
    if old is None:
        causes += names.object_name(kind.kind, metadata.get("name", ""))
    causes += names.labels(metadata.get("labels") or {}, "metadata.labels")
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    for key in annotations:
        causes += names.qualified_key(key.lower(), "metadata.annotations")
    if sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items()) > 256 * 1024:
        causes.append(too_long("metadata.annotations", 256 * 1024))
    return causes


def _at_least_zero(value: Any, field: str) -> list[Cause]:
    if isinstance(value, int) and value < 0:
        return [invalid_value(field, value, "must be greater than or equal to 0")]
    return []


def _int_or_percent(value: Any, field: str) -> list[Cause]:
    if isinstance(value, str):
        if not (value.endswith("%") and value[:-1].isdigit()):
            words = (
                "a valid percent string must be a numeric string followed by an ending '%' (e.g. "
                "'1%',  or '93%', regex used for validation is '[0-9]+%')"
            )
            return [invalid_value(field, value, words)]
        return []
    return _at_least_zero(value, field)


def _template(obj: Obj) -> list[Cause]:
    spec = obj["spec"]
    causes: list[Cause] = []
    selector = spec.get("selector")
    template = spec.get("template") or {}
    if selector is None:
        causes.append(required("spec.selector"))
    elif not requirements(selector):
        causes.append(
            invalid_value("spec.selector", selector, "empty selector is invalid for deployment")
        )
    if selector is not None and not selects(selector, template):
        causes.append(
            invalid_value(
                "spec.template.metadata.labels",
                labels_of(template),
                "`selector` does not match template `labels`",
            )
        )
    causes += names.labels(labels_of(template), "spec.template.metadata.labels")
    return causes + validate_pod_spec(
        template.get("spec") or {}, "spec.template.spec", template=True
    )


def _deployment(obj: Obj, old: Obj | None) -> list[Cause]:
    spec = obj["spec"]
    causes = _at_least_zero(spec.get("replicas"), "spec.replicas")
    causes += _template(obj)
    strategy = spec.get("strategy") or {}
    if strategy.get("type") not in ("RollingUpdate", "Recreate"):
        causes.append(
            unsupported("spec.strategy.type", strategy.get("type"), ("Recreate", "RollingUpdate"))
        )
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type") == "Recreate" and rolling is not None:
        causes.append(
            forbidden_field(
                "spec.strategy.rollingUpdate",
                "may not be specified when strategy `type` is 'Recreate'",
            )
        )
    elif rolling is not None:
        at = "spec.strategy.rollingUpdate"
        for name in ("maxUnavailable", "maxSurge"):
            causes += _int_or_percent(rolling.get(name), f"{at}.{name}")
        if all(rolling.get(name) in (0, "0%") for name in ("maxUnavailable", "maxSurge")):
            causes.append(
                invalid_value(
                    f"{at}.maxUnavailable",
                    rolling["maxUnavailable"],
                    "may not be 0 when `maxSurge` is 0",
                )
            )
    for name in ("minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        causes += _at_least_zero(spec.get(name), f"spec.{name}")
    deadline = spec.get("progressDeadlineSeconds")
    if isinstance(deadline, int) and deadline <= spec.get("minReadySeconds", 0):
        causes.append(
            invalid_value(
                "spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"
            )
        )
    return causes + _same(obj, old, "selector")


def _same(obj: Obj, old: Obj | None, field: str) -> list[Cause]:
    if old is not None and get(old, "spec", field) != get(obj, "spec", field):
        return [invalid_value(f"spec.{field}", get(obj, "spec", field), _IMMUTABLE)]
    return []


def _replica_set(obj: Obj, old: Obj | None) -> list[Cause]:
    causes = _at_least_zero(obj["spec"].get("replicas"), "spec.replicas")
    return causes + _template(obj) + _same(obj, old, "selector")


_POD_MUTABLE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")


def _pod(obj: Obj, old: Obj | None) -> list[Cause]:
    causes = validate_pod_spec(obj["spec"], "spec", template=False)
    if old is not None and _frozen_pod(old["spec"]) != _frozen_pod(obj["spec"]):
        causes.append(
            forbidden_field(
                "spec",
                "pod updates may not change fields other than `spec.containers[*].image`,"
                "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
                "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
                "(allow it to be set to 1 if it was previously negative)",
            )
        )
    return causes


def _frozen_pod(spec: Obj) -> Obj:
    frozen = {k: v for k, v in spec.items() if k not in _POD_MUTABLE}
    for group in ("containers", "initContainers"):
        frozen[group] = [
            {k: v for k, v in container.items() if k != "image"}
            for container in spec.get(group) or []
        ]
    return frozen


def _immutable_data(obj: Obj, old: Obj | None, *fields: str) -> list[Cause]:
    if old is None or not old.get("immutable"):
        return []
    words = "field is immutable when `immutable` is set"
    causes = [] if obj.get("immutable") else [forbidden_field("immutable", words)]
    return causes + [
        forbidden_field(field, words) for field in fields if old.get(field) != obj.get(field)
    ]


def _size(obj: Obj, *fields: str) -> int:
    return sum(len(str(v)) for field in fields for v in (obj.get(field) or {}).values())


def _config_map(obj: Obj, old: Obj | None) -> list[Cause]:
    causes: list[Cause] = []
    for field in ("data", "binaryData"):
        for key in obj.get(field) or {}:
            causes += names.data_key(key, field)
    if _size(obj, "data", "binaryData") > _MAX_DATA:
        causes.append(too_long("", _MAX_DATA))
    return causes + _immutable_data(obj, old, "data", "binaryData")


def _secret(obj: Obj, old: Obj | None) -> list[Cause]:
    causes: list[Cause] = []
    for key in obj.get("data") or {}:
        causes += names.data_key(key, "data")
    # The limit is on the decoded bytes, four characters of base64 for three of them.
    if _size(obj, "data") * 3 // 4 > _MAX_DATA:
        causes.append(too_long("data", _MAX_DATA))
    if old is not None and old.get("type") != obj.get("type"):
        causes.append(invalid_value("type", obj.get("type"), _IMMUTABLE))
    return causes + _immutable_data(obj, old, "data")


_ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")


def _claim(obj: Obj, old: Obj | None) -> list[Cause]:
    spec = obj["spec"]
    causes: list[Cause] = []
    if not spec.get("accessModes"):
        causes.append(required("spec.accessModes", "at least 1 access mode is required"))
    modes = spec.get("accessModes") or []
    causes += [
        unsupported("spec.accessModes", mode, _ACCESS_MODES)
        for mode in modes
        if mode not in _ACCESS_MODES
    ]
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        causes.append(
            forbidden_field(
                "spec.accessModes", "may not use ReadWriteOncePod with other access modes"
            )
        )
    asked = get(spec, "resources", "requests", "storage")
    if asked is None:
        causes.append(required("spec.resources[storage]"))
    elif quantity.parse(asked) <= 0:
        causes.append(invalid_value("spec.resources[storage]", asked, "must be greater than zero"))
    if old is None:
        return causes
    before, after = dict(old["spec"]), dict(spec)
    had = get(before.pop("resources", {}), "requests", "storage", default="0")
    after.pop("resources", None)
    if not before.get("volumeName"):
        after.pop("volumeName", None)
    if before != after:
        causes.append(
            forbidden_field(
                "spec",
                "spec is immutable after creation except resources.requests and "
                "volumeAttributesClassName for bound claims",
            )
        )
    if asked is not None and quantity.parse(asked) < quantity.parse(had):
        causes.append(
            forbidden_field(
                "spec.resources.requests.storage",
                "field can not be less than status.capacity",
            )
        )
    return causes


def _budget(obj: Obj, old: Obj | None) -> list[Cause]:
    spec = obj["spec"]
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        return [invalid_value("spec", spec, "minAvailable and maxUnavailable cannot be both set")]
    causes: list[Cause] = []
    for name in ("minAvailable", "maxUnavailable"):
        if spec.get(name) is not None:
            causes += _int_or_percent(spec[name], f"spec.{name}")
            if not causes and isinstance(spec[name], str) and int(spec[name][:-1]) > 100:
                causes.append(
                    invalid_value(f"spec.{name}", spec[name], "must not be greater than 100%")
                )
    return causes


def _autoscaler(obj: Obj, old: Obj | None) -> list[Cause]:
    spec = obj["spec"]
    causes: list[Cause] = []
    low, high = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if low < 1:
        causes.append(invalid_value("spec.minReplicas", low, "must be greater than or equal to 1"))
    if high < 1:
        causes.append(invalid_value("spec.maxReplicas", high, "must be greater than 0"))
    elif high < low:
        causes.append(
            invalid_value(
                "spec.maxReplicas", high, "must be greater than or equal to `minReplicas`"
            )
        )
    return causes + [
        required(f"spec.scaleTargetRef.{name}")
        for name in ("kind", "name")
        if not get(spec, "scaleTargetRef", name)
    ]


def _lease(obj: Obj, old: Obj | None) -> list[Cause]:
    spec = obj["spec"]
    causes: list[Cause] = []
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        causes.append(invalid_value("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    return causes + _at_least_zero(spec.get("leaseTransitions"), "spec.leaseTransitions")


def _role(obj: Obj, old: Obj | None) -> list[Cause]:
    causes: list[Cause] = []
    for index, rule in enumerate(obj.get("rules") or []):
        at = f"rules[{index}]"
        if not rule.get("verbs"):
            causes.append(required(f"{at}.verbs", "verbs must contain at least one value"))
        if not rule.get("nonResourceURLs"):
            if not rule.get("apiGroups"):
                causes.append(
                    required(f"{at}.apiGroups", "resource rules must supply at least one api group")
                )
            if not rule.get("resources"):
                causes.append(
                    required(f"{at}.resources", "resource rules must supply at least one resource")
                )
    return causes


def _role_binding(obj: Obj, old: Obj | None) -> list[Cause]:
    reference = obj.get("roleRef") or {}
    causes: list[Cause] = []
    if not reference.get("name"):
        causes.append(required("roleRef.name"))
    if reference.get("kind") not in ("Role", "ClusterRole"):
        causes.append(
            unsupported("roleRef.kind", reference.get("kind", ""), ("ClusterRole", "Role"))
        )
    if old is not None and old.get("roleRef") != reference:
        causes.append(invalid_value("roleRef", reference, "cannot change roleRef"))
    return causes


def _event(obj: Obj, old: Obj | None) -> list[Cause]:
    space = get(obj, "involvedObject", "namespace", default="")
    if space and space != get(obj, "metadata", "namespace"):
        return [invalid_value("involvedObject.namespace", space, "does not match event.namespace")]
    return []


_BY_KIND: dict[str, Callable[[Obj, Obj | None], list[Cause]]] = {
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "StatefulSet": _replica_set,
    "DaemonSet": _replica_set,
    "Pod": _pod,
    "Service": validate_service,
    "ConfigMap": _config_map,
    "Secret": _secret,
    "PersistentVolumeClaim": _claim,
    "PodDisruptionBudget": _budget,
    "HorizontalPodAutoscaler": _autoscaler,
    "Lease": _lease,
    "Role": _role,
    "ClusterRole": _role,
    "RoleBinding": _role_binding,
    "ClusterRoleBinding": _role_binding,
    "Event": _event,
}
