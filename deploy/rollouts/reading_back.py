"""Whether the cluster still holds what a run applied, once the rollout it followed is over."""

from dataclasses import dataclass

from deploy.actions.action import Action
from deploy.kube.cluster import FIELD_MANAGER, Cluster
from deploy.kube.objects import Manifest
from deploy.observed.installed import deployment_of
from deploy.plans.diff import field_changes
from deploy.plans.dry_run import merge, wanted_objects
from deploy.plans.handover import with_live_replicas
from deploy.plans.plan import FieldChange
from deploy.rendering.manifests import with_action
from deploy.specs.gateway_spec import GatewaySpec


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

    The same apply is tried in a dry run, so that what a webhook makes of it is no change.
    NotFound when the Deployment is gone; raises what an apply raises.
    """
    live = deployment_of(cluster, spec.ref)
    objects = with_action(wanted_objects(spec, secret, live), action.id, action.requester)
    wanted = next(item for item in objects if item["kind"] == "Deployment")
    merged = merge(cluster, wanted, live)
    becoming = with_live_replicas(wanted, live, merged.result)
    fields = [
        field
        for field in field_changes("Deployment", live, becoming)
        if field.path.startswith("spec.")
    ]
    if not fields:
        return None
    owners = {conflict.manager for conflict in merged.conflicts}
    return Changed(tuple(sorted(owners)) or _last_to_write(live), tuple(fields))


def _last_to_write(live: Manifest) -> tuple[str, ...]:
    """Who wrote the Deployment last, other than this bot and those who write its status."""
    others = [
        entry
        for entry in live["metadata"].get("managedFields") or ()
        if entry.get("manager") != FIELD_MANAGER and entry.get("subresource") != "status"
    ]
    newest = max(others, key=lambda entry: str(entry.get("time", "")), default=None)
    return (str(newest["manager"]),) if newest else ()
