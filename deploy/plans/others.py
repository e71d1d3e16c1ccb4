"""Existing objects that belong to another gateway, or are what another workload runs on. Pure.

A spec may name its objects, so that a gateway which something else installed keeps them. With the
name of another's object it would overwrite that: both are applied by this bot, and the cluster sees
no conflict.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from deploy.annotations import MANAGER, PART_OF_LABEL
from deploy.kube.objects import Manifest
from deploy.observed.references import config_maps_of
from deploy.plans.handover import spec_carried_by
from deploy.rendering.labels import EARLIER_LABEL, MANAGED_BY
from deploy.rendering.manifests import render

_SELECTORS = {
    "Service": ("selector",),
    "PodDisruptionBudget": ("selector", "matchLabels"),
    "NetworkPolicy": ("podSelector", "matchLabels"),
}


def other_owner(item: Manifest, name: str, deployments: Sequence[Manifest]) -> str:
    """Whom a live object belongs to, where that is not the gateway `name`; empty otherwise.

    `deployments` are all of its namespace. What another gateway's spec makes is that gateway's. What
    the gateway's own spec made is its own, whoever reads it too. Of the rest the labels count, and
    whether another Deployment runs on it: a gateway that is adopted has objects without labels.
    """
    own = next((each for each in deployments if _name(each) == name), None)
    others = [each for each in deployments if _name(each) != name]
    made = next((_name(each) for each in others if _makes(each, item)), "")
    if made or (own is not None and _makes(own, item)):
        return made
    return _labelled(item, name, own, others) or next(
        (_name(each) for each in others if _runs_on(each, item, own)), ""
    )


def _makes(deployment: Manifest, item: Manifest) -> bool:
    """Whether the object is one of those that this bot made with that Deployment."""
    spec = spec_carried_by(deployment)
    if spec is None or spec.ref.name != _name(deployment):
        # A copy of a Deployment carries the spec of the original.
        return False
    return any(
        (each["kind"], _name(each)) == (item["kind"], _name(item)) for each in render(spec, None)
    )


def _labelled(item: Manifest, name: str, own: Manifest | None, others: Sequence[Manifest]) -> str:
    """The other gateway that the object's labels name.

    Earlier versions of the bot named it in the label in which Helm and Argo CD name a release or
    application, so a value there counts only where it is known to be a gateway's.
    """
    labels = _labels(item)
    if named := str(labels.get(PART_OF_LABEL, "")):
        return "" if named == name else named
    instance = str(labels.get(EARLIER_LABEL, ""))
    if instance in ("", name) or (own is not None and _labels(own).get(EARLIER_LABEL) == instance):
        return ""
    is_ours = labels.get(MANAGED_BY) == MANAGER
    return instance if is_ours or instance in map(_name, others) else ""


def _runs_on(other: Manifest, item: Manifest, own: Manifest | None) -> bool:
    """Whether the other one's pods take their settings from the object, or it selects them and not
    those of the gateway itself."""
    if item["kind"] == "ConfigMap":
        return _name(item) in config_maps_of(_template(other).get("spec") or {})
    path = _SELECTORS.get(item["kind"])
    if path is None:
        return False
    selector: Any = item.get("spec") or {}
    for step in path:
        selector = selector.get(step) or {}
    return _selects(selector, other) and not (own is not None and _selects(selector, own))


def _selects(selector: Mapping[str, str], deployment: Manifest) -> bool:
    labels = (_template(deployment).get("metadata") or {}).get("labels") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _template(deployment: Manifest) -> Mapping[str, Any]:
    template: Mapping[str, Any] = deployment["spec"]["template"]
    return template


def _labels(item: Manifest) -> Mapping[str, str]:
    return item["metadata"].get("labels") or {}


def _name(item: Manifest) -> str:
    return str(item["metadata"]["name"])
