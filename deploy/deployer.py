"""Carries out a deployment that was decided on: plan again, mint, apply, follow, tell.

Every step may be repeated, by this bot or by another that takes over when this one dies.
"""

import dataclasses
import datetime
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from deploy.actions.executor import Run, RunLost
from deploy.actions.record import Action, Outcome, State
from deploy.api_errors import AlreadyExists
from deploy.azure import ApimInstance
from deploy.cluster import Cluster
from deploy.errors import Conflict, GatewayBotError, NotFound, Unavailable
from deploy.gateway import GatewayRef, GatewaySpec
from deploy.manifests import ACTION_ANNOTATION, render, token_secret
from deploy.ownership import take_whole
from deploy.plan import Manifest, Plan
from deploy.planning import Planner
from deploy.progress import Progress, progress_to_mapping
from deploy.rollout import apply_plan, explain, follow
from deploy.spec import spec_from_mapping
from deploy.tokens import Token, expiry_for
from deploy.verdicts import rolled_out, superseded, unfinished

_PATIENCE = 30.0
"""For how long, in seconds, a service that does not answer is asked again."""
_PAUSE = 1.0
_MARGIN = 60.0
"""Added to the Deployment's own progress deadline, which its controller watches."""
_APPLY = "apply"
_ADOPT = "adopt"

T = TypeVar("T")


class TokenSource(Protocol):
    """Where tokens are minted: ARM."""

    def generate_token(
        self,
        instance: ApimInstance,
        gateway: str,
        key: Any,
        expires_at: datetime.datetime,
    ) -> Token:
        """A token of that gateway, made with its primary or secondary key."""


class Deployer:
    """The executor of actions of kind `deploy`."""

    def __init__(
        self,
        planner: Planner,
        clusters: Mapping[str, Cluster],
        tokens: TokenSource,
        instances: Mapping[str, ApimInstance],
        *,
        patience: float = _PATIENCE,
        margin: float = _MARGIN,
    ) -> None:
        self._planner = planner
        self._clusters = clusters
        self._tokens = tokens
        self._instances = instances
        self._patience = patience
        self._margin = margin

    def execute(self, action: Action, run: Run) -> Outcome:
        """Do it, or go on with it, and say how it ended. Raises RunLost when it must stop."""
        work = _Work(action, run, self._patience)
        try:
            return self._execute(work)
        except GatewayBotError as error:
            return work.failure(error)

    def _execute(self, work: "_Work") -> Outcome:
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

    def _apply(self, work: "_Work", cluster: Cluster, plan: Plan, *, force: bool) -> None:
        action = work.action
        secret = plan.token.secret
        if plan.token.mint and secret is not None:
            work.run.step("token", f"Minting a token into Secret {secret}")
            work.patiently(lambda: self._ensure_token(cluster, plan.spec, secret, action.id))
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

    def _ensure_token(self, cluster: Cluster, spec: GatewaySpec, name: str, action_id: str) -> None:
        if self._has_token(cluster, spec, name, action_id):
            return
        instance = self._instances.get(spec.apim.instance)
        if instance is None:
            raise NotFound(
                f"API Management instance “{spec.apim.instance}” is no longer in the settings."
            )
        expires_at = expiry_for(datetime.datetime.now(datetime.UTC))
        token = self._tokens.generate_token(instance, spec.apim.gateway, "primary", expires_at)
        try:
            cluster.create(token_secret(spec, name, token, action_id))
        except AlreadyExists:
            # The answer to an earlier attempt was lost on its way.
            self._has_token(cluster, spec, name, action_id)

    def _has_token(self, cluster: Cluster, spec: GatewaySpec, name: str, action_id: str) -> bool:
        secret = cluster.get("Secret", spec.ref.namespace, name)
        if secret is None:
            return False
        if _written_by(secret) != action_id:
            raise Conflict(
                f"A Secret “{name}” that this action did not make is already there.",
                remedy="Delete it or rename it, then deploy again.",
            )
        return True

    def _follow(self, work: "_Work", cluster: Cluster, spec: GatewaySpec) -> Outcome:
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


class _Work:
    """One run of one action, and what it has changed so far."""

    def __init__(self, action: Action, run: Run, patience: float) -> None:
        self.action = action
        self.run = run
        self.minted = ""
        self.applying = False
        self.applied = False
        self._patience = patience

    @property
    def _lost(self) -> threading.Event:
        return self.run.lost

    def check(self) -> None:
        """Raise RunLost when this run may not go on."""
        if self._lost.is_set():
            raise RunLost

    def patiently(self, call: Callable[[], T]) -> T:
        """Repeat an idempotent call while a service does not answer, within the bound."""
        give_up = time.monotonic() + self._patience
        while True:
            self.check()
            try:
                return call()
            except Unavailable as error:
                wait = error.retry_after or _PAUSE
                if time.monotonic() + wait > give_up:
                    raise
            if self._lost.wait(wait):
                raise RunLost

    def failure(self, error: GatewayBotError) -> Outcome:
        """How it ended when something refused, with what has been changed until then.

        FAILED only where it is known what state things are in; else UNKNOWN, never a guess.
        """
        state = State.FAILED
        if self.applied and isinstance(error, NotFound):
            meaning = ""
        elif self.applied:
            state = State.UNKNOWN
            meaning = "The plan was applied, but how its rollout goes on cannot be seen."
        elif self.applying:
            state = State.UNKNOWN if isinstance(error, Unavailable) else State.FAILED
            meaning = "Some of the gateway's objects may have been changed, others not."
        elif self.minted:
            meaning = f"No pod runs differently; Secret {self.minted} with a new token was made."
        else:
            meaning = "Nothing was changed."
        return Outcome(
            state,
            error.happened,
            " ".join(part for part in (error.meaning, meaning) if part),
            error.remedy or "Deploy again once that is settled.",
        )


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
