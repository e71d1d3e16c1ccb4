"""ReplicaSet → Pods."""

from collections.abc import Iterable

from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.controllers.events import Recorder
from bot.sandbox.cluster.decoding import Options
from bot.sandbox.cluster.deletion import delete
from bot.sandbox.cluster.errors import ApiError
from bot.sandbox.cluster.kinds import POD, REPLICA_SET
from bot.sandbox.cluster.objects import (
    Obj,
    annotations_of,
    condition_of,
    controller_of,
    copy,
    get,
    is_pod_active,
    is_pod_ready,
    is_terminating,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    parse_time,
    seconds_since,
    timestamp,
    uid_of,
)
from bot.sandbox.cluster.selectors import selects
from bot.sandbox.cluster.store import Change, Key

_MANAGER = "kube-controller-manager"
_RETRY_SECONDS = 1.0


class ReplicaSetController:
    """Keeps as many pods as a ReplicaSet wants."""

    name = "replicaset"

    def __init__(self, api: Api) -> None:
        self._api = api
        self._events = Recorder(api, "replicaset-controller")

    def keys(self, change: Change) -> Iterable[Key]:
        """The changed ReplicaSet, or the one a changed pod belongs or could belong to."""
        if change.storage == REPLICA_SET.storage:
            return [(namespace_of(change.obj), name_of(change.obj))]
        if change.storage != POD.storage:
            return []
        owner = controller_of(change.obj)
        if owner is not None:
            return (
                [(namespace_of(change.obj), owner["name"])] if owner["kind"] == "ReplicaSet" else []
            )
        return [
            (namespace_of(rs), name_of(rs))
            for rs in self._api.store.all(REPLICA_SET, namespace_of(change.obj))
            if selects(get(rs, "spec", "selector"), change.obj)
        ]

    def all_keys(self) -> Iterable[Key]:
        """Every ReplicaSet."""
        return [(namespace_of(rs), name_of(rs)) for rs in self._api.store.all(REPLICA_SET)]

    def reconcile(self, key: Key) -> float | None:
        """Create or delete pods, then write the status."""
        replica_set = self._api.find(REPLICA_SET, *key)
        if replica_set is None:
            return None
        pods = self._pods(replica_set)
        active = [pod for pod in pods if is_pod_active(pod)]
        failure: str | None = None
        if not is_terminating(replica_set):
            failure = self._manage(replica_set, active)
        return self._write_status(replica_set, pods, failure)

    def _pods(self, replica_set: Obj) -> list[Obj]:
        owned = []
        for pod in self._api.store.all(POD, namespace_of(replica_set)):
            owner = controller_of(pod)
            if owner is not None:
                if owner["uid"] == uid_of(replica_set):
                    owned.append(pod)
            elif selects(get(replica_set, "spec", "selector"), pod) and is_pod_active(pod):
                adopted = copy(pod)
                adopted["metadata"]["ownerReferences"] = [owner_reference(replica_set)]
                owned.append(self._api.store.put(POD, adopted))
        return owned

    def _manage(self, replica_set: Obj, active: list[Obj]) -> str | None:
        """Create or delete; the message of a create that failed."""
        missing = get(replica_set, "spec", "replicas", default=0) - len(active)
        for _ in range(missing):
            try:
                self._create(replica_set)
            except ApiError as error:
                self._events.warning(
                    replica_set, "FailedCreate", f"Error creating: {error.message}"
                )
                return error.message
        for pod in sorted(active, key=deletion_rank)[: max(-missing, 0)]:
            delete(self._api, POD, namespace_of(pod), name_of(pod))
            self._events.normal(replica_set, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")
        return None

    def _create(self, replica_set: Obj) -> None:
        template = copy(get(replica_set, "spec", "template", default={}))
        metadata = {
            "generateName": f"{name_of(replica_set)}-",
            "labels": labels_of(template),
            "ownerReferences": [owner_reference(replica_set)],
        }
        if annotations_of(template):
            metadata["annotations"] = annotations_of(template)
        pod = self._api.create(
            POD,
            namespace_of(replica_set),
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": metadata,
                "spec": template.get("spec", {}),
            },
            Options(manager=_MANAGER),
        )
        self._events.normal(replica_set, "SuccessfulCreate", f"Created pod: {name_of(pod)}")

    def _write_status(self, replica_set: Obj, pods: list[Obj], failure: str | None) -> float | None:
        active = [pod for pod in pods if is_pod_active(pod)]
        ready = [pod for pod in active if is_pod_ready(pod)]
        wait = get(replica_set, "spec", "minReadySeconds", default=0)
        ages = [
            seconds_since((condition_of(pod, "Ready") or {}).get("lastTransitionTime"))
            for pod in ready
        ]
        template = labels_of(get(replica_set, "spec", "template", default={}))
        status: Obj = {
            "replicas": len(active),
            "fullyLabeledReplicas": sum(
                template.items() <= labels_of(pod).items() for pod in active
            ),
            "readyReplicas": len(ready),
            "availableReplicas": sum(age >= wait for age in ages),
            "terminatingReplicas": sum(is_terminating(pod) for pod in pods),
            "observedGeneration": replica_set["metadata"].get("generation", 0),
        }
        condition = condition_of(replica_set, "ReplicaFailure")
        if failure is not None:
            if condition is None or condition.get("message") != failure:
                condition = {
                    "type": "ReplicaFailure",
                    "status": "True",
                    "reason": "FailedCreate",
                    "message": failure,
                    "lastTransitionTime": timestamp(),
                }
            status["conditions"] = [condition]
        kept = {k: v for k, v in status.items() if v or k in ("replicas", "terminatingReplicas")}
        if kept != replica_set.get("status"):
            changed = copy(replica_set)
            changed["status"] = kept
            changed["metadata"].pop("resourceVersion")
            self._api.update_status(REPLICA_SET, changed, _MANAGER)
        if failure is not None:
            return _RETRY_SECONDS
        young = [wait - age for age in ages if age < wait]
        return min(young) + 0.05 if young else None


def deletion_rank(pod: Obj) -> tuple[float, ...]:
    """Which pod goes first: unassigned, then pending, not ready, cheap, often restarted, young
    ones."""
    ready = condition_of(pod, "Ready") or {}
    is_ready = ready.get("status") == "True"
    phase = get(pod, "status", "phase", default="Unknown")
    cost = annotations_of(pod).get("controller.kubernetes.io/pod-deletion-cost", "0")
    restarts = sum(
        s.get("restartCount", 0) for s in get(pod, "status", "containerStatuses", default=[])
    )
    since = ready.get("lastTransitionTime")
    return (
        float(bool(get(pod, "spec", "nodeName"))),
        {"Pending": 0.0, "Unknown": 1.0}.get(phase, 2.0),
        float(is_ready),
        float(cost) if cost.lstrip("-").isdigit() else 0.0,
        -parse_time(since).timestamp() if is_ready and since else 0.0,
        -float(restarts),
        -parse_time(pod["metadata"]["creationTimestamp"]).timestamp(),
        -float(pod["metadata"]["resourceVersion"]),
    )
