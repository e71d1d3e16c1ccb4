"""Carries out a deployment that was decided on: plan again, mint, apply, follow, tell.

Every step may be repeated, by this bot or by another that takes over when this one dies.
"""

import dataclasses
import json
import time
from collections.abc import Mapping
from typing import Any

from deploy.actions.executor import Run
from deploy.actions.record import Action, Outcome
from deploy.cluster import Cluster
from deploy.errors import GatewayBotError, NotFound
from deploy.gateway import GatewayRef, GatewaySpec
from deploy.manifests import ACTION_ANNOTATION, render
from deploy.minting import Minter
from deploy.ownership import take_whole
from deploy.plan import Manifest, Plan
from deploy.planning import Planner
from deploy.progress import Progress, progress_to_mapping
from deploy.rollout import apply_plan, explain, follow
from deploy.spec import spec_from_mapping
from deploy.verdicts import rolled_out, superseded, unfinished
from deploy.work import PATIENCE, Work

_MARGIN = 60.0
"""Added to the Deployment's own progress deadline, which its controller watches."""
_APPLY = "apply"
_ADOPT = "adopt"


class Deployer:
    """The executor of actions of kind `deploy`."""

    def __init__(
        self,
        planner: Planner,
        clusters: Mapping[str, Cluster],
        minter: Minter,
        *,
        patience: float = PATIENCE,
        margin: float = _MARGIN,
    ) -> None:
        self._planner = planner
        self._clusters = clusters
        self._minter = minter
        self._patience = patience
        self._margin = margin

    def execute(self, action: Action, run: Run) -> Outcome:
        """Do it, or go on with it, and say how it ended. Raises RunLost when it must stop."""
        work = Work(action, run, self._patience)
        try:
            return self._execute(work)
        except GatewayBotError as error:
            return work.failure(error)

    def _execute(self, work: Work) -> Outcome:
        action, run = work.action, work.run
        cluster = self._cluster(action.ref)
        spec = spec_from_mapping(action.request["spec"])
        ref, take_over = spec.ref, bool(action.request.get("take_over"))
        live = work.patiently(lambda: cluster.get("Deployment", ref.namespace, ref.name))
        if _written_by(live) == action.id:
            work.applied = True
            run.step("reconcile", "Already applied; following the rollout")
        else:
            run.step("plan", "Comparing the plan with the cluster once more")
            plan = work.patiently(lambda: self._planner.plan(spec, action.id, take_over=take_over))
            if not _is_what_was_decided(plan, action):
                return superseded(plan)
            self._apply(work, cluster, plan, force=take_over)
        if action.request.get("verb") == _ADOPT:
            run.step("own", "Taking the fields over from who wrote them before")
            used = render(spec, None)
            work.patiently(lambda: take_whole(cluster, used))
        run.step("follow", "Following the rollout")
        return self._follow(work, cluster, spec)

    def _cluster(self, ref: GatewayRef) -> Cluster:
        if ref.cluster not in self._clusters:
            raise NotFound(f"Cluster “{ref.cluster}” is no longer in the bot's settings.")
        return self._clusters[ref.cluster]

    def _apply(self, work: Work, cluster: Cluster, plan: Plan, *, force: bool) -> None:
        action = work.action
        secret = plan.token.secret
        if plan.token.mint and secret is not None:
            work.run.step("token", f"Minting a token into Secret {secret}")
            work.patiently(lambda: self._minter.ensure(cluster, plan.spec, plan.token, action.id))
            work.minted = secret
        work.run.step(_APPLY, f"Applying {len(plan.objects)} objects")
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

    def _follow(self, work: Work, cluster: Cluster, spec: GatewaySpec) -> Outcome:
        began = work.action.decided_at or time.time()
        progress = follow(
            cluster,
            spec.ref,
            deadline=spec.rollout.progress_deadline + self._margin,
            on_progress=lambda p: work.run.progress(progress_to_mapping(p)),
            stop=work.run.lost,
        )
        if progress.complete:
            return rolled_out(progress, time.time() - began)
        work.check()
        progress = self._explained(cluster, spec.ref, progress)
        work.run.progress(progress_to_mapping(progress))
        return unfinished(spec, progress, time.time() - began)

    def _explained(self, cluster: Cluster, ref: GatewayRef, progress: Progress) -> Progress:
        return progress if progress.stale_since else explain(cluster, ref, progress)


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
    if not plan.digest or not any(step.name == _APPLY for step in action.steps):
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
