"""What the API server refuses, kind by kind, with the fields and words of its own answers.

What each struct must be is in `rules`; here stand what a kind decides as a whole and what may not
change any more.
"""

from collections.abc import Callable
from typing import Any

from bot.sandbox.cluster import names, quantity
from bot.sandbox.cluster.checks import at_least, given, needed, one_of, text
from bot.sandbox.cluster.data_validation import validate_config_map, validate_secret
from bot.sandbox.cluster.errors import (
    IMMUTABLE,
    Cause,
    forbidden_field,
    invalid_value,
    required,
    unsupported,
)
from bot.sandbox.cluster.kinds import Kind
from bot.sandbox.cluster.objects import Obj, get, labels_of
from bot.sandbox.cluster.pod_rules import large_annotations
from bot.sandbox.cluster.rbac_validation import validate_role, validate_role_binding
from bot.sandbox.cluster.rules import broken
from bot.sandbox.cluster.schema import child, struct
from bot.sandbox.cluster.selector_rules import label_selector
from bot.sandbox.cluster.selectors import requirements, selects
from bot.sandbox.cluster.service_validation import validate_service

_COUNT = at_least(0)


def validate(kind: Kind, obj: Obj, old: Obj | None) -> list[Cause]:
    """Every cause to refuse writing `obj` in place of `old` (None on create)."""
    causes = _metadata(kind, obj, old)
    check = _BY_KIND.get(kind.kind)
    if check is not None:
        causes += check(obj, old)
    node = child(struct(kind.model), "spec")
    return causes + broken(node, obj.get("spec"), "spec")


def _metadata(kind: Kind, obj: Obj, old: Obj | None) -> list[Cause]:
    metadata = obj["metadata"]
    causes: list[Cause] = []
    if old is None:
        causes += names.object_name(kind.kind, metadata)
    annotations = metadata.get("annotations") or {}
    causes += names.labels(metadata.get("labels") or {}, "metadata.labels")
    causes += names.annotations(annotations, "metadata.annotations")
    causes += large_annotations(annotations, "metadata.annotations")
    return causes + _owners(metadata) + _finalizers(kind, metadata)


def _owners(metadata: Obj) -> list[Cause]:
    causes: list[Cause] = []
    owners = metadata.get("ownerReferences") or []
    for index, owner in enumerate(owners):
        for name in ("apiVersion", "kind", "name", "uid"):
            at = f"metadata.ownerReferences[{index}].{name}"
            causes += needed(why="must not be empty")(owner.get(name), at)
    controllers = [f"{o.get('kind')}/{o.get('name')}" for o in owners if o.get("controller")]
    for other in controllers[1:]:
        words = (
            'Only one reference can have Controller set to true. Found "true" in references for '
            f"{controllers[0]} and {other}"
        )
        causes.append(invalid_value("metadata.ownerReferences", owners, words))
    return causes


_FINALIZERS = ("foregroundDeletion", "orphan")
_ANY_FINALIZER = ("PodDisruptionBudget", "Lease")
"""Kinds of which the server looks at no more than the syntax."""


def _finalizers(kind: Kind, metadata: Obj) -> list[Cause]:
    causes: list[Cause] = []
    at = "metadata.finalizers"
    for index, name in enumerate(metadata.get("finalizers") or []):
        causes += text(names.qualified)(name, at)
        if "/" not in name and name not in _FINALIZERS and kind.kind not in _ANY_FINALIZER:
            words = "name is neither a standard finalizer name nor is it fully qualified"
            causes.append(invalid_value(f"{at}[{index}]", name, words))
    return causes


def _int_or_percent(value: Any, field: str, *, at_most_all: bool = True) -> list[Cause]:
    if not isinstance(value, str):
        return _COUNT(value, field)
    if not (value.endswith("%") and value[:-1].isdigit()):
        words = (
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. "
            "'1%',  or '93%', regex used for validation is '[0-9]+%')"
        )
        return [invalid_value(field, value, words)]
    if at_most_all and int(value[:-1]) > 100:
        return [invalid_value(field, value, "must not be greater than 100%")]
    return []


def _selected(obj: Obj) -> list[Cause]:
    """A selector that chooses the pods of its own template."""
    spec, at = obj["spec"], "spec.selector"
    selector, template = spec.get("selector"), spec.get("template") or {}
    causes: list[Cause] = []
    if selector is None:
        causes.append(required(at))
    elif label_selector(selector, at):
        return [invalid_value(at, selector, "invalid label selector")]
    elif not requirements(selector):
        causes.append(invalid_value(at, selector, "empty selector is invalid for deployment"))
    if selector is None or not selects(selector, template):
        labels = dict(sorted(labels_of(template).items())) or None
        words = "`selector` does not match template `labels`"
        causes.append(invalid_value("spec.template.metadata.labels", labels, words))
    return causes


def _deployment(obj: Obj, old: Obj | None) -> list[Cause]:
    spec = obj["spec"]
    causes = _COUNT(spec.get("replicas"), "spec.replicas") + _selected(obj)
    causes += _strategy(spec.get("strategy") or {}, "spec.strategy")
    for name in ("minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        causes += _COUNT(spec.get(name), f"spec.{name}")
    deadline = spec.get("progressDeadlineSeconds")
    if isinstance(deadline, int) and deadline <= spec.get("minReadySeconds", 0):
        causes.append(
            invalid_value(
                "spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"
            )
        )
    return causes + _same(obj, old, "selector")


def _strategy(strategy: Obj, at: str) -> list[Cause]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind not in ("RollingUpdate", "Recreate"):
        # The server shows the whole struct, by its Go names.
        shown = {"Type": kind or "", "RollingUpdate": rolling}
        return [unsupported(at, shown, ("Recreate", "RollingUpdate"))]
    at = f"{at}.rollingUpdate"
    if kind == "Recreate":
        words = "may not be specified when strategy `type` is 'Recreate'"
        return [] if rolling is None else [forbidden_field(at, words)]
    rolling = rolling or {}
    unavailable = rolling.get("maxUnavailable")
    causes = _int_or_percent(unavailable, f"{at}.maxUnavailable")
    causes += _int_or_percent(rolling.get("maxSurge"), f"{at}.maxSurge", at_most_all=False)
    if unavailable in (0, "0%") and rolling.get("maxSurge") in (0, "0%"):
        words = "may not be 0 when `maxSurge` is 0"
        causes.append(invalid_value(f"{at}.maxUnavailable", unavailable, words))
    return causes


def _same(obj: Obj, old: Obj | None, field: str) -> list[Cause]:
    if old is not None and get(old, "spec", field) != get(obj, "spec", field):
        return [invalid_value(f"spec.{field}", get(obj, "spec", field), IMMUTABLE)]
    return []


def _replica_set(obj: Obj, old: Obj | None) -> list[Cause]:
    causes = _COUNT(obj["spec"].get("replicas"), "spec.replicas")
    return causes + _selected(obj) + _same(obj, old, "selector")


_POD_MUTABLE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")


def _pod(obj: Obj, old: Obj | None) -> list[Cause]:
    causes: list[Cause] = []
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


_ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")


def _claim(obj: Obj, old: Obj | None) -> list[Cause]:
    spec = obj["spec"]
    modes = spec.get("accessModes") or []
    causes = needed(why="at least 1 access mode is required")(modes, "spec.accessModes")
    for mode in modes:
        causes += one_of(*_ACCESS_MODES)(mode, "spec.accessModes")
    if "ReadWriteOncePod" in modes and set(modes) & set(_ACCESS_MODES) != {"ReadWriteOncePod"}:
        causes.append(
            forbidden_field(
                "spec.accessModes", "may not use ReadWriteOncePod with other access modes"
            )
        )
    at, asked = "spec.resources[storage]", get(spec, "resources", "requests", "storage")
    if asked is None:
        causes.append(required(at))
    elif quantity.parse(asked) <= 0:
        shown = quantity.canonical(asked)
        causes.append(invalid_value(at, shown, "must be greater than zero"))
    causes += given(one_of("Block", "Filesystem"))(spec.get("volumeMode"), "spec.volumeMode")
    name = spec.get("storageClassName") or None
    causes += given(text(names.subdomain))(name, "spec.storageClassName")
    return causes if old is None else causes + _changed_claim(spec, old)


def _changed_claim(spec: Obj, old: Obj) -> list[Cause]:
    """A claim keeps what it asked for; once it is bound it may ask for more."""
    before, after = dict(old["spec"]), dict(spec)
    if not before.get("volumeName"):
        after.pop("volumeName", None)
    asked = get(spec, "resources", "requests", "storage", default="0")
    if get(old, "status", "phase") == "Bound":
        before.pop("resources", None)
        after.pop("resources", None)
    causes: list[Cause] = []
    if before != after:
        # The server adds the difference, line by line.
        causes.append(
            forbidden_field(
                "spec",
                "spec is immutable after creation except resources.requests and "
                "volumeAttributesClassName for bound claims",
            )
        )
    had = get(old, "spec", "resources", "requests", "storage", default="0")
    has = get(old, "status", "capacity", "storage", default="0")
    if quantity.parse(asked) < quantity.parse(had) and quantity.parse(asked) <= quantity.parse(has):
        causes.append(
            forbidden_field(
                "spec.resources.requests.storage",
                "field can not be less than status.capacity",
            )
        )
    if spec.get("volumeMode") != old["spec"].get("volumeMode"):
        causes.append(invalid_value("volumeMode", spec.get("volumeMode"), IMMUTABLE))
    return causes


# The Go names of a budget's fields, in their order: the server shows the whole struct.
_BUDGET = ("MinAvailable", "Selector", "MaxUnavailable", "UnhealthyPodEvictionPolicy")


def _budget(obj: Obj, old: Obj | None) -> list[Cause]:
    spec = obj["spec"]
    causes: list[Cause] = []
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        shown = {name: spec.get(name[0].lower() + name[1:]) for name in _BUDGET}
        words = "minAvailable and maxUnavailable cannot be both set"
        causes.append(invalid_value("spec", shown, words))
    for name in ("minAvailable", "maxUnavailable"):
        causes += _int_or_percent(spec.get(name), f"spec.{name}")
    policy, at = spec.get("unhealthyPodEvictionPolicy"), "spec.unhealthyPodEvictionPolicy"
    return causes + given(one_of("AlwaysAllow", "IfHealthyBudget"))(policy, at)


def _lease(obj: Obj, old: Obj | None) -> list[Cause]:
    spec = obj["spec"]
    causes: list[Cause] = []
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        causes.append(invalid_value("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    return causes + _COUNT(spec.get("leaseTransitions"), "spec.leaseTransitions")


def _event(obj: Obj, old: Obj | None) -> list[Cause]:
    space = get(obj, "involvedObject", "namespace", default="")
    if space and space != get(obj, "metadata", "namespace"):
        return [invalid_value("involvedObject.namespace", space, "does not match event.namespace")]
    return []


_CLASS = "kubernetes.io/ingress.class"


def _ingress(obj: Obj, old: Obj | None) -> list[Cause]:
    wanted = get(obj, "metadata", "annotations", default={}).get(_CLASS)
    named = obj["spec"].get("ingressClassName")
    if old is not None or wanted is None or named is None or wanted == named:
        return []
    words = "must match `ingressClassName` when both are specified"
    return [invalid_value(f"annotations.{_CLASS}", wanted, words)]


_BY_KIND: dict[str, Callable[[Obj, Obj | None], list[Cause]]] = {
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "StatefulSet": _replica_set,
    "DaemonSet": _replica_set,
    "Pod": _pod,
    "Service": validate_service,
    "ConfigMap": validate_config_map,
    "Secret": validate_secret,
    "PersistentVolumeClaim": _claim,
    "PodDisruptionBudget": _budget,
    "Lease": _lease,
    "Role": validate_role,
    "ClusterRole": validate_role,
    "RoleBinding": validate_role_binding,
    "ClusterRoleBinding": validate_role_binding,
    "Event": _event,
    "Ingress": _ingress,
}
