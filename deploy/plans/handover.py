"""What a changed spec leaves behind: a number of pods that another counts now, and old objects."""

from collections.abc import Iterable

from deploy.annotations import IDLE_ANNOTATION, SPEC_ANNOTATION
from deploy.errors import InvalidInput
from deploy.kube.objects import Manifest
from deploy.plans.plan import ObjectChange
from deploy.rendering.manifests import render
from deploy.specs.annotation import says, spec_from_text
from deploy.specs.gateway_spec import GatewaySpec

REPLICAS_MANAGER = "gateway-bot-replicas"
"""Under this name earlier versions kept the number of pods of a gateway that is autoscaled."""
_DELETED = ("HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget")
"""Kinds that act on pods while they exist and hold nothing that could be lost."""


def left_behind(deployment: Manifest | None, wanted: Iterable[Manifest]) -> list[ObjectChange]:
    """The deletions of what the live Deployment's own spec made and the new one no longer has."""
    before = spec_carried_by(deployment)
    if before is None:
        return []
    kept = {(item["kind"], item["metadata"]["name"]) for item in wanted}
    return [
        ObjectChange(item["kind"], item["metadata"]["name"], "delete")
        for item in render(before, None)
        if item["kind"] in _DELETED and (item["kind"], item["metadata"]["name"]) not in kept
    ]


def spec_carried_by(deployment: Manifest | None) -> GatewaySpec | None:
    """The spec from which this bot deployed it; None where there is none that can be read."""
    try:
        return spec_from_text(_annotation(deployment))
    except InvalidInput:
        return None


def with_carried_spec(
    objects: tuple[Manifest, ...], spec: GatewaySpec, live: Manifest | None
) -> tuple[Manifest, ...]:
    """The objects of `spec`, the text that the Deployment carries left as it is where it says the
    same: that specs have a version by now is not a reason to write it."""
    carried = _annotation(live)
    if not says(carried, spec):
        return objects
    return tuple(
        _with_annotation(item, carried) if item["kind"] == "Deployment" else item
        for item in objects
    )


def _annotation(deployment: Manifest | None) -> str:
    annotations = deployment["metadata"].get("annotations") or {} if deployment else {}
    return str(annotations.get(SPEC_ANNOTATION, ""))


def _with_annotation(deployment: Manifest, text: str) -> Manifest:
    metadata = deployment["metadata"]
    annotations = {**metadata["annotations"], SPEC_ANNOTATION: text}
    return {**deployment, "metadata": {**metadata, "annotations": annotations}}


def without_account(objects: tuple[Manifest, ...], live: Manifest | None) -> tuple[Manifest, ...]:
    """The objects, a service account that is no longer wanted taken from the pods by name.

    Left out, it would come back: Kubernetes keeps it under the field's old name as well.
    """
    before = spec_carried_by(live)
    if before is None or before.auth.kind != "workloadIdentity":
        return objects
    return tuple(
        _with_default_account(item)
        if item["kind"] == "Deployment"
        and "serviceAccountName" not in item["spec"]["template"]["spec"]
        else item
        for item in objects
    )


def _with_default_account(deployment: Manifest) -> Manifest:
    spec, template = deployment["spec"], deployment["spec"]["template"]
    pod = {**template["spec"], "serviceAccountName": "default"}
    return {**deployment, "spec": {**spec, "template": {**template, "spec": pod}}}


def noting_idle(wanted: Manifest, live: Manifest) -> Manifest:
    """What is applied onto `live`: a Deployment that is to have no pods, or that somebody has scaled
    to 0 and whose number stays, is marked, so that it is told from one that is scaled to 0
    afterwards. Nobody owns the number of the second, and nothing else dates it."""
    if wanted["spec"].get("replicas", live["spec"].get("replicas", 1)):
        return wanted
    metadata = wanted["metadata"]
    annotations = {**metadata.get("annotations", {}), IDLE_ANNOTATION: "true"}
    return {**wanted, "metadata": {**metadata, "annotations": annotations}}


def stopped_since(live: Manifest) -> bool:
    """Whether a Deployment was scaled to 0 after it was applied: there its autoscaler does nothing
    (kubernetes.io, "Horizontal Pod Autoscaling", implicit maintenance mode)."""
    if live["spec"].get("replicas", 1):
        return False
    return IDLE_ANNOTATION not in (live["metadata"].get("annotations") or {})
