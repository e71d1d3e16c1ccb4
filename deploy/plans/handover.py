"""What a changed spec leaves behind: a number of pods that another counts now, and old objects."""

from collections.abc import Iterable

from deploy.annotations import IDLE_ANNOTATION, SPEC_ANNOTATION
from deploy.errors import InvalidInput
from deploy.kube.api_errors import OwnershipConflicts
from deploy.kube.cluster import FIELD_MANAGER, Cluster
from deploy.kube.objects import Manifest
from deploy.plans.plan import ObjectChange
from deploy.rendering.manifests import render
from deploy.specs.annotation import says, spec_from_text
from deploy.specs.gateway_spec import GatewaySpec

REPLICAS_MANAGER = "gateway-bot-replicas"
_DELETED = ("HorizontalPodAutoscaler", "PodDisruptionBudget")
"""Kinds that act on pods while they exist and hold nothing that could be lost."""


def left_behind(deployment: Manifest | None, wanted: Iterable[Manifest]) -> list[ObjectChange]:
    """The deletions of what the live Deployment's own spec made and the new one has no more."""
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
    same: that specs have a version by now is no reason to write it."""
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
    """The objects, a service account that is wanted no more taken from the pods by name.

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


def with_live_replicas(wanted: Manifest, live: Manifest | None, merged: Manifest) -> Manifest:
    """What an apply gives once `hand_over_replicas` was called, which a dry run cannot see."""
    if not _leaves_replicas(wanted) or live is None:
        return merged
    return {**merged, "spec": {**merged["spec"], "replicas": live["spec"]["replicas"]}}


def hand_over_replicas(cluster: Cluster, wanted: Manifest) -> None:
    """Keep the number of pods when `wanted` leaves it to an autoscaler.

    A field that its only owner stops to apply falls back to its default, which is one pod; so it
    gets another owner first (Kubernetes, "Server-Side Apply", Transferring ownership).
    """
    if not _leaves_replicas(wanted):
        return
    metadata = wanted["metadata"]
    live = cluster.get("Deployment", metadata["namespace"], metadata["name"])
    if live is None or not _owns_replicas(live):
        return
    holder = {
        "apiVersion": wanted["apiVersion"],
        "kind": wanted["kind"],
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
        "spec": {"replicas": live["spec"]["replicas"]},
    }
    try:
        cluster.apply(holder, manager=REPLICAS_MANAGER)
    except OwnershipConflicts:
        # The autoscaler has just changed it, so it has another owner already.
        return


def noting_idle(wanted: Manifest, live: Manifest) -> Manifest:
    """What is applied onto `live`: an autoscaled Deployment that somebody has scaled to 0 stays
    there, and is marked, so that it is told from one that is scaled to 0 afterwards. Nobody owns the
    number then, and nothing else dates it."""
    if not _leaves_replicas(wanted) or live["spec"].get("replicas", 1):
        return wanted
    metadata = wanted["metadata"]
    annotations = {**metadata.get("annotations", {}), IDLE_ANNOTATION: "true"}
    return {**wanted, "metadata": {**metadata, "annotations": annotations}}


def stopped_since(spec: GatewaySpec, live: Manifest) -> bool:
    """Whether an autoscaled Deployment was scaled to 0 after it was applied: there its autoscaler
    does nothing (kubernetes.io, "Horizontal Pod Autoscaling", implicit maintenance mode)."""
    if spec.autoscaling.most is None or live["spec"].get("replicas", 1):
        return False
    return IDLE_ANNOTATION not in (live["metadata"].get("annotations") or {})


def _leaves_replicas(wanted: Manifest) -> bool:
    return wanted["kind"] == "Deployment" and "replicas" not in wanted["spec"]


def _owns_replicas(live: Manifest) -> bool:
    return any(
        entry.get("manager") == FIELD_MANAGER
        and "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
        for entry in live["metadata"].get("managedFields") or ()
    )
