"""Carries out that this bot no longer keeps the token of a gateway that others deploy.

What nobody reads is deleted first, and what stays loses its marks last: as long as one of them is
there, the bot knows the gateway, and a run that was broken off can be continued or asked for again.
What pods were pointed to since the plan was made stays too.
"""

from collections.abc import Callable, Mapping
from typing import Any

from deploy.actions.action import PLAN, Action, Outcome, State
from deploy.actions.executor import Run
from deploy.errors import GatewayBotError, NotFound
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.kube.rewriting import rewrite
from deploy.observed.token_only import copy_name, kept_in
from deploy.plans.plan import Plan
from deploy.plans.readers import secrets_read
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
        """Do it, or continue it; what is done already is not an error."""
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
            run.step(PLAN, "Checking the plan against the cluster again")
            plan = work.patiently(lambda: self._replan(action))
            if plan.digest != action.digest:
                return superseded(plan)
        run.step(
            APPLY,
            ("Removing the bot's labels and annotations from what stays, and deleting the rest"),
        )
        work.applying = True
        goes = self._unread(work, cluster)
        for name in goes:
            work.patiently(_deleting(cluster, ref.namespace, name))
        others = [each.name for each in action.plan.changes if each.name not in goes]
        stays = [
            name for name in others if work.patiently(_forgetting(cluster, ref.namespace, name))
        ]
        kept = f"Secret {', '.join(stays)} stays, with its token. " if stays else ""
        until = action.plan.token.expires_at
        ends = f"until the token expires ({until})" if until else "until the token expires"
        return Outcome(
            State.SUCCEEDED,
            f"The bot no longer manages the token of {ref}",
            f"{kept}Its pods keep running. Its owner has to renew it {ends}.",
        )

    def _unread(self, work: Work, cluster: Cluster) -> list[str]:
        """The Secrets to delete that nobody reads still: a run that another continues may have been
        broken off hours ago, and their names were told to the gateway's owner."""
        ref = work.action.ref
        read, unread = work.patiently(lambda: secrets_read(cluster, ref.namespace))
        return [
            each.name
            for each in work.action.plan.changes
            if each.change == "delete" and each.name not in read
            # No reference to the copy of a previous token was ever offered to anybody.
            if not unread or each.name == copy_name(ref.name)
        ]


def _deleting(cluster: Cluster, namespace: str, name: str) -> Callable[[], object]:
    return lambda: _delete(cluster, namespace, name)


def _delete(cluster: Cluster, namespace: str, name: str) -> None:
    if kept_in(cluster.get("Secret", namespace, name)) is not None:
        cluster.delete("Secret", namespace, name)


def _forgetting(cluster: Cluster, namespace: str, name: str) -> Callable[[], bool]:
    return lambda: _forget(cluster, namespace, name)


def _forget(cluster: Cluster, namespace: str, name: str) -> bool:
    """Take the bot's marks from that Secret, if it has them; whether there is one."""

    def fields(live: Manifest) -> Mapping[str, Any]:
        if kept_in(live) is None:
            return {}
        labels, annotations = forgotten(live)
        return {"/metadata/labels": labels, "/metadata/annotations": annotations}

    return rewrite(cluster, "Secret", namespace, name, fields)
