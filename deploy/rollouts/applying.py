"""Carries out a plan up to where its rollout is followed: plan again, compare, mint, apply."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from deploy.actions.record import Action, Outcome
from deploy.annotations import ACTION_ANNOTATION
from deploy.errors import NotFound
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.plans.binding import plan_from_mapping, with_way_back
from deploy.plans.plan import Plan
from deploy.plans.planning import Planner
from deploy.rollouts.minting import Minter
from deploy.rollouts.rollout import apply_plan
from deploy.rollouts.verdicts import superseded
from deploy.rollouts.work import APPLY, TOKEN, Work
from deploy.specs.gateway_spec import GatewaySpec
from deploy.tokens.rotation import Rotation


class Applier:
    """What executors of plans have in common."""

    def __init__(
        self,
        planner: Planner,
        clusters: Mapping[str, Cluster],
        minter: Minter,
    ) -> None:
        self._planner = planner
        self._clusters = clusters
        self._minter = minter

    def cluster(self, ref: GatewayRef) -> Cluster:
        """The gateway's cluster. NotFound when the settings have it no more."""
        if ref.cluster not in self._clusters:
            raise NotFound(f"Cluster “{ref.cluster}” is no longer in the bot's settings.")
        return self._clusters[ref.cluster]

    def apply(
        self, work: Work, cluster: Cluster, spec: GatewaySpec, rotation: Rotation | None = None
    ) -> Outcome | None:
        """Apply what was decided on, unless an earlier run of the action has done so.

        An outcome where the cluster has moved, so that nothing may be applied any more.
        """
        action, ref = work.action, spec.ref
        live = work.patiently(lambda: cluster.get("Deployment", ref.namespace, ref.name))
        if _written_by(live) == action.id:
            work.applied = True
            work.run.step("reconcile", "Already applied; following the rollout")
            return None
        take_over = bool(action.request.get("take_over"))
        work.run.step("plan", "Comparing the plan with the cluster once more")
        plan = work.patiently(
            lambda: self._planner.plan(spec, action.id, take_over=take_over, rotation=rotation)
        )
        plan = with_way_back(plan, plan_from_mapping(action.plan).on_failure)
        if not _is_what_was_decided(plan, action):
            return superseded(plan, begun=work.applying)
        self._write(work, cluster, plan, force=take_over)
        return None

    def _write(self, work: Work, cluster: Cluster, plan: Plan, *, force: bool) -> None:
        action = work.action
        secret = plan.token.secret
        if plan.token.mint and secret is not None:
            work.run.step(TOKEN, f"Minting a token into Secret {secret}")
            work.patiently(
                lambda: self._minter.ensure(
                    cluster, plan.spec, plan.token, action.id, lambda: work.minting(secret)
                )
            )
            work.minting(secret)
        work.run.step(APPLY, f"Applying {len(plan.objects)} objects")
        work.applying = True
        work.patiently(
            lambda: apply_plan(
                cluster,
                plan,
                action_id=action.id,
                requester=action.requester,
                force=force,
            )
        )
        work.applied = True


def _written_by(item: Manifest | None) -> str:
    if item is None:
        return ""
    annotations = item["metadata"].get("annotations") or {}
    return str(annotations.get(ACTION_ANNOTATION, ""))


def _is_what_was_decided(plan: Plan, action: Action) -> bool:
    """Whether applying `plan` does exactly what was decided on, or the rest of it.

    A run that died while it applied has left some of the changes made. What is left must then be
    among the changes that were shown, onto the same cluster and with the same token.
    """
    if plan.digest == action.digest:
        return True
    if not plan.digest or not any(step.name == APPLY for step in action.steps):
        return False
    shown = action.plan
    decided = {_canonical(change) for change in shown["changes"]}
    return (
        plan.cluster_uid == shown["cluster_uid"]
        and _canonical(dataclasses.asdict(plan.token)) == _canonical(shown["token"])
        and all(_canonical(dataclasses.asdict(change)) in decided for change in plan.changes)
    )


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
