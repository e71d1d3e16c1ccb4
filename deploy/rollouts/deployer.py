"""Carries out a deployment that was decided: plan again, mint, apply, follow, tell.

Every step may be repeated, by this bot or by another that takes over when this one dies.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from deploy.actions.action import Action, Outcome
from deploy.actions.executor import Run
from deploy.errors import GatewayBotError
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.causes import Cause
from deploy.observed.given import read_given
from deploy.observed.installed import deployment_of, installed
from deploy.observed.pods import token_secret_of
from deploy.observed.progress import Progress
from deploy.plans.ownership import take_whole
from deploy.plans.plan import Plan
from deploy.plans.requests import takes_over
from deploy.plans.standing import fetched_from
from deploy.rendering.manifests import render
from deploy.retry import PATIENCE
from deploy.rollouts.applying import Applier
from deploy.rollouts.collecting import collect
from deploy.rollouts.following import MARGIN, follow_through, last_look
from deploy.rollouts.going_back import Before, bring_back, version_before
from deploy.rollouts.policies import narrow
from deploy.rollouts.reading_back import Changed, changed_since, pause_now
from deploy.rollouts.reasons import Reason, reason_of, recorded_reason
from deploy.rollouts.verdicts import (
    also_open,
    came_back,
    changed,
    nothing_before,
    rolled_out,
    unfinished,
    while_paused,
)
from deploy.rollouts.work import Work
from deploy.specs.gateway_spec import GatewaySpec

_OF_THE_GATEWAY = (Cause.OTHER, Cause.CRASH)
"""What may be the gateway's own doing, of whose reasons Kubernetes knows nothing."""


class Deployer:
    """The executor of everything that ends in a rollout of a whole spec."""

    def __init__(
        self,
        applier: Applier,
        replan: Callable[[Action], Plan],
        *,
        again: str = "Deploy again",
        adopts: bool = False,
        patience: float = PATIENCE,
        margin: float = MARGIN,
    ) -> None:
        """`replan` makes an action's plan once more, `again` is how a person tries anew; with
        `adopts` the fields of whoever wrote them before are taken over whole."""
        self._applier = applier
        self._replan = replan
        self._again = again
        self._adopts = adopts
        self._patience = patience
        self._margin = margin

    def execute(self, action: Action, run: Run) -> Outcome:
        """Do it, or continue it, and say how it ended. Raises RunLost when it must stop."""
        work = Work(action, run, self._patience, self._again)
        try:
            return self._execute(work)
        except GatewayBotError as error:
            return work.failure(error)

    def _execute(self, work: Work) -> Outcome:
        action, run = work.action, work.run
        cluster = self._applier.cluster(action.ref)
        cluster = cluster.guarded(run.guard, run.unconfirmed, work.warned)
        spec = action.plan.spec
        back = recorded_reason(action.steps)
        if back is not None:
            work.applied = True
            return self._go_back(work, cluster, spec, back)
        moved = self._applier.apply(
            work, cluster, lambda: self._replan(action), take_over=takes_over(action.request)
        )
        if moved is not None:
            return moved
        if self._adopts:
            run.step("own", "Taking over the fields from their previous owners")
            used = render(spec, None)
            work.patiently(lambda: take_whole(cluster, used))
        run.step("follow", "Following the rollout")
        return self._follow(work, cluster, spec)

    def _follow(self, work: Work, cluster: Cluster, spec: GatewaySpec) -> Outcome:
        began = work.action.decided_at or time.time()
        progress = follow_through(work, cluster, spec, self._margin)
        if progress.stale_since is None:
            found = self._changed(work, cluster, spec, complete=progress.complete)
            if found is not None:
                return changed(found)
        if progress.complete:
            work.check()
            pause = pause_now(cluster, spec.ref)
            still_open = self._narrow(work, cluster, spec)
            left_over = collect(cluster, spec).trouble
            progress = last_look(work, cluster, spec, progress)
            done = rolled_out(progress, time.time() - began, left_over, work.unshown)
            return while_paused(also_open(done, still_open), spec.ref, pause)
        reason = self._reason(work, cluster, spec, progress)
        first = work.action.plan.first
        outcome = unfinished(spec, progress, time.time() - began, reason, first=first)
        if progress.stale_since is not None or not self._may_go_back(work.action, spec):
            return outcome
        gateway = work.patiently(lambda: installed(cluster, spec.ref))
        if self._before(work, cluster, gateway.deployment) is None:
            return nothing_before(outcome)
        work.run.step(reason.cause, reason.text)
        return self._go_back(work, cluster, spec, reason)

    def _reason(
        self, work: Work, cluster: Cluster, spec: GatewaySpec, progress: Progress
    ) -> Reason:
        """What keeps it from finishing; where Kubernetes names no cause, with the host that the pods
        fetch their configuration from, without which none gets ready."""
        reason = reason_of(progress)
        if progress.stale_since is not None or reason.cause not in _OF_THE_GATEWAY:
            return reason
        try:
            told = work.patiently(lambda: _fetched_from(cluster, spec))
        except GatewayBotError:
            return reason
        return replace(reason, text=f"{reason.text} {told}".strip())

    def _changed(
        self, work: Work, cluster: Cluster, spec: GatewaySpec, *, complete: bool
    ) -> Changed | None:
        """What somebody changed. Of a rollout that failed it need not be known: it ends as that."""
        secret = work.action.plan.token.secret
        try:
            return work.patiently(lambda: changed_since(cluster, spec, secret, work.action))
        except GatewayBotError:
            if complete:
                raise
            return None

    def _may_go_back(self, action: Action, spec: GatewaySpec) -> bool:
        """Whether it was asked for, and this action made a new version at all."""
        return spec.rollout.automatic_rollback and action.plan.starts_pods

    def _go_back(self, work: Work, cluster: Cluster, spec: GatewaySpec, reason: Reason) -> Outcome:
        """Bring the previous version back, unless an earlier run has done so, and follow that."""
        action = work.action
        gateway = work.patiently(lambda: installed(cluster, spec.ref))
        before = self._before(work, cluster, gateway.deployment)
        wanted = gateway.spec
        # A deployment may have changed the token alone.
        used = token_secret_of(gateway.deployment["spec"]["template"]["spec"])
        secret = used[0] if used else None
        if wanted == spec and secret == action.plan.token.secret:
            if before is None:
                # An earlier run decided to go back, and died: by now the new version is all there is.
                return self._follow(work, cluster, spec)
            wanted, secret = before.spec, before.token_secret
            work.patiently(
                lambda: bring_back(
                    cluster,
                    before,
                    gateway.deployment,
                    action_id=action.id,
                    requester=action.requester,
                    force=takes_over(action.request),
                    partial=action.plan.partial,
                    count=action.plan.count,
                )
            )
        progress = follow_through(work, cluster, wanted, self._margin)
        if progress.stale_since is None:
            found = work.patiently(lambda: changed_since(cluster, wanted, secret, action))
            if found is not None:
                return changed(found, back=True)
        back = came_back(wanted, progress, reason)
        return also_open(back, self._narrow(work, cluster, wanted)) if progress.complete else back

    def _narrow(self, work: Work, cluster: Cluster, spec: GatewaySpec) -> str:
        """Close what the pods that are gone needed; why that cannot be done, where it cannot."""
        action = work.action
        if action.plan.partial:
            return ""
        try:
            work.patiently(lambda: narrow(cluster, spec, force=takes_over(action.request)))
        except GatewayBotError as error:
            return error.happened
        return ""

    def _before(self, work: Work, cluster: Cluster, deployment: Manifest) -> Before | None:
        """What was decided to go back to, while it can still be gone back to."""
        back = work.action.plan.on_failure
        sets = work.patiently(lambda: cluster.list("ReplicaSet", work.action.ref.namespace))
        return version_before(deployment, sets, back.revision if back else 0)


def _fetched_from(cluster: Cluster, spec: GatewaySpec) -> str:
    pod_spec = deployment_of(cluster, spec.ref)["spec"]["template"]["spec"]
    given = read_given(cluster, spec.ref.namespace, pod_spec)
    return fetched_from(given, spec.apim.configuration_endpoint)
