"""Changes of one thing: which token the pods read, or that they are restarted. Pure.

A rotation and a restart write the reference to a Secret or one mark, and the spec's note of it.
Whatever else this bot has applied is applied again as it is, so that it stays and stays this bot's;
what others have changed since is theirs and is not written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from deploy.annotations import IDLE_ANNOTATION, RESTART_ANNOTATION, SPEC_ANNOTATION
from deploy.commands import Command
from deploy.errors import NotFound
from deploy.kube.applied import applied
from deploy.kube.cluster import FIELD_MANAGER
from deploy.kube.objects import Manifest
from deploy.observed.pods import token_secret_of
from deploy.plans.handover import spec_carried_by
from deploy.rendering.labels import container_name
from deploy.specs.annotation import spec_to_text
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.settings import AUTH
from deploy.tokens.token import LAYOUT_KEY


def partly(live: Manifest | None, spec: GatewaySpec, secret: str | None) -> Manifest:
    """The live Deployment as this bot applies it, but for the Secret of its pods' token and the mark
    of a restart, which are as given. NotFound where there is none."""
    if live is None:
        again = Command("deploy", spec.ref)
        raise NotFound(f"{spec.ref} no longer runs.", remedy=f"{again} brings it back.").offering(
            again
        )
    ours = applied(live, FIELD_MANAGER)
    # Whether it has pods is noted anew with each write.
    _annotate(ours["metadata"], {IDLE_ANNOTATION: None})
    used = token_secret_of(live["spec"]["template"]["spec"])
    if secret is not None and (used is None or used[0] != secret):
        ours = with_token(ours, container_name(spec), AUTH, secret, LAYOUT_KEY)
    return _restarted(ours, live, spec)


def with_token(
    deployment: Manifest, container: str, variable: str, secret: str, key: str
) -> Manifest:
    """A Deployment to apply, that variable of its container read from that key of the Secret."""
    reference = {"secretKeyRef": {"name": secret, "key": key}}
    template = _mapping(deployment, "spec", "template")
    pod = _mapping(template, "spec")
    containers = pod.get("containers") or ()
    own = next((each for each in containers if each["name"] == container), {"name": container})
    env = _put(own.get("env") or (), {"name": variable, "valueFrom": reference})
    pod = {**pod, "containers": _put(containers, {**own, "env": env})}
    return {
        **deployment,
        "spec": {**_mapping(deployment, "spec"), "template": {**template, "spec": pod}},
    }


def _restarted(ours: Manifest, live: Manifest, spec: GatewaySpec) -> Manifest:
    """The Deployment with the spec's mark of a restart, where the live one has another."""
    template = _mapping(live, "spec", "template")
    mark = spec.rollout.restarted_at or None
    if (_mapping(template, "metadata", "annotations").get(RESTART_ANNOTATION) or None) == mark:
        return ours
    own = ours.setdefault("spec", {}).setdefault("template", {}).setdefault("metadata", {})
    _annotate(own, {RESTART_ANNOTATION: mark})
    carried = spec_carried_by(live)
    if carried is not None:
        rollout = replace(carried.rollout, restarted_at=spec.rollout.restarted_at)
        text = spec_to_text(replace(carried, rollout=rollout))
        _annotate(ours["metadata"], {SPEC_ANNOTATION: text})
    return ours


def _annotate(metadata: dict[str, Any], annotations: Mapping[str, str | None]) -> None:
    noted = {**(metadata.get("annotations") or {}), **annotations}
    kept = {key: value for key, value in noted.items() if value is not None}
    metadata.pop("annotations", None)
    if kept:
        metadata["annotations"] = kept


def _put(items: Sequence[Any], item: dict[str, Any]) -> list[Any]:
    """The items, the one of that name replaced, or added at the end."""
    known = any(each["name"] == item["name"] for each in items)
    found = [item if each["name"] == item["name"] else each for each in items]
    return found if known else [*found, item]


def _mapping(item: Mapping[str, Any], *path: str) -> dict[str, Any]:
    here: Any = item
    for step in path:
        here = here.get(step) or {}
    return here if isinstance(here, dict) else {}
