"""Back to the version before, where a rollout that does not finish was to go back by itself."""

from collections.abc import Iterable
from dataclasses import dataclass

from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.history import revisions
from deploy.observed.pods import token_secret_of
from deploy.plans.handover import left_behind, without_account
from deploy.plans.plan import Plan
from deploy.rendering.manifests import render
from deploy.rollouts.rollout import apply_plan
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_from_mapping
from deploy.tokens.token_plan import TokenPlan


@dataclass(frozen=True)
class Before:
    """A version that still serves, and the Secret its pods read their token from."""

    spec: GatewaySpec
    token_secret: str | None


def version_before(deployment: Manifest, replica_sets: Iterable[Manifest]) -> Before | None:
    """The newest version before the present one that has ready pods. Pure.

    One that has none is no way back: it may be the failure before this one.
    """
    serving = [rs for rs in replica_sets if (rs.get("status") or {}).get("readyReplicas")]
    found = {revision.number: rs for rs in serving for revision in revisions(deployment, [rs])}
    for revision in revisions(deployment, serving):
        if revision.current or revision.spec is None:
            continue
        used = token_secret_of(found[revision.number]["spec"]["template"]["spec"])
        return Before(spec_from_mapping(revision.spec), used[0] if used else None)
    return None


def bring_back(
    cluster: Cluster,
    before: Before,
    live: Manifest,
    *,
    action_id: str,
    requester: str,
    force: bool,
) -> None:
    """Apply that version whole, with the very template that its pods have, so that none restarts."""
    wanted = without_account(render(before.spec, before.token_secret), live)
    plan = Plan(
        spec=before.spec,
        cluster_uid="",
        objects=wanted,
        changes=tuple(left_behind(live, wanted)),
        token=TokenPlan(before.token_secret, mint=False, expires_at=None, reason=""),
    )
    apply_plan(cluster, plan, action_id=action_id, requester=requester, force=force)
