"""Labels that an earlier version of this bot applied, and that stay as they are. Pure.

Changing a label of the pods' template would restart every pod, and Services of others may select by it.
Labels of an adopted gateway's selector are mostly its chart's, and earlier versions took them over on
every object: what selects a Service by them (a ServiceMonitor does) must still find it.
"""

from collections.abc import Mapping
from typing import Any

from deploy.kube.applied import applied
from deploy.kube.cluster import FIELD_MANAGER
from deploy.kube.objects import Manifest
from deploy.rendering.labels import DESCRIPTIVE, selector
from deploy.specs.gateway_spec import GatewaySpec

_Labels = Mapping[str, str]


def keeping_labels(
    objects: tuple[Manifest, ...], spec: GatewaySpec, live: Manifest | None
) -> tuple[Manifest, ...]:
    """The objects with those labels of the live Deployment that an apply without them would remove:
    its pods' descriptive ones, and on every object those of the selector."""
    if live is None:
        return objects
    ours, chosen = applied(live, FIELD_MANAGER), selector(spec)
    of_objects = {name: v for name, v in _labels(ours).items() if chosen.get(name) == v}
    template = (ours.get("spec") or {}).get("template") or {}
    of_pods = {name: v for name, v in _labels(template).items() if name in DESCRIPTIVE}
    return tuple(_with(_labelled(item, of_objects), of_pods) for item in objects)


def _with(item: Manifest, of_pods: _Labels) -> Manifest:
    if item["kind"] != "Deployment":
        return item
    template = _labelled(item["spec"]["template"], of_pods)
    return {**item, "spec": {**item["spec"], "template": template}}


def _labelled(item: Manifest, labels: _Labels) -> Manifest:
    metadata = item["metadata"]
    return {**item, "metadata": {**metadata, "labels": {**metadata["labels"], **labels}}}


def _labels(item: Mapping[str, Any]) -> _Labels:
    return (item.get("metadata") or {}).get("labels") or {}
