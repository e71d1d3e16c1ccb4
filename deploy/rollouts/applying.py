"""Carries out a plan up to where its rollout is followed: plan again, compare, mint, apply."""

import itertools
from collections.abc import Callable, Mapping

from deploy.actions.action import PLAN, Action, Outcome, State
from deploy.actions.executor import Outgrown
from deploy.errors import GatewayBotError, NotFound
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.plans.binding import as_shown
from deploy.plans.dry_run import wanted_objects
from deploy.plans.plan import Plan
from deploy.rollouts.live_state import written_by
from deploy.rollouts.minting import Minter
from deploy.rollouts.policies import is_rest
from deploy.rollouts.rollout import note_rewriting
from deploy.rollouts.token_ways import way_of
from deploy.rollouts.verdicts import superseded
from deploy.rollouts.work import APPLY, TOKEN, Work


class Applier:
    """What executors of plans have in common."""

    def __init__(
        self,
        clusters: Mapping[str, Cluster],
        minter: Minter,
        authorize: Callable[[Action], frozenset[str]] = lambda action: frozenset(),
    ) -> None:
        """`authorize` raises Outgrown where what was decided does not suffice for a new token, and
        tells which environments have decided it."""
        self._authorize = authorize
        self._clusters = clusters
        self._minter = minter

    def cluster(self, ref: GatewayRef) -> Cluster:
        """The gateway's cluster. NotFound when the settings no longer have it."""
        if ref.cluster not in self._clusters:
            raise NotFound(f"Cluster “{ref.cluster}” is no longer in the bot's settings.")
        return self._clusters[ref.cluster]

    def apply(
        self, work: Work, cluster: Cluster, replan: Callable[[], Plan], *, take_over: bool
    ) -> Outcome | None:
        """Apply what was decided, unless an earlier run of the action has done so.

        `replan` makes the plan once more. An outcome where the cluster has moved, so that nothing
        may be applied any longer.
        """
        action, ref = work.action, work.action.ref
        live = work.patiently(lambda: cluster.get("Deployment", ref.namespace, ref.name))
        if live is not None and written_by(live) == action.id:
            work.applied = True
            work.run.step("reconcile", "Already applied; following the rollout")
            _note_again(cluster, action, live)
            return None
        work.run.step(PLAN, "Checking the plan against the cluster again")
        plan = as_shown(work.patiently(replan), action.plan)
        if not _is_what_was_decided(plan, action):
            return superseded(plan, begun=work.applying)
        try:
            self._write(work, cluster, plan, force=take_over)
        except Outgrown:
            if not work.minted:
                raise
            return _minted_in_vain(work.minted)
        return None

    def _write(self, work: Work, cluster: Cluster, plan: Plan, *, force: bool) -> None:
        action, way = work.action, way_of(plan)
        secret = plan.token.secret
        if plan.token.mint and secret is not None:
            work.run.step(TOKEN, f"Minting a token into Secret {secret}")
            work.patiently(
                lambda: self._minter.ensure(
                    cluster,
                    plan.spec,
                    plan.token,
                    action.id,
                    doubtful=lambda: work.minting(secret),
                    check=lambda: self._authorize(action),
                    place=way.place,
                )
            )
            work.minting(secret)
            # To mint may have taken long.
            plan = plan.unread
        work.run.step(APPLY, way.writing)
        work.applying = True
        # What did not answer may have been away for long before the next try.
        tries = itertools.chain((plan,), itertools.repeat(plan.unread))
        work.patiently(lambda: way.put(cluster, next(tries), action, force=force))
        work.applied = True
        if work.unshown:
            work.run.step("warned", f"Kubernetes warns: {'; '.join(work.unshown)}")


def _note_again(cluster: Cluster, action: Action, live: Manifest | None) -> None:
    """A run that died right after it applied may have noted nothing of what a webhook made of the
    image; what that makes of it is asked in a dry run, whoever has changed the gateway since."""
    if action.plan.partial:
        return
    plan = action.plan
    objects = wanted_objects(plan.spec, plan.token.secret, live, count=plan.count)
    (deployment,) = (item for item in objects if item["kind"] == "Deployment")
    try:
        tried = cluster.apply(deployment, dry_run=True, force=True)
        note_rewriting(cluster, deployment, tried)
    except GatewayBotError:
        # A note that is lacking ends no rollout; whoever follows it meets the same trouble.
        return


def _minted_in_vain(secret: str) -> Outcome:
    return Outcome(
        State.SUPERSEDED,
        "This now requires more approvals than it has.",
        f"No pod was changed. Secret {secret} with a new token may have been created.",
        "The bot makes a new plan and asks the current approvers.",
    )


def _is_what_was_decided(plan: Plan, action: Action) -> bool:
    """Whether applying `plan` does exactly what was decided, or the rest of it.

    A run that died while it applied has left some of the changes made. What is left must then be
    among the changes that were shown, onto the same cluster and with the same token.
    """
    if plan.digest == action.digest:
        return True
    if not plan.digest or not any(step.name == APPLY for step in action.steps):
        return False
    shown = action.plan
    return (
        plan.cluster_uid == shown.cluster_uid
        and plan.token == shown.token
        and all(
            change in shown.changes or (plan.spec == shown.spec and is_rest(change, shown.changes))
            for change in plan.changes
        )
    )
