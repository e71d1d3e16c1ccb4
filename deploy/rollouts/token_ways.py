"""How a new token gets to a gateway's pods, and the previous one back to them.

A gateway of this bot's is applied whole, with the name of the new Secret. Of one that others deploy
nothing is written but the reference, or the content of one Secret and an annotation that restarts
the pods; both by a field manager of its own, so that the bot owns nothing else.
"""

from collections.abc import Callable
from typing import Protocol

from deploy.actions.action import Action, Outcome
from deploy.errors import Conflict, GatewayBotError, NotFound
from deploy.kube.api_errors import OwnershipConflicts
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.history import owned_by
from deploy.observed.managers import Manager
from deploy.observed.pods import is_over, token_secret_of
from deploy.observed.selecting import labelled
from deploy.observed.token_only import (
    KeptToken,
    marked_by,
    restart_mark,
    token_reading,
    written_at,
)
from deploy.plans.owners_change import owners_change
from deploy.plans.partial import with_token
from deploy.plans.plan import FieldChange, Plan, TokenOnly
from deploy.plans.requests import takes_over
from deploy.rendering.labels import selector
from deploy.rendering.token_only import marked, own_labels, own_secret
from deploy.retry import RunLost
from deploy.rollouts import token_only_verdicts as verdicts
from deploy.rollouts.collecting import Collected, collect, collect_labelled
from deploy.rollouts.live_state import why_gone
from deploy.rollouts.reading_back import Changed, changed_since, wrote_since
from deploy.rollouts.rollout import apply_partly, apply_plan
from deploy.rollouts.token_places import NewSecret, OneSecret, Place
from deploy.rollouts.verdicts import changed, reverted
from deploy.rollouts.work import Work
from deploy.times import epoch

TOKEN_MANAGER = "gateway-bot-token"
"""The field manager of what is written of a Deployment that others deploy."""
RESTARTER_SECONDS = 120.0
"""So long Reloader is waited for; it acts within seconds."""
_LOOK = 1.0
_TRIES = 10


class Way(Protocol):
    """How one plan's token gets to the pods. Each step may be repeated."""

    @property
    def place(self) -> Place | None:
        """Where the token is put; None for a Secret as `deploy` makes it."""

    @property
    def writing(self) -> str:
        """What is written after that, for people."""

    @property
    def previous(self) -> str:
        """The Secret that the pods read after going back."""

    @property
    def kept(self) -> str:
        """What is kept for going back once the new token is verified, in a sentence."""

    def put(self, cluster: Cluster, plan: Plan, action: Action, *, force: bool) -> None:
        """Have the pods replaced by such that read the new token; `plan` was made once more."""

    def begun(self, work: Work, cluster: Cluster, *, back: bool = False) -> Outcome | None:
        """Wait for whoever else replaces the pods; an outcome where there is nothing to follow."""

    def reads(
        self, cluster: Cluster, action: Action, *, back: bool = False
    ) -> Callable[[Manifest], bool]:
        """Says of a pod whether it has the new token, or the previous one after going back."""

    def undone(self, cluster: Cluster, action: Action, *, back: bool = False) -> Outcome | None:
        """How it ended where somebody else has undone it; None where it stands."""

    def put_back(self, cluster: Cluster, action: Action) -> bool:
        """Have the pods read the previous token again; False where that is gone."""

    def collect(self, cluster: Cluster) -> Collected:
        """Delete what nobody needs once the new token is verified."""

    def forget(self, cluster: Cluster) -> str:
        """Delete what is left of a token that was taken back, and say what became of it."""

    def look_again(self, cluster: Cluster, action: Action) -> str:
        """What no longer holds a while after a success; empty where all does."""


def way_of(plan: Plan) -> Way:
    """The way of the plan that was decided."""
    if plan.manages is None:
        return _Whole(plan)
    return _OneSecret(plan, plan.manages) if plan.manages.stable else _Reference(plan, plan.manages)


class _Base:
    """What the ways of a token in a Secret of its own have in common."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._spec = plan.spec
        self._ref = plan.spec.ref
        self._new = plan.token.secret or ""
        self._before = plan.token.previous

    @property
    def previous(self) -> str:
        return self._before

    @property
    def kept(self) -> str:
        return f"Secret {self._before} is kept for a rollback." if self._before else ""

    def begun(self, work: Work, cluster: Cluster, *, back: bool = False) -> Outcome | None:
        return None

    def reads(
        self, cluster: Cluster, action: Action, *, back: bool = False
    ) -> Callable[[Manifest], bool]:
        wanted = self._before if back else self._new
        return lambda pod: (token_secret_of(pod["spec"]) or ("",))[0] == wanted

    def forget(self, cluster: Cluster) -> str:
        try:
            cluster.delete("Secret", self._ref.namespace, self._new)
        except GatewayBotError as error:
            return f"Secret {self._new} could not be deleted: {error.happened}"
        return f"Secret {self._new} was deleted."

    def _live(self, cluster: Cluster) -> Manifest:
        # What is in a namespace that is being deleted may stay for minutes, and is not a success.
        cluster.check_namespace(self._ref.namespace)
        live = cluster.get("Deployment", self._ref.namespace, self._ref.name)
        if live is None:
            raise why_gone(cluster, self._ref)
        return live

    def _is_there(self, cluster: Cluster, secret: str) -> bool:
        found = cluster.get("Secret", self._ref.namespace, secret) if secret else None
        return found is not None


class _Whole(_Base):
    """A gateway that this bot deploys."""

    place: Place | None = None

    @property
    def writing(self) -> str:
        return f"Applying {len(self._plan.objects)} objects"

    def put(self, cluster: Cluster, plan: Plan, action: Action, *, force: bool) -> None:
        apply_plan(cluster, plan, action_id=action.id, requester=action.requester, force=force)

    def undone(self, cluster: Cluster, action: Action, *, back: bool = False) -> Outcome | None:
        secret = self._before if back else self._new
        found = changed_since(cluster, self._spec, secret, action)
        return changed(found, back=back) if found is not None else None

    def put_back(self, cluster: Cluster, action: Action) -> bool:
        if not self._is_there(cluster, self._before):
            return False
        apply_partly(
            cluster,
            self._spec,
            self._before,
            action_id=action.id,
            requester=action.requester,
            force=takes_over(action.request),
        )
        return True

    def collect(self, cluster: Cluster) -> Collected:
        return collect(cluster, self._spec, keep=self._before)

    def look_again(self, cluster: Cluster, action: Action) -> str:
        found = changed_since(cluster, self._spec, self._plan.token.secret, action)
        return reverted(found) if found is not None else ""


class _Reference(_Base):
    """A gateway of others, where nobody declares the reference to the token's Secret."""

    writing = "Changing only the reference to the token's Secret"

    def __init__(self, plan: Plan, manages: TokenOnly) -> None:
        super().__init__(plan)
        self._manages = manages
        kept, key = _kept(plan), manages.reading.key
        self.place: Place | None = _new_secret(plan, kept, key)

    def put(self, cluster: Cluster, plan: Plan, action: Action, *, force: bool) -> None:
        self._refer(cluster, self._new, restart_mark(action.id))

    def put_back(self, cluster: Cluster, action: Action) -> bool:
        if not self._is_there(cluster, self._before):
            return False
        self._refer(cluster, self._before, restart_mark(action.id, back=True))
        return True

    def undone(self, cluster: Cluster, action: Action, *, back: bool = False) -> Outcome | None:
        found = self._changed(cluster, self._before if back else self._new)
        return changed(found, back=back) if found is not None else None

    def collect(self, cluster: Cluster) -> Collected:
        chosen = own_labels(self._ref.name)
        return collect_labelled(cluster, self._spec, chosen, keep=self._before)

    def look_again(self, cluster: Cluster, action: Action) -> str:
        found = self._changed(cluster, self._new)
        return reverted(found) if found is not None else ""

    def _refer(self, cluster: Cluster, secret: str, mark: str) -> None:
        reading = self._manages.reading
        wanted = marked(self._ref, mark)
        _write(
            cluster, with_token(wanted, reading.container, reading.variable, secret, reading.key)
        )

    def _changed(self, cluster: Cluster, wanted: str) -> Changed | None:
        live = self._live(cluster)
        now = token_reading(live)
        if now.secret == wanted:
            return None
        at = f"spec.template.spec.containers[{now.container}].env[{now.variable}]"
        field = FieldChange(f"{at}.valueFrom.secretKeyRef.name", now.secret or None, wanted)
        return Changed(wrote_since(live, (TOKEN_MANAGER,)), (field,))


class _OneSecret(_Base):
    """A gateway of others, who refer to one Secret of this bot's."""

    def __init__(self, plan: Plan, manages: TokenOnly) -> None:
        super().__init__(plan)
        self._manages = manages
        self._secret = OneSecret(
            self._ref, self._new, manages.copy, _kept(plan), manages.reading.key
        )
        self.place: Place | None = self._secret

    @property
    def writing(self) -> str:
        if self._manages.waits:
            return "The pods do not read that Secret yet, so they are not restarted"
        if not self._manages.restarts:
            return "Reloader restarts the pods"
        return "Restarting the pods with an annotation"

    @property
    def previous(self) -> str:
        return self._new

    @property
    def kept(self) -> str:
        return ""

    def put(self, cluster: Cluster, plan: Plan, action: Action, *, force: bool) -> None:
        self._restart(cluster, restart_mark(action.id))

    def begun(self, work: Work, cluster: Cluster, *, back: bool = False) -> Outcome | None:
        if self._manages.waits:
            live = work.patiently(lambda: self._live(cluster))
            change = owners_change(live, self._manages.reading, self._new)
            return verdicts.waits_for_owner(self._new, work.action.plan.token, change)
        if not self._manages.restarts and not self._others_restarted(work, cluster):
            return verdicts.not_restarted(self._ref, self._new, back=back)
        return None

    def reads(
        self, cluster: Cluster, action: Action, *, back: bool = False
    ) -> Callable[[Manifest], bool]:
        if not self._manages.restarts:
            since = self._written(cluster)
            return lambda pod: _made_at(pod) >= since
        wanted = restart_mark(action.id, back=back)
        return lambda pod: marked_by(pod) == wanted

    def undone(self, cluster: Cluster, action: Action, *, back: bool = False) -> Outcome | None:
        who = self._restart_refused(cluster, restart_mark(action.id, back=back))
        if who is None:
            return None
        return verdicts.restart_refused(self._ref, self._new, who, back=back)

    def put_back(self, cluster: Cluster, action: Action) -> bool:
        if not self._secret.restore(cluster, action.id):
            return False
        self._restart(cluster, restart_mark(action.id, back=True))
        return True

    def collect(self, cluster: Cluster) -> Collected:
        try:
            return Collected((self._before,) if self._secret.forget_copy(cluster) else ())
        except GatewayBotError as error:
            return Collected((), error.happened)

    def forget(self, cluster: Cluster) -> str:
        trouble = self.collect(cluster).trouble
        left = f" Its copy is left over: {trouble}" if trouble else ""
        return f"The new token is gone, and the Secret has the previous one.{left}"

    def look_again(self, cluster: Cluster, action: Action) -> str:
        if self._manages.waits:
            return ""
        who = self._restart_refused(cluster, restart_mark(action.id))
        if who is None:
            return ""
        if not self._some_lack_it(cluster):
            # Pods that began after the Secret was written have the new token, whoever made them.
            return verdicts.restarted_twice(who)
        return verdicts.sentence(verdicts.restart_refused(self._ref, self._new, who))

    def _restart(self, cluster: Cluster, mark: str) -> None:
        if self._manages.restarts and not self._manages.waits:
            _write(cluster, marked(self._ref, mark))

    def _restart_refused(self, cluster: Cluster, mark: str) -> Manager | None:
        """Who took the restart back; None where it stands, or where none was asked for."""
        if not self._manages.restarts or self._manages.waits:
            return None
        live = self._live(cluster)
        if marked_by(live["spec"]["template"]) == mark:
            return None
        named = next(iter(wrote_since(live, (TOKEN_MANAGER,))), "somebody")
        return self._manages.declared_by or Manager(named)

    def _others_restarted(self, work: Work, cluster: Cluster) -> bool:
        """Whether Reloader has started to replace the pods, after waiting for it."""
        since = self._written(cluster)
        for _ in range(round(RESTARTER_SECONDS / _LOOK)):
            live = work.patiently(lambda: self._live(cluster))
            sets = work.patiently(lambda: cluster.list("ReplicaSet", self._ref.namespace))
            if any(owned_by(item, live) and _made_at(item) >= since for item in sets):
                return True
            if work.run.lost.wait(_LOOK):
                raise RunLost
        return False

    def _some_lack_it(self, cluster: Cluster) -> bool:
        since = self._written(cluster)
        chosen = labelled(selector(self._spec))
        pods = cluster.list("Pod", self._ref.namespace, chosen)
        return any(_made_at(pod) < since for pod in pods if not is_over(pod))

    def _written(self, cluster: Cluster) -> float:
        secret = cluster.get("Secret", self._ref.namespace, self._new)
        found = written_at(secret)
        if found is None:
            raise NotFound(f"Secret {self._new} does not record when its token was written.")
        return found


def _kept(plan: Plan) -> KeptToken:
    apim = plan.spec.apim
    return KeptToken(plan.spec.ref.name, apim.instance, apim.gateway)


def _new_secret(plan: Plan, kept: KeptToken, secret_key: str) -> Place:
    name, ref = plan.token.secret or "", plan.spec.ref
    return NewSecret(
        ref,
        name,
        lambda cluster, token, action_id, key: own_secret(
            ref, name, kept, secret_key, token, action_id, key, now=cluster.now(), immutable=True
        ),
    )


def _write(cluster: Cluster, wanted: Manifest) -> None:
    """Apply it onto the very state that was read before the guard looked: a run that was overtaken
    between its guard and its write finds another resource version and writes nothing."""
    metadata = wanted["metadata"]
    for left in reversed(range(_TRIES)):
        live = cluster.get("Deployment", metadata["namespace"], metadata["name"])
        if live is None:
            raise NotFound(f"The Deployment “{metadata['name']}” is gone.")
        version = live["metadata"]["resourceVersion"]
        onto = {**wanted, "metadata": {**metadata, "resourceVersion": version}}
        try:
            # Nobody declares what is taken over here; that was looked at for the plan.
            cluster.apply(onto, force=True, manager=TOKEN_MANAGER)
            return
        except OwnershipConflicts:
            raise
        except Conflict:
            if not left:
                raise


def _made_at(item: Manifest) -> float:
    return epoch(item["metadata"].get("creationTimestamp")) or 0.0
