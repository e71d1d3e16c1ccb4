"""Carries out that this bot no longer keeps the token of a gateway that others deploy.

What nobody reads is deleted first, and what stays loses its marks last: as long as one of them is
there, the bot knows the gateway, and a run that was broken off can be continued or asked for again.
"""

from collections.abc import Callable, Mapping

from deploy.actions.action import PLAN, Action, Outcome, State
from deploy.actions.executor import Run
from deploy.errors import GatewayBotError, NotFound
from deploy.kube.cluster import Cluster
from deploy.observed.token_only import kept_in
from deploy.plans.plan import ObjectChange, Plan
from deploy.plans.token_end import forgotten
from deploy.retry import PATIENCE
from deploy.rollouts.verdicts import superseded
from deploy.rollouts.work import APPLY, Work


class TokenEnder:
    """The executor of actions of kind `end-manage-token`."""

    def __init__(
        self,
        clusters: Mapping[str, Cluster],
        replan: Callable[[Action], Plan],
        *,
        patience: float = PATIENCE,
    ) -> None:
        """`replan` makes an action's plan once more."""
        self._clusters = clusters
        self._replan = replan
        self._patience = patience

    def execute(self, action: Action, run: Run) -> Outcome:
        """Do it, or go on with it; what is done already is no error."""
        work = Work(action, run, self._patience, "End it again")
        try:
            return self._execute(work)
        except GatewayBotError as error:
            return work.failure(error)

    def _execute(self, work: Work) -> Outcome:
        action, run, ref = work.action, work.run, work.action.ref
        found = self._clusters.get(ref.cluster)
        if found is None:
            raise NotFound(f"Cluster “{ref.cluster}” is no longer in the bot's settings.")
        cluster = found.guarded(run.guard, run.unconfirmed)
        if not work.applying:
            run.step(PLAN, "Comparing the plan with the cluster once more")
            plan = work.patiently(lambda: self._replan(action))
            if plan.digest != action.digest:
                return superseded(plan)
        run.step(APPLY, "Taking the bot's marks from what stays, and deleting the rest")
        work.applying = True
        for change in sorted(action.plan.changes, key=lambda each: each.change != "delete"):
            work.patiently(_carrying_out(cluster, ref.namespace, change))
        stays = [change.name for change in action.plan.changes if change.change == "update"]
        kept = f"Secret {', '.join(stays)} stays, with its token. " if stays else ""
        until = action.plan.token.expires_at
        ends = f"until the token expires ({until})" if until else "until the token expires"
        return Outcome(
            State.SUCCEEDED,
            f"The bot no longer keeps the token of {ref}",
            f"{kept}Its pods keep running. Its owner has to renew it {ends}.",
        )


def _carrying_out(cluster: Cluster, namespace: str, change: ObjectChange) -> Callable[[], object]:
    if change.change == "delete":
        return lambda: cluster.delete(change.kind, namespace, change.name)
    return lambda: _forget(cluster, namespace, change.name)


def _forget(cluster: Cluster, namespace: str, name: str) -> None:
    live = cluster.get("Secret", namespace, name)
    if live is None or kept_in(live) is None:
        return
    labels, annotations = forgotten(live)
    cluster.replace_fields(live, {"/metadata/labels": labels, "/metadata/annotations": annotations})
