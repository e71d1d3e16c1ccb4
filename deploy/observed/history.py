"""The revisions of a gateway: what ran, and which action of whose put it there. Pure.

They live on the cluster: a Deployment's ReplicaSets carry the annotations that it had while they
were the newest, so nothing of this is lost with the bot's own store.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from deploy.annotations import ACTION_ANNOTATION, REQUESTER_ANNOTATION, SPEC_ANNOTATION
from deploy.errors import InvalidInput, NotFound
from deploy.gateway import DEFAULT_REPOSITORY
from deploy.kube.objects import Manifest
from deploy.observed.rewritten import is_image
from deploy.specs.annotation import mapping_from_text
from deploy.times import epoch

_REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True)
class Revision:
    """One ReplicaSet of the Deployment. `spec` is the mapping it was made from, None for one that
    this bot did not make, or whose spec it cannot read."""

    number: int
    image: str
    created_at: float
    pods: int
    current: bool
    action: str = ""
    requester: str = ""
    spec: dict[str, Any] | None = None


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


def serving(deployment: Manifest, replica_sets: Iterable[Manifest]) -> tuple[Revision, ...]:
    """Those revisions that this bot made and that have ready pods, newest first.

    One that has none is not a way back: it may be a failure itself.
    """
    ready = [rs for rs in replica_sets if (rs.get("status") or {}).get("readyReplicas")]
    return tuple(found for found in revisions(deployment, ready) if found.spec is not None)


def chosen(known: Iterable[Revision], number: int | None) -> Revision:
    """The revision of that number, or the one before the current. NotFound says what there is."""
    ordered = sorted(known, key=lambda revision: -revision.number)
    others = [revision for revision in ordered if not revision.current]
    listed = ", ".join(str(revision.number) for revision in ordered) or "none"
    if number is None:
        if not others:
            raise NotFound("There is no revision before this one.", remedy="Deploy another tag.")
        return others[0]
    for revision in ordered:
        if revision.number == number:
            return revision
    raise NotFound(
        f"Revision {number} no longer exists.", remedy=f"The cluster still holds {listed}."
    )


def _revision(replica_set: Manifest, number: int, *, current: bool) -> Revision:
    noted = _annotations(replica_set)
    pod = replica_set["spec"]["template"].get("spec") or {}
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
    )


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
