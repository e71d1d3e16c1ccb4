"""Carries out a rotation: a new token, rolled out, verified by evidence, or taken back.

Until the new token is verified the previous Secret is whole, so that there is always a way back.
Every step may be repeated, by this bot or by another that takes over when this one dies.
"""

import datetime
import time
from collections.abc import Callable

from deploy.actions.action import Action, Outcome
from deploy.actions.executor import Run
from deploy.errors import GatewayBotError
from deploy.kube.cluster import Cluster
from deploy.observed.causes import Cause
from deploy.observed.pausing import Pause
from deploy.observed.progress import Progress
from deploy.observed.standstill import AT_ONCE, SOON
from deploy.observed.token_facts import secret_facts
from deploy.plans.plan import Plan
from deploy.plans.requests import takes_over
from deploy.retry import PATIENCE
from deploy.rollouts import rotation_verdicts as verdicts
from deploy.rollouts.applying import Applier
from deploy.rollouts.following import MARGIN, follow_through, last_look, progress_now
from deploy.rollouts.reading_back import pause_now
from deploy.rollouts.reasons import Reason, recorded_reason
from deploy.rollouts.token_ways import way_of
from deploy.rollouts.verdicts import unfinished, while_paused
from deploy.rollouts.verification import Answer, Observer, Observing
from deploy.rollouts.work import Work


class Rotator:
    """The executor of actions of kind `rotate`."""

    def __init__(
        self,
        applier: Applier,
        replan: Callable[[Action], Plan],
        *,
        observing: Observing | None = None,
        patience: float = PATIENCE,
        margin: float = MARGIN,
    ) -> None:
        """`replan` makes an action's plan once more."""
        self._applier = applier
        self._replan = replan
        self._observing = observing or Observing()
        self._patience = patience
        self._margin = margin

    def execute(self, action: Action, run: Run) -> Outcome:
        """Do it, or continue it, and say how it ended. Raises RunLost when it must stop."""
        work = Work(action, run, self._patience, "Rotate again")
        try:
            return self._execute(work)
        except GatewayBotError as error:
            return work.failure(error)

    def _execute(self, work: Work) -> Outcome:
        action, run = work.action, work.run
        cluster = self._applier.cluster(action.ref)
        cluster = cluster.guarded(run.guard, run.unconfirmed, work.warned)
        turn = _Turn(work, cluster, action.plan)
        back = recorded_reason(action.steps)
        if back is not None:
            return self._continue_back(turn, back)
        moved = self._applier.apply(
            work, cluster, lambda: self._replan(action), take_over=takes_over(action.request)
        )
        if moved is not None:
            return moved
        ended = turn.way.begun(work, cluster)
        if ended is not None:
            return ended
        run.step("follow", "Following the rollout")
        observer = self._observer(turn)
        with observer.refusals(run.lost) as refusals:
            progress = follow_through(
                work, cluster, turn.spec, self._margin, refusals, standing=AT_ONCE
            )
        if refusals.evidence:
            return self._go_back(turn, verdicts.refused(refusals.evidence))
        if progress.stale_since is not None:
            return unfinished(turn.spec, progress, turn.seconds)
        undone = work.patiently(lambda: turn.way.undone(cluster, action))
        if undone is not None:
            return undone
        if not progress.complete:
            return self._stuck(turn, progress)
        return self._verify(turn, observer, progress)

    def _verify(self, turn: "_Turn", observer: Observer, progress: Progress) -> Outcome:
        run = turn.work.run
        if progress.desired == 0:
            return while_paused(verdicts.nothing_runs(turn.token), turn.spec.ref, turn.pause())
        run.step("verify", "Checking whether Azure accepts the new token")
        judged = observer.watch(run.lost)
        if judged.answer is Answer.DENIED:
            return self._go_back(turn, verdicts.refused(judged.evidence))
        if judged.answer is Answer.UNDECIDED:
            return verdicts.unverified(turn.spec.ref, turn.token, judged.evidence)
        run.step("collect", "Deleting token Secrets that are no longer needed")
        turn.work.check()
        pause = turn.pause()
        collected = turn.way.collect(turn.cluster)
        progress = last_look(turn.work, turn.cluster, turn.spec, progress)
        done = verdicts.rotated(
            turn.token,
            progress,
            judged,
            turn.expires_at(),
            collected,
            kept=turn.way.kept,
            seconds=turn.seconds,
        )
        return while_paused(done, turn.spec.ref, pause)

    def _observer(self, turn: "_Turn") -> Observer:
        reads = turn.work.patiently(lambda: turn.way.reads(turn.cluster, turn.work.action))
        return Observer(turn.cluster, turn.spec, reads, self._observing)

    def _continue_back(self, turn: "_Turn", reason: Reason) -> Outcome:
        """As an earlier run decided, unless all pods have the new token by now, of which Azure refused none:
        hours may have passed, in which the previous one may even have expired."""
        work, cluster = turn.work, turn.cluster
        if reason.cause is Cause.TOKEN_REFUSED or not turn.by_reference:
            return self._go_back(turn, reason)
        if work.patiently(lambda: turn.way.undone(cluster, work.action)) is not None:
            # Written already, or changed by somebody else since.
            return self._go_back(turn, reason)
        progress = work.patiently(lambda: progress_now(cluster, turn.spec))
        if progress.complete:
            return self._verify(turn, self._observer(turn), progress)
        return self._unless_expired(turn, progress, reason)

    def _stuck(self, turn: "_Turn", progress: Progress) -> Outcome:
        return self._unless_expired(turn, progress, verdicts.stuck(progress))

    def _unless_expired(self, turn: "_Turn", progress: Progress, reason: Reason) -> Outcome:
        expired = turn.expired_before()
        if expired is not None:
            return verdicts.too_late(turn.spec.ref, turn.token, reason, expired, progress)
        return self._go_back(turn, reason)

    def _go_back(self, turn: "_Turn", reason: Reason) -> Outcome:
        work, cluster, spec = turn.work, turn.cluster, turn.spec
        work.run.step(reason.cause, reason.text)
        try:
            if not work.patiently(lambda: turn.way.put_back(cluster, work.action)):
                return verdicts.no_way_back(turn.spec.ref, turn.token, reason)
            ended = turn.way.begun(work, cluster, back=True)
            if ended is not None:
                return ended
            # What kept the new pods away may be said of them for a while longer.
            progress = follow_through(work, cluster, spec, self._margin, standing=SOON)
            if progress.stale_since is None:
                undone = work.patiently(lambda: turn.way.undone(cluster, work.action, back=True))
                if undone is not None:
                    return undone
            if not progress.complete:
                return verdicts.not_back(turn.spec.ref, turn.token, reason, progress)
            seen = Observer(
                cluster, spec, turn.way.reads(cluster, work.action, back=True), self._observing
            ).look()
        except GatewayBotError as error:
            return verdicts.back_failed(turn.spec.ref, turn.token, reason, error)
        forgotten = turn.way.forget(cluster)
        return verdicts.went_back(
            turn.spec.ref, turn.way.previous, reason, progress, seen, forgotten
        )


class _Turn:
    """One rotation of one gateway."""

    def __init__(self, work: Work, cluster: Cluster, plan: Plan) -> None:
        self.work = work
        self.cluster = cluster
        self.spec = plan.spec
        self.token = plan.token
        self.way = way_of(plan)
        self.by_reference = plan.manages is None or not plan.manages.stable
        """Whether the Secret that the pods refer to tells which token they have."""
        self.new = plan.token.secret or ""
        self._began = work.action.decided_at or time.time()

    @property
    def seconds(self) -> float:
        """Since it was decided."""
        return time.time() - self._began

    def pause(self) -> Pause | None:
        """Whether the Deployment is paused by now."""
        return pause_now(self.cluster, self.spec.ref)

    def expires_at(self) -> float | None:
        """When the new token expires, as its Secret tells; None where it cannot be read."""
        try:
            secret = self.cluster.get("Secret", self.spec.ref.namespace, self.new)
        except GatewayBotError:
            return None
        expires_at = secret_facts(secret).expires_at if secret else None
        return expires_at.timestamp() if expires_at else None

    def expired_before(self) -> datetime.datetime | None:
        """When the previous token expired, by the cluster's clock; None where nothing shows it."""
        try:
            secret = self.cluster.get("Secret", self.spec.ref.namespace, self.token.previous)
        except GatewayBotError:
            return None
        ended = secret_facts(secret).expires_at if secret else None
        return ended if ended and ended.timestamp() <= self.cluster.now() else None
