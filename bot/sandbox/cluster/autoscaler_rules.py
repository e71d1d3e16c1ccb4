"""What the API server asks of a HorizontalPodAutoscaler."""

from collections.abc import Callable, Mapping
from typing import Any

from bot.sandbox.cluster import names
from bot.sandbox.cluster.checks import (
    Check,
    at_least,
    given,
    needed,
    no_negative_quantity,
    one_of,
    positive_quantity,
    text,
)
from bot.sandbox.cluster.errors import (
    Cause,
    forbidden_field,
    invalid_value,
    required,
)
from bot.sandbox.cluster.objects import Obj, get

# By type of a metric, the field that holds it; in the order in which the server looks.
_SOURCES = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_TARGETS = ("Utilization", "Value", "AverageValue")
_LONGEST_WINDOW, _LONGEST_PERIOD = 3600, 1800


def _spec(spec: Obj, at: str) -> list[Cause]:
    causes = _reference(spec.get("scaleTargetRef") or {}, f"{at}.scaleTargetRef")
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    causes += at_least(1)(most, f"{at}.maxReplicas") if most else [required(f"{at}.maxReplicas")]
    if least is not None and most < least:
        words = "must be greater than or equal to `minReplicas`"
        causes.append(invalid_value(f"{at}.maxReplicas", most, words))
    outside = {metric.get("type") for metric in spec.get("metrics") or []} & {"Object", "External"}
    if least == 0 and not outside:
        words = "must specify at least one Object or External metric to support scaling to zero replicas"
        causes.append(forbidden_field(f"{at}.metrics", words))
    return causes


def _reference(reference: Obj, at: str) -> list[Cause]:
    version = reference.get("apiVersion", "")
    if version.count("/") > 1:
        words = f"unexpected GroupVersion string: {version}"
    elif version != "v1" and "/" not in version:
        words = "apiVersion must specify API group"
    else:
        return []
    return [invalid_value(f"{at}.apiVersion", version, words)]


def _metric(metric: Obj, at: str) -> list[Cause]:
    kind = metric.get("type", "")
    causes = [] if kind else [required(f"{at}.type", "must specify a metric source type")]
    found = [field for field in _SOURCES.values() if metric.get(field) is not None]
    wanted = _SOURCES.get(kind)
    if wanted and wanted not in found:
        words = "must populate information for the given metric source"
        causes.append(required(f"{at}.{wanted}", words))
    if len(found) > 1:
        words = "must populate the given metric source only"
        causes += [forbidden_field(f"{at}.{extra}", words) for extra in found if extra != wanted]
    return causes


def _target(target: Obj, at: str) -> list[Cause]:
    kind = target.get("type", "")
    causes = [] if kind else [required(f"{at}.type", "must specify a metric target type")]
    if kind not in _TARGETS:
        words = "must be either Utilization, Value, or AverageValue"
        causes.append(invalid_value(f"{at}.type", kind, words))
    return causes


def _one_target(*fields: str, why: str, other: str = "") -> Callable[[Obj, str], list[Cause]]:
    """One of these fields of the target must be there; where `other` says so, no more than one."""

    def check(source: Obj, at: str) -> list[Cause]:
        found = [name for name in fields if get(source, "target", name) is not None]
        if not found:
            return [required(f"{at}.target.{fields[0]}", why)]
        if other and len(found) > 1:
            return [forbidden_field(f"{at}.target.{fields[1]}", other)]
        return []

    return check


_RAW_OR_SHARE = _one_target(
    "averageUtilization",
    "averageValue",
    why="must set either a target raw value or a target utilization",
    other="may not set both a target raw value and a target utilization",
)
_POSITIVE = positive_quantity("must be positive")
_SEGMENT = text(names.path_segment)
_COUNT = at_least(1, "must be greater than zero")


def _number(check: Check) -> Check:
    return lambda value, at: check(value or 0, at)


def _at_most(most: int) -> Check:
    words = f"must be less than or equal to {most}"

    def check(value: Any, at: str) -> list[Cause]:
        return [invalid_value(at, value, words)] if value > most else []

    return check


FIELDS: Mapping[str, Mapping[str, Check]] = {
    "V2HorizontalPodAutoscalerSpec": {"minReplicas": at_least(0)},
    "V2CrossVersionObjectReference": {"kind": needed(_SEGMENT), "name": needed(_SEGMENT)},
    "V2MetricSpec": {"type": one_of(*sorted(_SOURCES))},
    "V2MetricIdentifier": {"name": needed(_SEGMENT, why="must specify a metric name")},
    "V2MetricTarget": {
        "value": _POSITIVE,
        "averageValue": _POSITIVE,
        "averageUtilization": at_least(1, "must be greater than 0"),
    },
    "V2ResourceMetricSource": {"name": needed(why="must specify a resource name")},
    "V2ContainerResourceMetricSource": {
        "name": needed(why="must specify a resource name"),
        "container": needed(text(names.label), why="must specify a container"),
    },
    "V2HPAScalingRules": {
        "stabilizationWindowSeconds": given(
            at_least(0, "must be greater than or equal to zero"), _at_most(_LONGEST_WINDOW)
        ),
        "selectPolicy": given(one_of("Disabled", "Max", "Min")),
        "policies": needed(why="must specify at least one Policy"),
        "tolerance": given(no_negative_quantity),
    },
    "V2HPAScalingPolicy": {
        "type": one_of("Percent", "Pods"),
        "value": _number(_COUNT),
        "periodSeconds": _number(given(_COUNT, _at_most(_LONGEST_PERIOD))),
    },
}
WHOLES: Mapping[str, Callable[[Any, str], list[Cause]]] = {
    "V2HorizontalPodAutoscalerSpec": _spec,
    "V2MetricSpec": _metric,
    "V2MetricTarget": _target,
    "V2ResourceMetricSource": _RAW_OR_SHARE,
    "V2ContainerResourceMetricSource": _RAW_OR_SHARE,
    "V2PodsMetricSource": _one_target(
        "averageValue", why="must specify a positive target averageValue"
    ),
    "V2ObjectMetricSource": _one_target(
        "averageValue", "value", why="must set either a target value or averageValue"
    ),
    "V2ExternalMetricSource": _one_target(
        "averageValue",
        "value",
        why="must set either a target value for metric or a per-pod target",
        other="may not set both a target value for metric and a per-pod target",
    ),
}
