"""The revisions of a gateway: what ran, and which action of whose put it there. Pure.

They live on the cluster: a Deployment's ReplicaSets carry the annotations that it had while they
were the newest, so nothing of this is lost with the bot's own store.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.annotations import (
    ACTION_ANNOTATION,
    CONFIG_ANNOTATION,
    REQUESTER_ANNOTATION,
    RESTART_ANNOTATION,
    SPEC_ANNOTATION,
    TOKEN_ACTION_ANNOTATION,
)
from deploy.errors import InvalidInput
from deploy.gateway import DEFAULT_REPOSITORY
from deploy.kube.objects import Manifest
from deploy.observed.pods import token_secret_of
from deploy.observed.rewritten import is_image
from deploy.specs.annotation import mapping_from_text
from deploy.times import epoch

_REVISION = "deployment.kubernetes.io/revision"
_EARLIER = "deployment.kubernetes.io/revision-history"
"""The numbers that a ReplicaSet had before, once it was brought back."""
_RESTARTS = (RESTART_ANNOTATION, "kubectl.kubernetes.io/restartedAt")
"""The marks of this bot's restarts, and of `kubectl rollout restart`."""
_TOLD_OTHERWISE = (*_RESTARTS, CONFIG_ANNOTATION, TOKEN_ACTION_ANNOTATION)


@dataclass(frozen=True)
class Revision:
    """One ReplicaSet of the Deployment. `spec` is the mapping it was made from, None for one that
    this bot did not make, or whose spec it cannot read.

    `token_secret` is the Secret that its pods read their token from, `restarts` are the marks of
    restarts, and `rest` is what else its pods are made from, as text to compare. `again` says that it
    was an earlier revision too, and was brought back. `ready` of its `pods` are ready.
    """

    number: int
    image: str
    created_at: float
    pods: int
    current: bool
    action: str = ""
    requester: str = ""
    spec: dict[str, Any] | None = None
    token_secret: str = ""
    restarts: tuple[str, ...] = ()
    rest: str = field(default="", repr=False)
    again: bool = False
    ready: int = 0


def owned_by(replica_set: Manifest, deployment: Manifest) -> bool:
    """Whether it is one of the Deployment's ReplicaSets."""
    uid = deployment["metadata"].get("uid")
    owners = replica_set["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == uid for owner in owners)


def revision_of(item: Manifest) -> int:
    """The number of a revision, which rises with each; 0 where there is none."""
    number = _annotations(item).get(_REVISION, "")
    return int(number) if number.isdecimal() else 0


def revisions(deployment: Manifest, replica_sets: Iterable[Manifest]) -> tuple[Revision, ...]:
    """Every revision that the cluster still holds, newest first."""
    current = revision_of(deployment)
    found = [
        _revision(item, number, current=number == current)
        for item in replica_sets
        if owned_by(item, deployment) and (number := revision_of(item))
    ]
    return tuple(sorted(found, key=lambda revision: -revision.number))


def is_first_revision(deployment: Manifest) -> bool:
    """Whether its pods have never been of another version."""
    annotations = deployment["metadata"].get("annotations") or {}
    return bool(annotations.get(_REVISION, "1") == "1")


def serving(deployment: Manifest, replica_sets: Iterable[Manifest]) -> tuple[Revision, ...]:
    """Those revisions that this bot made and that have ready pods, newest first.

    One that has none is not a way back: it may be a failure itself.
    """
    ready = [rs for rs in replica_sets if (rs.get("status") or {}).get("readyReplicas")]
    return tuple(found for found in revisions(deployment, ready) if found.spec is not None)


def asked_for(deployment: Manifest) -> Revision:
    """What the Deployment asks for now, whether or not it has a ReplicaSet of that yet."""
    return _revision(deployment, revision_of(deployment), current=True)


def _revision(replica_set: Manifest, number: int, *, current: bool) -> Revision:
    noted = _annotations(replica_set)
    template = replica_set["spec"]["template"]
    pod = template.get("spec") or {}
    marks = (template.get("metadata") or {}).get("annotations") or {}
    used = token_secret_of(pod) if pod.get("containers") else None
    images = [str(container.get("image", "")) for container in pod.get("containers") or [{}]]
    spec = _spec(noted.get(SPEC_ANNOTATION, ""))
    if spec is not None and not any(is_image(replica_set, _image(spec), each) for each in images):
        # Somebody else changed the image: the annotations came over from the previous version.
        noted, spec = {}, None
    return Revision(
        number=number,
        image=images[0],
        created_at=epoch(replica_set["metadata"].get("creationTimestamp")) or 0.0,
        pods=int((replica_set.get("status") or {}).get("replicas", 0)),
        current=current,
        action=noted.get(ACTION_ANNOTATION, ""),
        requester=noted.get(REQUESTER_ANNOTATION, ""),
        spec=spec,
        token_secret=used[0] if used else "",
        restarts=tuple(str(marks.get(key, "")) for key in _RESTARTS),
        rest=_rest(template, used[0] if used else ""),
        again=bool(_annotations(replica_set).get(_EARLIER)),
        ready=int((replica_set.get("status") or {}).get("readyReplicas", 0)),
    )


def _rest(template: Manifest, token_secret: str) -> str:
    """What pods are made from beside image, token and restarts, and the hash of what a spec says."""
    metadata, pod = template.get("metadata") or {}, template.get("spec") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    containers = [
        {
            **{key: value for key, value in container.items() if key not in ("image", "env")},
            "env": [each for each in container.get("env") or () if not _reads(each, token_secret)],
        }
        for container in pod.get("containers") or ()
    ]
    kept = {
        "labels": {key: value for key, value in labels.items() if key != "pod-template-hash"},
        "annotations": {k: v for k, v in annotations.items() if k not in _TOLD_OTHERWISE},
        "pod": {**pod, "containers": containers},
    }
    return json.dumps(kept, sort_keys=True, separators=(",", ":"))


def _reads(variable: Mapping[str, Any], secret: str) -> bool:
    reference = (variable.get("valueFrom") or {}).get("secretKeyRef") or {}
    return bool(secret) and reference.get("name") == secret


def _spec(text: str) -> dict[str, Any] | None:
    try:
        return mapping_from_text(text)
    except InvalidInput:
        return None


def _image(spec: dict[str, Any]) -> str:
    image = spec.get("image")
    known = image if isinstance(image, dict) else {}
    pinned = f"@{known['digest']}" if known.get("digest") else ""
    return f"{known.get('repository', DEFAULT_REPOSITORY)}:{known.get('tag', '')}{pinned}"


def _annotations(item: Manifest) -> dict[str, str]:
    return item["metadata"].get("annotations") or {}
