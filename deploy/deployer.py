"""Carries out a deployment that was decided on: plan again, mint, apply, follow, tell.

Every step may be repeated, by this bot or by another that takes over when this one dies.
"""

import time

from deploy.actions.executor import Run
from deploy.actions.record import Action, Outcome
from deploy.applying import Applier
from deploy.cluster import Cluster
from deploy.collecting import collect
from deploy.errors import GatewayBotError
from deploy.following import MARGIN, follow_through
from deploy.gateway import GatewaySpec
from deploy.manifests import render
from deploy.ownership import take_whole
from deploy.patience import PATIENCE
from deploy.spec import spec_from_mapping
from deploy.verdicts import rolled_out, unfinished
from deploy.work import Work

_ADOPT = "adopt"


class Deployer:
    """The executor of actions of kind `deploy`."""

    def __init__(
        self,
        applier: Applier,
        *,
        patience: float = PATIENCE,
        margin: float = MARGIN,
    ) -> None:
        self._applier = applier
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
        cluster = self._applier.cluster(action.ref).guarded(run.guard)
        spec = spec_from_mapping(action.request["spec"])
        moved = self._applier.apply(work, cluster, spec)
        if moved is not None:
            return moved
        if action.request.get("verb") == _ADOPT:
            run.step("own", "Taking the fields over from who wrote them before")
            used = render(spec, None)
            work.patiently(lambda: take_whole(cluster, used))
        run.step("follow", "Following the rollout")
        return self._follow(work, cluster, spec)

    def _follow(self, work: Work, cluster: Cluster, spec: GatewaySpec) -> Outcome:
        began = work.action.decided_at or time.time()
        progress = follow_through(work, cluster, spec, self._margin)
        if progress.complete:
            work.check()
            left_over = collect(cluster, spec).trouble
            return rolled_out(progress, time.time() - began, left_over)
        return unfinished(spec, progress, time.time() - began)
