"""Whether the cluster still holds what an action applied: once the rollout it followed is over, and
again a while after a success."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from deploy.actions.action import Action
from deploy.errors import Refused, Unavailable
from deploy.gateway import GatewayRef
from deploy.kube.cluster import FIELD_MANAGER, Cluster
from deploy.kube.objects import Manifest
from deploy.observed.inventory import container_of
from deploy.observed.pausing import Pause, pause_of
from deploy.observed.rewritten import is_image
from deploy.plans.counting import REPLICAS
from deploy.plans.diff import field_changes
from deploy.plans.dry_run import merge, wanted_objects
from deploy.plans.handover import REPLICAS_MANAGER, stopped_since
from deploy.plans.partial import partly
from deploy.plans.plan import FieldChange, OwnershipConflict
from deploy.rendering.manifests import with_action, written_alike
from deploy.rollouts.live_state import why_gone, written_by
from deploy.rollouts.rollout import IMAGES_MANAGER
from deploy.specs.gateway_spec import GatewaySpec

OURS = (FIELD_MANAGER, REPLICAS_MANAGER, IMAGES_MANAGER)


@dataclass(frozen=True)
class Changed:
    """What somebody changed of a Deployment after it was applied. `by` are the field managers, as
    Kubernetes names them; the `old` of a field is what it is now, the `new` what was wanted."""

    by: tuple[str, ...]
    fields: tuple[FieldChange, ...]


def changed_since(
    cluster: Cluster, spec: GatewaySpec, secret: str | None, action: Action
) -> Changed | None:
    """What is not as this action applied it, its pods' token being in `secret`; None where all is.

    The same apply is tried in a dry run, so that what a webhook makes of it is not a change, nor is an
    image that it makes something else of by now.
    NotFound when the Deployment is gone, NamespaceEnds when its namespace is going; raises what an
    apply raises.
    """
    # What is in a namespace that is being deleted may stay for minutes, and is not a success.
    cluster.check_namespace(spec.ref.namespace)
    live = cluster.get("Deployment", spec.ref.namespace, spec.ref.name)
    if live is None:
        raise why_gone(cluster, spec.ref)
    # A version to go back to has no number of pods that was asked for.
    count = action.plan.count if spec == action.plan.spec else None
    written = (
        (partly(live, spec, secret),)
        if action.plan.partial
        else wanted_objects(spec, secret, live, count=count)
    )
    objects = with_action(written, action.id, action.requester)
    wanted = next(item for item in objects if item["kind"] == "Deployment")
    image = str(container_of(wanted).get("image", ""))
    merged = merge(cluster, wanted, live)
    fields = [
        field
        for field in field_changes("Deployment", live, merged.result)
        if field.path.startswith("spec.")
        and not (field.path.endswith(".image") and is_image(live, image, str(field.old)))
    ]
    if written_by(live) == action.id and not written_alike(live, wanted):
        # Rendered by another version of the bot: what it writes otherwise is nobody's change.
        fields = [field for field in fields if _is_others(field, merged.conflicts)]
    stopped = stopped_since(live) and spec.counted != 0
    if stopped and all(field.path != REPLICAS for field in fields):
        fields.append(FieldChange(REPLICAS, 0, spec.least_replicas))
    if not fields:
        return None
    owners = {conflict.manager for conflict in merged.conflicts}
    # The person who scaled it to 0 is not recorded: of that number nobody is the owner.
    by_hand = any(field.path != REPLICAS for field in fields)
    return Changed(tuple(sorted(owners)) or (wrote_since(live) if by_hand else ()), tuple(fields))


def pause_now(cluster: Cluster, ref: GatewayRef) -> Pause | None:
    """Whether the Deployment is paused by now, which changes nothing of what was applied; None where
    that cannot be read: what was seen to succeed has succeeded."""
    try:
        live = cluster.get("Deployment", ref.namespace, ref.name)
    except (Refused, Unavailable):
        return None
    if live is None:
        raise why_gone(cluster, ref)
    return pause_of(live)


def _is_others(field: FieldChange, conflicts: Sequence[OwnershipConflict]) -> bool:
    """Whether somebody else owns the field, or one within it or around it; or nobody, which is so of
    replicas that were scaled to 0."""
    if field.path == REPLICAS:
        return True
    path = _unquoted(field.path)
    return any(
        f"{one}.".startswith(f"{other}.") or f"{one}[".startswith(f"{other}[")
        for conflict in conflicts
        for one, other in (
            (path, _unquoted(conflict.path)),
            (_unquoted(conflict.path), path),
        )
    )


def _unquoted(path: str) -> str:
    return path.replace('["', ".").replace('"]', "")


def wrote_since(live: Manifest, ours: Collection[str] = OURS) -> tuple[str, ...]:
    """Who wrote the Deployment last since this bot did, other than those who write its status."""
    entries = [
        (str(entry.get("time", "")), str(entry.get("manager", "")))
        for entry in live["metadata"].get("managedFields") or ()
        if entry.get("subresource") != "status"
    ]
    last = max((at for at, manager in entries if manager in ours), default="")
    others = [(at, manager) for at, manager in entries if manager not in ours and at >= last]
    return (max(others)[1],) if others else ()
