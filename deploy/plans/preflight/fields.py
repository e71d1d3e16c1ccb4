"""Fields that a cluster of an older Kubernetes does not know. Pure.

Its API server drops what it knows without being allowed to use it, and says nothing
(github.com/kubernetes/kubernetes/pull/123482 shows it for container metrics); what it does not know at
all it refuses with a sentence about its schema (tests/cluster/contract/test_apply.py). A feature counts
from the minor version on in which it is on by default: github.com/kubernetes/website,
content/en/docs/reference/command-line-tools-reference/feature-gates, of HPAContainerMetrics,
MatchLabelKeysInPodAffinity, MatchLabelKeysInPodTopologySpread and PodLifecycleSleepAction. For
HPAConfigurableTolerance that page contradicts itself, so github.com/kubernetes/enhancements,
keps/sig-autoscaling/4951-configurable-hpa-tolerance/kep.yaml, counts (beta in 1.35). All read 2026-11-30.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.kube.objects import Manifest
from deploy.rules.finding import Finding

Minor = tuple[int, int]
_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})")


@dataclass(frozen=True)
class _Newer:
    """`path` is of an object, without the places of lists; `field` is what a spec calls it."""

    kind: str
    path: str
    field: str
    since: Minor


_POD = "spec.template.spec"
_NEWER = (
    _Newer(
        "Deployment",
        f"{_POD}.topologySpreadConstraints.matchLabelKeys",
        "placement.whenUnsatisfiable: DoNotSchedule",
        (1, 27),
    ),
    _Newer(
        "Deployment",
        f"{_POD}.containers.lifecycle.preStop.sleep",
        "rollout.preStopSleepSeconds",
        (1, 30),
    ),
    *(
        _Newer(
            "Deployment",
            f"{_POD}.affinity.{kind}.{when}{key}",
            f"placement.affinity ({key})",
            (1, 31),
        )
        for kind in ("podAffinity", "podAntiAffinity")
        for when in (
            "requiredDuringSchedulingIgnoredDuringExecution.",
            "preferredDuringSchedulingIgnoredDuringExecution.podAffinityTerm.",
        )
        for key in ("matchLabelKeys", "mismatchLabelKeys")
    ),
    _Newer(
        "HorizontalPodAutoscaler",
        "spec.metrics.containerResource",
        "autoscaling.metrics (containerResource)",
        (1, 27),
    ),
    *(
        _Newer(
            "HorizontalPodAutoscaler",
            f"spec.behavior.{way}.tolerance",
            f"autoscaling.behavior ({way}.tolerance)",
            (1, 35),
        )
        for way in ("scaleUp", "scaleDown")
    ),
)


def minor_of(version: str) -> Minor | None:
    """That of a version such as v1.33.2-gke.100; None where it is not known."""
    found = _VERSION.match(version)
    return (int(found[1]), int(found[2])) if found else None


def field_findings(objects: Sequence[Manifest], version: str) -> Iterator[Finding]:
    """What the cluster does not know of the objects that are to be written."""
    minor = minor_of(version)
    if minor is None:
        return
    told: set[str] = set()
    for item in objects:
        for each in _NEWER:
            if each.kind != item["kind"] or minor >= each.since or each.field in told:
                continue
            if _has(item, each.path.split(".")):
                told.add(each.field)
                since = ".".join(map(str, each.since))
                yield Finding(
                    "newer-field",
                    "deny",
                    f"Kubernetes {'.'.join(map(str, minor))} on this cluster does not support "
                    f"{each.field}.",
                    f"{each.path} is supported from {since} on. Older versions drop the field "
                    "silently or reject the object.",
                    f"Leave it out of the spec, or upgrade the cluster to {since}.",
                )


def _has(value: Any, path: Sequence[str]) -> bool:
    if isinstance(value, list):
        return any(_has(each, path) for each in value)
    if not path:
        return value is not None
    return isinstance(value, dict) and path[0] in value and _has(value[path[0]], path[1:])
