"""What a stopped action leaves: read off the cluster at that moment, and said in words.

Stopping goes back on nothing. So whoever decides what comes next must know what was written, what
was not, and what Kubernetes still carries out. What cannot be read is said to be unknown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.actions.action import Action, Outcome, State
from deploy.annotations import SPEC_ANNOTATION
from deploy.commands import Command
from deploy.errors import GatewayBotError, NotFound
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.pods import token_secret_of
from deploy.observed.progress import progress_of
from deploy.observed.selecting import labelled
from deploy.observed.token_only import restart_mark
from deploy.plans.diff import is_made
from deploy.plans.plan import ObjectChange, Plan
from deploy.rendering.labels import selector
from deploy.rollouts.live_state import annotations, ready_pods, wanted, within, written_by
from deploy.rollouts.regeneration import ASK
from deploy.specs.annotation import says

READ_SECONDS = 2.0
"""The actions behind a stopped one wait for this too."""
_STOPPED = "Stopped. Nothing more is written."


@dataclass(frozen=True)
class Left:
    """What there is of a gateway: its own objects, and those that its plan changes, by change."""

    deployment: Manifest | None
    replica_sets: tuple[Manifest, ...]
    pods: tuple[Manifest, ...]
    secrets: Mapping[str, Manifest | None]
    """The Secrets that the plan is about: the one to mint a token into, and the previous one."""
    changed: tuple[tuple[ObjectChange, Manifest | None], ...]


def stopped(left: Outcome, ended: Outcome | None) -> Outcome:
    """How a stopped action ended: what it left, and what its run came to, if to an end. Pure."""
    if ended is None:
        return left
    if ended.state is State.SUCCEEDED:
        happened = f"Stopped after everything was done: {ended.happened}"
        return Outcome(State.STOPPED, happened, ended.meaning, ended.remedy)
    meaning = f"{left.meaning} The run had just ended: {ended.happened}"
    return Outcome(State.STOPPED, left.happened, meaning, left.remedy)


class Leftovers:
    """Reads what stopped actions leave on the clusters."""

    def __init__(self, clusters: Mapping[str, Cluster], seconds: float = READ_SECONDS) -> None:
        self._clusters = clusters
        self._seconds = seconds

    def of(self, action: Action) -> Outcome:
        """What it left; that cannot be read where the cluster does not answer in time."""
        plan = action.plan
        try:
            left = self._read(plan)
        except GatewayBotError as error:
            return unread(action, error)
        if any(c.kind == "Deployment" and c.change == "delete" for c in plan.changes):
            return removal_left(plan, left)
        if plan.manages is not None and not plan.token.mint:
            return end_left(plan, left)
        if plan.manages is not None and plan.manages.stable:
            return one_secret_left(plan, left, action.id)
        return rollout_left(plan, left, action.id)

    def _read(self, plan: Plan) -> Left:
        ref = plan.spec.ref
        cluster = self._clusters.get(ref.cluster)
        if cluster is None:
            raise NotFound(f"Cluster “{ref.cluster}” is no longer in the bot's settings.")
        chosen = labelled(selector(plan.spec))
        names = [name for name in (plan.token.secret, plan.token.previous) if name]
        every = [(c.kind, c.name) for c in plan.changes] + [("Secret", name) for name in names]
        wanted: list[Callable[[], Any]] = [
            lambda: cluster.uid(ref.namespace),
            lambda: cluster.list("ReplicaSet", ref.namespace),
            lambda: cluster.list("Pod", ref.namespace, label_selector=chosen),
            *(
                _getting(cluster, ref.namespace, kind, name)
                for kind, name in [("Deployment", ref.name), *every]
            ),
        ]
        uid, sets, pods, deployment, *objects = within(self._seconds, cluster, wanted)
        if uid != plan.cluster_uid:
            raise NotFound(f"“{ref.cluster}” is not the same cluster as when this was approved.")
        changed = zip(plan.changes, objects[: len(plan.changes)], strict=True)
        secrets = zip(names, objects[len(plan.changes) :], strict=True)
        return Left(deployment, tuple(sets), tuple(pods), dict(secrets), tuple(changed))


def rollout_left(plan: Plan, left: Left, action_id: str) -> Outcome:
    """What a stopped deployment, or a change that is one, has left. Pure."""
    meaning = (
        _deployment(plan, left, action_id),
        ready_pods(left.deployment, left.replica_sets, left.pods, action_id),
        _objects(left, action_id),
        _new_token(plan, left, action_id),
        _previous_token(plan, left),
    )
    return Outcome(
        State.STOPPED,
        _how_far(left, action_id),
        " ".join(part for part in meaning if part),
        f"Nothing is rolled back automatically. Check {Command('status', plan.spec.ref)}, then "
        "plan the next change.",
    )


def one_secret_left(plan: Plan, left: Left, action_id: str) -> Outcome:
    """What a stopped rotation has left whose pods read one Secret of this bot's. Pure."""
    name, copy = plan.token.secret or "", plan.token.previous
    live, before = left.secrets[name], left.secrets.get(copy)
    by = written_by(live) if live is not None else ""
    written, back = by == action_id, by == restart_mark(action_id, back=True)
    restarted = left.deployment is not None and written_by(left.deployment) == action_id
    said = [
        f"The pods of {plan.spec.ref.name} were restarted by this action."
        if restarted
        else f"The pods of {plan.spec.ref.name} were not restarted by this action.",
        ready_pods(left.deployment, left.replica_sets, left.pods, action_id),
    ]
    if written:
        said.append(
            f"Secret {name} was written by this action: pods that start from now on read it."
        )
    elif back:
        said.append(f"Secret {name} holds the previous token again.")
    else:
        said.append(f"Secret {name} was not written by this action.")
    if written and copy:
        there = "is there" if before is not None else "is gone"
        said.append(f"Secret {copy} with the previous token {there}.")
    if written:
        said.append("Whether Azure accepts the new token was not verified.")
    return Outcome(
        State.STOPPED,
        "Stopped after the Secret was written."
        if written or back
        else "Stopped before the Secret was written.",
        " ".join(part for part in said if part),
        f"Nothing is rolled back automatically. Check {Command('status', plan.spec.ref)}, then "
        f"rotate again: {Command('rotate', plan.spec.ref)}.",
    )


def end_left(plan: Plan, left: Left) -> Outcome:
    """What is left where the bot was to keep a token no longer. Pure."""
    made = [change for change, live in left.changed if is_made(change, live)]
    not_made = [change for change, live in left.changed if not is_made(change, live)]
    if not made:
        happened = "Stopped before anything was changed."
    elif not not_made:
        happened = "Stopped after everything was changed."
    else:
        happened = f"Stopped after {len(made)} of {len(left.changed)} objects were changed."
    meaning = (_listed("Changes made", made), _listed("Changes not made", not_made))
    return Outcome(
        State.STOPPED,
        happened,
        " ".join(part for part in (*meaning, "The pods were not touched.") if part),
        f"To finish, run {Command('manage-token', plan.spec.ref, '--end')}." if not_made else "",
    )


def removal_left(plan: Plan, left: Left) -> Outcome:
    """What a stopped deletion has left. Pure."""
    gone = [change for change, live in left.changed if live is None]
    kept = [change for change, live in left.changed if live is not None]
    if not gone:
        happened = "Stopped before anything was deleted."
    elif not kept:
        happened = "Stopped after every object was deleted."
    else:
        happened = f"Stopped while deleting: {len(gone)} of {len(left.changed)} objects are gone."
    pods = f"Pods that still exist: {len(left.pods)}." if left.pods else ""
    broken = "Pods that start from now on may lack the deleted objects." if gone and kept else ""
    meaning = (_listed("Gone", gone), _listed("Still there", kept), pods, broken)
    return Outcome(
        State.STOPPED,
        happened,
        " ".join(part for part in meaning if part),
        f"To delete the rest, run {Command('delete', plan.spec.ref)}. To keep the gateway, "
        "deploy it again."
        if kept
        else "",
    )


def key_left(action: Action) -> Outcome:
    """What the stopped regeneration of a key has done. Only Azure knows the rest. Pure."""
    gateway = action.plan.spec.apim.gateway
    if not any(step.name == ASK for step in action.steps):
        return Outcome(
            State.STOPPED,
            f"Stopped before Azure was asked to regenerate the key of {gateway}.",
            "Nothing was changed.",
        )
    return Outcome(
        State.STOPPED,
        f"Stopped while Azure was asked to regenerate the key of {gateway}.",
        "The bot did not see the answer, so the key may have been regenerated. If so, no "
        "earlier token of that key works any longer.",
        "Request it again: the plan shows which tokens would stop working now.",
    )


def unread(action: Action, error: GatewayBotError) -> Outcome:
    """The cluster cannot be read; how far the run says that it got is all there is. Pure."""
    last = f"The last recorded step: {action.steps[-1].detail}." if action.steps else ""
    meaning = (f"The state of the cluster is unknown: {error.happened}", last)
    return Outcome(
        State.STOPPED,
        _STOPPED,
        " ".join(part for part in meaning if part),
        f"Check {Command('status', action.ref)} once the cluster can be read.",
    )


def _how_far(left: Left, action_id: str) -> str:
    if left.deployment is None or written_by(left.deployment) != action_id:
        return "Stopped before the Deployment was written."
    if progress_of(left.deployment, left.replica_sets, left.pods).complete:
        return "Stopped after the Deployment was rolled out."
    return "Stopped during the rollout. The bot changes nothing more; Kubernetes finishes what was applied."


def _deployment(plan: Plan, left: Left, action_id: str) -> str:
    live, ref = left.deployment, plan.spec.ref
    if live is None:
        return f"There is no Deployment {ref.name} in {ref.cluster}/{ref.namespace}."
    if written_by(live) != action_id:
        how = "was not written by this action"
    elif _is_as_planned(plan, live):
        how = "was written by this action"
    else:
        how = "was written by this action to roll back after a failure"
    return f"Deployment {ref.name} {how}: {wanted(live)}."


def _is_as_planned(plan: Plan, live: Manifest) -> bool:
    used = token_secret_of(live["spec"]["template"]["spec"])
    # Of what others deploy nothing but the reference is planned.
    same = plan.manages is not None or says(annotations(live).get(SPEC_ANNOTATION, ""), plan.spec)
    return same and (used[0] if used else None) == plan.token.secret


def _objects(left: Left, action_id: str) -> str:
    others = [(c, live) for c, live in left.changed if c.kind != "Deployment"]
    made = [change for change, live in others if is_made(change, live)]
    not_made = [change for change, live in others if not is_made(change, live)]
    parts = [_listed("Changes made", made), _listed("Changes not made", not_made)]
    before = left.deployment is not None and written_by(left.deployment) != action_id
    if before and any(change.kind == "ConfigMap" for change in made):
        parts.append("Pods that start from now on read the changed ConfigMap.")
    return " ".join(part for part in parts if part)


def _new_token(plan: Plan, left: Left, action_id: str) -> str:
    name = plan.token.secret
    if not plan.token.mint or not name:
        return ""
    secret = left.secrets[name]
    if secret is None or written_by(secret) != action_id:
        return "No new token was put on the cluster."
    users = [pod["spec"] for pod in left.pods]
    if left.deployment is not None:
        users.append(left.deployment["spec"]["template"]["spec"])
    if any((token_secret_of(user) or ("",))[0] == name for user in users):
        return ""
    return f"Secret {name} holds a new token that nothing uses; the next deployment that succeeds deletes it."


def _previous_token(plan: Plan, left: Left) -> str:
    name = plan.token.previous
    if not name:
        return ""
    there = "is still there" if left.secrets[name] is not None else "is gone"
    said = f"Secret {name} with the previous token {there}."
    if left.secrets.get(plan.token.secret or "") is None:
        return said
    return f"{said} Whether Azure accepts the new token was not verified."


def _listed(title: str, changes: Sequence[ObjectChange]) -> str:
    if not changes:
        return ""
    return f"{title}: {', '.join(f'{change.kind} {change.name}' for change in changes)}."


def _getting(
    cluster: Cluster, namespace: str, kind: str, name: str
) -> Callable[[], Manifest | None]:
    return lambda: cluster.get(kind, namespace, name)
