"""Back to the revision that the decided plan names, where a rollout does not finish."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.history import owned_by, revision_of, serving
from deploy.observed.pods import token_secret_of
from deploy.plans.counting import with_count
from deploy.plans.handover import left_behind, without_account
from deploy.plans.kept_labels import keeping_labels
from deploy.plans.plan import Plan
from deploy.plans.variables import with_variables, with_variables_of
from deploy.rendering.manifests import render
from deploy.rollouts.rollout import apply_partly, apply_plan
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_from_mapping
from deploy.tokens.token_plan import TokenPlan


@dataclass(frozen=True)
class Before:
    """A previous version that still serves, the Secret its pods read their token from, and their
    whole spec, where it is known."""

    spec: GatewaySpec
    token_secret: str | None
    pod_spec: Manifest | None = field(default=None, repr=False)


def version_before(
    deployment: Manifest, replica_sets: Iterable[Manifest], number: int
) -> Before | None:
    """The version of that revision, while it has ready pods and is not the present one. Pure."""
    sets = {revision_of(item): item for item in replica_sets if owned_by(item, deployment)}
    for revision in serving(deployment, sets.values()):
        if revision.number == number and not revision.current and revision.spec is not None:
            pod_spec = sets[number]["spec"]["template"]["spec"]
            used = token_secret_of(pod_spec)
            return Before(spec_from_mapping(revision.spec), used[0] if used else None, pod_spec)
    return None


def bring_back(
    cluster: Cluster,
    before: Before,
    live: Manifest,
    *,
    action_id: str,
    requester: str,
    force: bool,
    partial: bool,
    count: int | None,
) -> None:
    """Apply that version whole, with the very template that its pods have, so that none restarts; of
    a `partial` change, that alone. `count` is the number of pods that the change asked for."""
    named = {"action_id": action_id, "requester": requester}
    if partial:
        apply_partly(cluster, before.spec, before.token_secret, **named, force=force)
        return
    rendered = keeping_labels(render(before.spec, before.token_secret), before.spec, live)
    if before.pod_spec is None:
        rendered = with_variables(rendered, before.spec, live)
    else:
        rendered = with_variables_of(rendered, before.spec, live, before.pod_spec)
    wanted = with_count(without_account(rendered, live), _count_before(before, live, count))
    plan = Plan(
        spec=before.spec,
        cluster_uid="",
        objects=wanted,
        changes=tuple(left_behind(live, wanted)),
        token=TokenPlan(before.token_secret, mint=False, expires_at=None, reason=""),
    )
    apply_plan(cluster, plan, **named, force=force)


def _count_before(before: Before, live: Manifest, count: int | None) -> int | None:
    """How many pods there were, where the change asked for another number and that still holds."""
    asked = count is not None and live["spec"].get("replicas") == count
    return before.spec.counted if asked else None
