"""The objects that are deleted with a gateway, and carrying that out."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from deploy.actions.action import Action, Outcome, State
from deploy.actions.executor import Run
from deploy.actions.fencing import lease_name
from deploy.errors import GatewayBotError, NotFound, Unavailable
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.installed import Installed, installed
from deploy.observed.pods import token_secret_of
from deploy.observed.selecting import labelled
from deploy.plans.binding import build_plan
from deploy.plans.plan import ObjectChange, Plan
from deploy.plans.readers import readers_of, secrets_read
from deploy.plans.token_end import kept_secrets
from deploy.rendering.labels import is_marked, selector
from deploy.rendering.manifests import render
from deploy.retry import PATIENCE, RunLost
from deploy.rollouts.collecting import token_secrets
from deploy.rollouts.verdicts import superseded
from deploy.rollouts.work import Work
from deploy.specs.gateway_spec import GatewaySpec
from deploy.tokens.token_plan import TokenPlan

_PODS_SECONDS = 120.0
_LOOK_SECONDS = 0.5
_CLAIM = "PersistentVolumeClaim"
_DELETE = "delete"


def removal_plan(cluster: Cluster, gateway: Installed, *, volumes: bool) -> Plan:
    """What deleting the gateway would delete, found on the cluster; claims only where asked for.

    Only what carries this bot's label goes: others may have put objects of these names there. A
    ConfigMap that others read too stays. Its
    token Secrets go all, also those that no pod ever read, as of a rotation that failed.
    """
    spec = gateway.spec
    used = token_secret_of(gateway.deployment["spec"]["template"]["spec"])
    sets = cluster.list("ReplicaSet", spec.ref.namespace)
    uid = gateway.deployment["metadata"].get("uid")
    wanted = [("Deployment", spec.ref.name)]
    wanted += [
        (item["kind"], item["metadata"]["name"])
        for item in render(spec, used[0] if used else None)
        if item["kind"] != "Deployment" and (volumes or item["kind"] != _CLAIM)
    ]
    minted = {facts.name for facts in token_secrets(cluster, spec)}
    wanted += [("Secret", name) for name in sorted(minted | _token_secrets(uid, sets, used))]
    there = cluster.at_once([_reading(cluster, spec.ref.namespace, *each) for each in wanted])
    found = [
        each
        for each, live in zip(wanted, there, strict=True)
        if live is not None and (each[0] == "Deployment" or is_marked(live, spec))
    ]
    if any(kind == "ConfigMap" for kind, _ in found):
        readers = readers_of(cluster, spec.ref)
        found = [
            each for each in found if each[0] != "ConfigMap" or each[1] not in readers.config_maps
        ]
    found += [("Secret", name) for name in _kept(cluster, spec) if ("Secret", name) not in found]
    changes = tuple(ObjectChange(kind, name, "delete") for kind, name in found)
    return build_plan(
        spec,
        cluster_uid=cluster.uid(spec.ref.namespace),
        observed=(),
        token=TokenPlan(None, mint=False, expires_at=None, reason="It is deleted."),
        deletions=changes,
    )


def _kept(cluster: Cluster, spec: GatewaySpec) -> list[str]:
    """The Secrets in which the bot kept its token while others deployed it, and that no other workload
    is given."""
    kept = [str(each["metadata"]["name"]) for each in kept_secrets(cluster, spec.ref)[0]]
    if not kept:
        return []
    read, unread = secrets_read(cluster, spec.ref.namespace, but=spec.ref.name)
    return [name for name in kept if not unread and name not in read]


class Remover:
    """The executor of actions of kind `delete`."""

    def __init__(
        self,
        clusters: Mapping[str, Cluster],
        *,
        pods_seconds: float = _PODS_SECONDS,
        patience: float = PATIENCE,
    ) -> None:
        self._clusters = clusters
        self._pods_seconds = pods_seconds
        self._patience = patience

    def execute(self, action: Action, run: Run) -> Outcome:
        """Delete what was shown, but nothing that others have come to read since; what is gone already
        is not an error."""
        deleted = _Deleted(any(step.name == _DELETE for step in action.steps))
        try:
            return self._execute(Work(action, run, self._patience, "Delete it again"), deleted)
        except GatewayBotError as error:
            return _failed(error, deleted)

    def _execute(self, work: Work, deleted: "_Deleted") -> Outcome:
        action, run, ref = work.action, work.run, work.action.ref
        shown = [(change.kind, change.name) for change in action.plan.changes]
        found = self._clusters.get(ref.cluster)
        if found is None:
            raise NotFound(f"Cluster “{ref.cluster}” is no longer in the bot's settings.")
        cluster = found.guarded(run.guard, run.unconfirmed)
        if work.patiently(lambda: cluster.uid(ref.namespace)) != action.plan.cluster_uid:
            return _another_cluster(ref)
        stays: list[str] = []
        if not deleted.begun:
            plan = work.patiently(lambda: _plan_now(cluster, ref, shown))
            if plan is not None:
                there = [(change.kind, change.name) for change in plan.changes]
                if set(there) - set(shown):
                    return superseded(plan)
                others = [each for each in shown if each not in there]
                stays = work.patiently(lambda: _there(cluster, ref.namespace, others))
                shown = [each for each in shown if each in there]
        # The Deployment last: should this be broken off, it tells what the gateway was.
        for kind, name in sorted(shown, key=lambda each: each[0] == "Deployment"):
            run.step(_DELETE, f"Deleting {kind} {name}")
            deleted.begun = True
            deleted.count += work.patiently(_deleting(cluster, ref.namespace, kind, name))
        run.step("follow", "Waiting for the pods to terminate")
        spec = action.plan.spec
        left = self._wait(work, cluster, spec)
        # Last of all, for it is what this run holds the gateway by.
        work.patiently(lambda: cluster.delete("Lease", ref.namespace, lease_name(ref)))
        happened = f"Deleted {ref} with {len(shown)} objects"
        meaning = [f"{each} stays: it no longer belongs to this gateway alone." for each in stays]
        if left:
            meaning.append(f"{left} pods are still terminating.")
        return Outcome(State.SUCCEEDED, happened, " ".join(meaning))

    def _wait(self, work: Work, cluster: Cluster, spec: GatewaySpec) -> int:
        """How many pods are left when there are none, or after a while."""
        end = time.monotonic() + self._pods_seconds
        chosen = labelled(selector(spec))
        while True:
            left = len(
                work.patiently(
                    lambda: cluster.list("Pod", spec.ref.namespace, label_selector=chosen)
                )
            )
            if not left or time.monotonic() > end:
                return left
            if work.run.lost.wait(_LOOK_SECONDS):
                raise RunLost


@dataclass
class _Deleted:
    """Whether this action has started to delete, and how much this run of it has deleted."""

    begun: bool
    count: int = 0


def _plan_now(cluster: Cluster, ref: GatewayRef, shown: Sequence[tuple[str, str]]) -> Plan | None:
    """The plan that would be shown now; None where the gateway is gone.

    What is gone since then is not a reason not to delete the rest.
    """
    volumes = any(kind == _CLAIM for kind, _ in shown)
    try:
        return removal_plan(cluster, installed(cluster, ref), volumes=volumes)
    except NotFound:
        return None


def _there(cluster: Cluster, namespace: str, objects: Sequence[tuple[str, str]]) -> list[str]:
    """Which of these objects there are."""
    found = cluster.at_once([_reading(cluster, namespace, *each) for each in objects])
    return [
        f"{kind} {name}"
        for (kind, name), live in zip(objects, found, strict=True)
        if live is not None
    ]


def _deleting(cluster: Cluster, namespace: str, kind: str, name: str) -> Callable[[], bool]:
    return lambda: cluster.delete(kind, namespace, name)


def _token_secrets(
    uid: str | None, replica_sets: Iterable[Manifest], used: tuple[str, str] | None
) -> set[str]:
    """The Secrets of the running pods and of every revision that could come back."""
    owned = [
        token_secret_of(item["spec"]["template"]["spec"])
        for item in replica_sets
        if any(o.get("uid") == uid for o in item["metadata"].get("ownerReferences") or ())
    ]
    return {each[0] for each in (*owned, used) if each is not None}


def _reading(
    cluster: Cluster, namespace: str, kind: str, name: str
) -> Callable[[], Manifest | None]:
    return lambda: cluster.get(kind, namespace, name)


def _another_cluster(ref: GatewayRef) -> Outcome:
    return Outcome(
        State.SUPERSEDED,
        f"“{ref.cluster}” is not the same cluster as when the plan was shown.",
        "Nothing was deleted.",
        "Ask again.",
    )


def _failed(error: GatewayBotError, deleted: _Deleted) -> Outcome:
    done = "Nothing was deleted."
    if deleted.count:
        done = f"{deleted.count} objects were deleted."
    elif deleted.begun:
        done = "Some of its objects may have been deleted."
    unclear = deleted.begun and isinstance(error, Unavailable)
    return Outcome(
        State.UNKNOWN if unclear else State.FAILED,
        error.happened,
        " ".join(part for part in (error.meaning, done) if part),
        error.remedy or "Delete it again: objects that are already gone cause no error.",
    )
