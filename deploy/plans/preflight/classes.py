"""The classes that a pod names, and what they add to it. Pure.

A runtime class may ask for resources beside the containers' (pod overhead), and for nodes; without a
name of its own a pod gets the default priority class (Kubernetes documentation, "Pod Overhead", "Runtime
Class", "Pod Priority and Preemption").
"""

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.kube.objects import Manifest
from deploy.plans.preflight.outlook import Outlook, Wanted
from deploy.rules.finding import Finding
from deploy.rules.reading import at, mapping, mappings, text, whole


def class_findings(wanted: Wanted, outlook: Outlook) -> Iterator[Finding]:
    """That a class is missing."""
    for kind, key, found in (
        ("RuntimeClass", "runtimeClassName", outlook.runtimes),
        ("PriorityClass", "priorityClassName", outlook.priorities),
    ):
        name = text(wanted.pod.get(key))
        if name and found is not None and _named(found, name) is None:
            yield Finding(
                "missing-object",
                "warning",
                f"The cluster has no {kind} {name}, which the pods use.",
                "Kubernetes does not create pods with a class that does not exist.",
                f"Have it created, or change placement.{key} in the spec.",
            )


def with_runtime(pod: Mapping[str, Any], outlook: Outlook) -> Mapping[str, Any]:
    """A pod's spec with what its runtime class adds."""
    name = text(pod.get("runtimeClassName"))
    found = _named(outlook.runtimes or (), name) if name else None
    if found is None:
        return pod
    chosen = {
        **mapping(pod.get("nodeSelector")),
        **mapping(at(found, "scheduling", "nodeSelector")),
    }
    tolerated = (
        *mappings(pod.get("tolerations")),
        *mappings(at(found, "scheduling", "tolerations")),
    )
    overhead = mapping(at(found, "overhead", "podFixed"))
    return {**pod, "nodeSelector": chosen, "tolerations": tolerated, "overhead": overhead}


def priority_of(pod: Mapping[str, Any], outlook: Outlook) -> str | None:
    """The priority class of such pods; empty where they have none, None where that is not known."""
    if said := text(pod.get("priorityClassName")):
        return said
    if outlook.priorities is None:
        return None
    defaults = [each for each in outlook.priorities if each.get("globalDefault") is True]
    lowest = min(defaults, key=lambda each: whole(each.get("value")) or 0, default=None)
    return "" if lowest is None else str(lowest["metadata"]["name"])


def _named(items: tuple[Manifest, ...], name: str) -> Manifest | None:
    return next((item for item in items if item["metadata"]["name"] == name), None)
