"""Deployment → ReplicaSets."""

from collections.abc import Iterable

from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.controllers import rollout
from bot.sandbox.cluster.controllers.replica_sets import MANAGER, ReplicaSets, revision_of
from bot.sandbox.cluster.errors import ApiError
from bot.sandbox.cluster.kinds import DEPLOYMENT, POD, REPLICA_SET
from bot.sandbox.cluster.objects import (
    Obj,
    annotations_of,
    condition_of,
    controller_of,
    copy,
    get,
    is_terminating,
    name_of,
    namespace_of,
    seconds_since,
    uid_of,
)
from bot.sandbox.cluster.store import Change, Key


class DeploymentController:
    """Rolls a Deployment's pods from one template to the next."""

    name = "deployment"

    def __init__(self, api: Api) -> None:
        self._api = api
        self._sets = ReplicaSets(api)

    def keys(self, change: Change) -> Iterable[Key]:
        """The changed Deployment, or the one a changed ReplicaSet or a deleted pod belongs to."""
        obj = change.obj
        if change.storage == DEPLOYMENT.storage:
            return [(namespace_of(obj), name_of(obj))]
        if change.storage == REPLICA_SET.storage:
            owner = controller_of(obj)
            return [(namespace_of(obj), owner["name"])] if owner else []
        if change.storage == POD.storage and change.type == "DELETED":
            # Recreate waits for the last old pod to be gone.
            owner = controller_of(obj)
            parent = (
                self._api.find(REPLICA_SET, namespace_of(obj), owner["name"]) if owner else None
            )
            above = controller_of(parent) if parent else None
            return [(namespace_of(obj), above["name"])] if above else []
        return []

    def all_keys(self) -> Iterable[Key]:
        """Every Deployment."""
        return [(namespace_of(d), name_of(d)) for d in self._api.store.all(DEPLOYMENT)]

    def reconcile(self, key: Key) -> float | None:
        """One step of the rollout; the writes it makes bring the next one."""
        deployment = self._api.find(DEPLOYMENT, *key)
        if deployment is None:
            return None
        sets = self._sets.owned(deployment)
        if is_terminating(deployment):
            return self._sync_status(deployment, sets)
        deployment = self._check_paused(deployment)
        if get(deployment, "spec", "paused"):
            return self._sync(deployment, sets)
        if self._is_scaling(deployment, sets):
            return self._sync(deployment, sets)
        if rollout.is_rolling(deployment):
            return self._roll(deployment, sets)
        return self._recreate(deployment, sets)

    def _is_scaling(self, deployment: Obj, sets: list[Obj]) -> bool:
        wanted = str(rollout.replicas_of(deployment))
        return any(
            rollout.replicas_of(rs) > 0
            and annotations_of(rs).get(rollout.DESIRED) not in (None, wanted)
            for rs in sets
        )

    def _check_paused(self, deployment: Obj) -> Obj:
        if get(deployment, "spec", "progressDeadlineSeconds") is None:
            return deployment
        reason = rollout.progress_reason(deployment)
        if reason == "ProgressDeadlineExceeded":
            return deployment
        paused = bool(get(deployment, "spec", "paused"))
        was = reason == "DeploymentPaused"
        if paused == was:
            return deployment
        text = (
            ("DeploymentPaused", "Deployment is paused")
            if paused
            else ("DeploymentResumed", "Deployment is resumed")
        )
        changed = copy(deployment)
        rollout.set_condition(changed["status"], rollout.condition("Progressing", "Unknown", *text))
        return self._write_status(changed)

    def _sync(self, deployment: Obj, sets: list[Obj]) -> float | None:
        deployment, new, old = self._with_new(deployment, sets, create=False)
        new, old = self._scale(deployment, new, old)
        if get(deployment, "spec", "paused"):
            self._sets.clean_up(deployment, old)
        return self._sync_status(deployment, [*old, *([new] if new else [])])

    def _sync_status(self, deployment: Obj, sets: list[Obj]) -> float | None:
        new, _ = self._sets.split(deployment, sets)
        status = rollout.calculate_status(deployment, sets, new)
        if status != deployment.get("status"):
            self._write_status({**deployment, "status": status})
        return None

    def _scale(
        self, deployment: Obj, new: Obj | None, old: list[Obj]
    ) -> tuple[Obj | None, list[Obj]]:
        everything = [*old, *([new] if new else [])]
        active = [rs for rs in everything if rollout.replicas_of(rs) > 0]
        wanted = rollout.replicas_of(deployment)
        plan: list[tuple[Obj, int]] = []
        if len(active) <= 1:
            only = active[0] if active else new or _newest(old)
            if only is not None and rollout.replicas_of(only) != wanted:
                plan = [(only, wanted)]
        elif new is not None and _is_saturated(deployment, new):
            plan = [(rs, 0) for rs in old if rollout.replicas_of(rs) > 0]
        elif rollout.is_rolling(deployment):
            plan = rollout.proportional_plan(deployment, active)
        resized = {uid_of(rs): self._sets.resize(deployment, rs, size) for rs, size in plan}
        return (
            resized.get(uid_of(new), new) if new else None,
            [resized.get(uid_of(rs), rs) for rs in old],
        )

    def _roll(self, deployment: Obj, sets: list[Obj]) -> float | None:
        deployment, new, old = self._with_new(deployment, sets, create=True)
        if new is None:
            return None
        wanted = rollout.replicas_of(deployment)
        size = rollout.replicas_of(new)
        if size != wanted:
            target = wanted if size > wanted else rollout.new_replicas(deployment, [*old, new], new)
            if target != size:
                new = self._sets.resize(deployment, new, target)
                return self._sync_rollout(deployment, [*old, new], new)
        plan = rollout.scale_down_plan(deployment, [*old, new], old, new)
        if plan:
            resized = {uid_of(rs): self._sets.resize(deployment, rs, size) for rs, size in plan}
            old = [resized.get(uid_of(rs), rs) for rs in old]
            return self._sync_rollout(deployment, [*old, new], new)
        if rollout.is_complete(deployment, get(deployment, "status", default={})):
            old = self._sets.clean_up(deployment, old)
        return self._sync_rollout(deployment, [*old, new], new)

    def _recreate(self, deployment: Obj, sets: list[Obj]) -> float | None:
        deployment, new, old = self._with_new(deployment, sets, create=False)
        everything = [*old, *([new] if new else [])]
        active = [rs for rs in old if rollout.replicas_of(rs) > 0]
        if active:
            resized = {uid_of(rs): self._sets.resize(deployment, rs, 0) for rs in active}
            everything = [resized.get(uid_of(rs), rs) for rs in everything]
            return self._sync_rollout(deployment, everything, new)
        if self._runs_old_pods(deployment, old):
            return self._sync_rollout(deployment, everything, new)
        deployment, new, old = self._with_new(deployment, sets, create=True)
        if new is None:
            return None
        wanted = rollout.replicas_of(deployment)
        if rollout.replicas_of(new) != wanted:
            new = self._sets.resize(deployment, new, wanted)
        if rollout.is_complete(deployment, get(deployment, "status", default={})):
            old = self._sets.clean_up(deployment, old)
        return self._sync_rollout(deployment, [*old, new], new)

    def _runs_old_pods(self, deployment: Obj, old: list[Obj]) -> bool:
        owners = {uid_of(rs) for rs in old}
        return any(
            (controller_of(pod) or {}).get("uid") in owners
            and get(pod, "status", "phase") not in ("Succeeded", "Failed")
            for pod in self._api.store.all(POD, namespace_of(deployment))
        )

    def _with_new(
        self, deployment: Obj, sets: list[Obj], *, create: bool
    ) -> tuple[Obj, Obj | None, list[Obj]]:
        """The Deployment with its revision kept, the new ReplicaSet (made when `create`), and the
        old ones."""
        new, old = self._sets.split(deployment, sets)
        revision = max((revision_of(rs) for rs in old), default=0) + 1
        if new is not None:
            new = self._sets.annotate(deployment, new, revision)
            has_deadline = get(deployment, "spec", "progressDeadlineSeconds") is not None
            found = None
            if has_deadline and condition_of(deployment, "Progressing") is None:
                found = rollout.condition(
                    "Progressing",
                    "True",
                    "FoundNewReplicaSet",
                    f'Found new replica set "{name_of(new)}"',
                )
            shown = annotations_of(new)[rollout.REVISION]
            return self._record_revision(deployment, shown, found), new, old
        if not create:
            return deployment, None, old
        try:
            new = self._sets.create(deployment, old, revision)
        except ApiError as error:
            failed = rollout.condition(
                "Progressing", "False", "ReplicaSetCreateError", error.message
            )
            changed = copy(deployment)
            rollout.set_condition(changed["status"], failed)
            self._write_status(changed)
            raise
        made = rollout.condition(
            "Progressing",
            "True",
            "NewReplicaSetCreated",
            f'Created new replica set "{name_of(new)}"',
        )
        if get(deployment, "spec", "progressDeadlineSeconds") is None:
            return self._record_revision(deployment, str(revision), None), new, old
        return self._record_revision(deployment, str(revision), made), new, old

    def _record_revision(self, deployment: Obj, revision: str, shown: Obj | None) -> Obj:
        if annotations_of(deployment).get(rollout.REVISION) == revision and shown is None:
            return deployment
        changed = copy(deployment)
        changed["metadata"].setdefault("annotations", {})[rollout.REVISION] = revision
        if shown is not None:
            rollout.set_condition(changed["status"], shown)
        return self._write_status(changed)

    def _write_status(self, deployment: Obj) -> Obj:
        return self._api.update_status(DEPLOYMENT, deployment, MANAGER)

    def _sync_rollout(self, deployment: Obj, sets: list[Obj], new: Obj | None) -> float | None:
        """Write the status of a rollout in progress; seconds until its deadline must be looked
        at."""
        status = rollout.calculate_status(deployment, sets, new)
        deadline = get(deployment, "spec", "progressDeadlineSeconds")
        subject = f'ReplicaSet "{name_of(new)}"' if new else f'Deployment "{name_of(deployment)}"'
        current = condition_of({"status": status}, "Progressing")
        settled = (
            status.get("replicas", 0) == status.get("updatedReplicas", 0)
            and current is not None
            and current["reason"] == "NewReplicaSetAvailable"
        )
        if deadline is None:
            rollout.drop_condition(status, "Progressing")
        elif not settled:
            self._progress(deployment, status, current, subject, deadline)
        failure = next((c for rs in sets if (c := condition_of(rs, "ReplicaFailure"))), None)
        if failure is not None:
            text = (failure["status"], failure["reason"], failure["message"])
            rollout.set_condition(status, rollout.condition("ReplicaFailure", *text))
        else:
            rollout.drop_condition(status, "ReplicaFailure")
        if status != deployment.get("status"):
            self._write_status({**deployment, "status": status})
        shown = condition_of({"status": status}, "Progressing")
        if deadline is None or shown is None or shown["status"] != "True":
            return None
        if shown["reason"] == "NewReplicaSetAvailable":
            return None
        return float(max(deadline - seconds_since(shown["lastUpdateTime"]), 0)) + 1.0

    def _progress(
        self, deployment: Obj, status: Obj, current: Obj | None, subject: str, deadline: int
    ) -> None:
        if rollout.is_complete(deployment, status):
            text = f"{subject} has successfully progressed."
            rollout.set_condition(
                status, rollout.condition("Progressing", "True", "NewReplicaSetAvailable", text)
            )
        elif rollout.is_progressing(deployment, status):
            shown = rollout.condition(
                "Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing."
            )
            if current is not None:
                if current["status"] == "True":
                    shown["lastTransitionTime"] = current["lastTransitionTime"]
                rollout.drop_condition(status, "Progressing")
            rollout.set_condition(status, shown)
        elif (
            current is not None
            and current["reason"] not in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded")
            and seconds_since(current["lastUpdateTime"]) > deadline
        ):
            text = f"{subject} has timed out progressing."
            rollout.set_condition(
                status, rollout.condition("Progressing", "False", "ProgressDeadlineExceeded", text)
            )


def _newest(sets: list[Obj]) -> Obj | None:
    ordered = sorted(sets, key=lambda rs: (rs["metadata"]["creationTimestamp"], revision_of(rs)))
    return ordered[-1] if ordered else None


def _is_saturated(deployment: Obj, rs: Obj) -> bool:
    wanted = rollout.replicas_of(deployment)
    return (
        annotations_of(rs).get(rollout.DESIRED) == str(wanted)
        and rollout.replicas_of(rs) == wanted
        and rollout.available_of(rs) == wanted
    )
