"""What each pod asks for, as a namespace's LimitRanges complete it. Pure.

Kubernetes takes a limit for the request where there is none, then a LimitRange fills in its defaults
(Kubernetes documentation, "Limit Ranges").
"""

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from deploy.kube.objects import Manifest
from deploy.rules.reading import amount, at, mapping, mappings

Amounts = dict[str, Fraction]
"""By quota key: `requests.cpu`, `limits.memory` and the like."""

_COUNTED = ("cpu", "memory")


def of_kind(limits: Iterable[Manifest], kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each limit of that type with the name of its LimitRange."""
    for item in limits:
        for limit in mappings(at(item, "spec", "limits")):
            if limit.get("type") == kind:
                yield item["metadata"]["name"], limit


def of_container(container: Mapping[str, Any], limits: Iterable[Manifest]) -> Amounts:
    """What a container asks for; nothing for what it leaves out and no default fills in."""
    asked: Amounts = {}
    filled = [limit for _, limit in of_kind(limits, "Container")]
    for name in _COUNTED:
        limit = amount(at(container, "resources", "limits", name))
        request = amount(at(container, "resources", "requests", name))
        if request is None:
            request = limit
        for default in filled:
            if limit is None:
                limit = amount(mapping(default.get("default")).get(name))
            if request is None:
                request = amount(mapping(default.get("defaultRequest")).get(name))
        if request is None:
            request = limit
        if limit is not None:
            asked[f"limits.{name}"] = limit
        if request is not None:
            asked[f"requests.{name}"] = request
    return asked


def of_pod(pod: Mapping[str, Any], limits: Iterable[Manifest]) -> Amounts:
    """The sum over a pod: its containers and restartable init containers, or the largest init
    container, whichever is more."""
    kept = tuple(limits)
    inits = mappings(pod.get("initContainers"))
    beside = [each for each in inits if each.get("restartPolicy") == "Always"]
    total: Amounts = {}
    for container in (*mappings(pod.get("containers")), *beside):
        for name, value in of_container(container, kept).items():
            total[name] = total.get(name, Fraction()) + value
    for container in inits:
        for name, value in of_container(container, kept).items():
            total[name] = max(total.get(name, Fraction()), value)
    return total


def with_overhead(asked: Amounts, pod: Mapping[str, Any]) -> Amounts:
    """The same with what the pod's runtime takes; limits that there are not stay none."""
    found = dict(asked)
    for name in _COUNTED:
        more = amount(at(pod, "overhead", name)) or Fraction()
        if more:
            found[f"requests.{name}"] = found.get(f"requests.{name}", Fraction()) + more
        if more and f"limits.{name}" in found:
            found[f"limits.{name}"] += more
    return found


def shown(value: Fraction, key: str) -> str:
    """An amount as Kubernetes writes it."""
    if key.endswith("cpu"):
        return str(int(value)) if value.denominator == 1 else f"{int(value * 1000)}m"
    for suffix, size in (("Gi", 1024**3), ("Mi", 1024**2), ("Ki", 1024)):
        if value >= size and (value / size).denominator == 1:
            return f"{int(value / size)}{suffix}"
    return str(int(value))
