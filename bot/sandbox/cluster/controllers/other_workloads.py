"""StatefulSet → Pods with numbers, one after the other; DaemonSet → a Pod for each node."""

from collections.abc import Iterable

from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.decoding import Options
from bot.sandbox.cluster.deletion import delete
from bot.sandbox.cluster.kinds import DAEMON_SET, NODE, POD, STATEFUL_SET, Kind
from bot.sandbox.cluster.objects import (
    Obj,
    annotations_of,
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
    uid_of,
)
from bot.sandbox.cluster.store import Change, Key

_MANAGER = "kube-controller-manager"


class _Owning:
    """What both do: look again when the object or one of its pods changes."""

    kind: Kind

    def __init__(self, api: Api) -> None:
        self._api = api

    @property
    def name(self) -> str:
        """Its name in logs."""
        return self.kind.singular

    def keys(self, change: Change) -> Iterable[Key]:
        """The changed object, or the one a changed pod belongs to."""
        if change.storage == self.kind.storage:
            return [(namespace_of(change.obj), name_of(change.obj))]
        owner = controller_of(change.obj) if change.storage == POD.storage else None
        if owner is not None and owner["kind"] == self.kind.kind:
            return [(namespace_of(change.obj), owner["name"])]
        return []

    def all_keys(self) -> Iterable[Key]:
        """Every object of the kind."""
        return [(namespace_of(each), name_of(each)) for each in self._api.store.all(self.kind)]

    def _pods(self, owner: Obj) -> list[Obj]:
        return [
            pod
            for pod in self._api.store.all(POD, namespace_of(owner))
            if (controller := controller_of(pod)) is not None
            and controller["uid"] == uid_of(owner)
            and is_pod_active(pod)
        ]

    def _create(self, owner: Obj, metadata: Obj, spec: Obj) -> None:
        template = copy(get(owner, "spec", "template", default={}))
        pod: Obj = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "labels": labels_of(template),
                "annotations": annotations_of(template),
                "ownerReferences": [owner_reference(owner)],
                **metadata,
            },
            "spec": {**template.get("spec", {}), **spec},
        }
        self._api.create(POD, namespace_of(owner), pod, Options(manager=_MANAGER))

    def _write(self, owner: Obj, status: Obj) -> None:
        status = {"observedGeneration": owner["metadata"].get("generation", 0), **status}
        if status != owner.get("status"):
            changed = copy(owner)
            changed["status"] = status
            changed["metadata"].pop("resourceVersion")
            self._api.update_status(self.kind, changed, _MANAGER)


class StatefulSetController(_Owning):
    """Makes the next pod once the one before it is ready, and takes away the last one first."""

    kind = STATEFUL_SET

    def reconcile(self, key: Key) -> float | None:
        """Create or delete one pod, then write the status."""
        owner = self._api.find(STATEFUL_SET, *key)
        if owner is None or is_terminating(owner):
            return None
        pods = {name_of(pod): pod for pod in self._pods(owner)}
        wanted = [f"{name_of(owner)}-{n}" for n in range(get(owner, "spec", "replicas", default=1))]
        for name in wanted:
            if name not in pods:
                self._create(owner, {"name": name}, {"hostname": name})
            if name not in pods or not is_pod_ready(pods[name]):
                break
        beyond = sorted(pods.keys() - set(wanted))
        if beyond:
            delete(self._api, POD, namespace_of(owner), beyond[-1])
        ready = sum(map(is_pod_ready, pods.values()))
        counts = {"currentReplicas": len(pods), "updatedReplicas": len(pods)}
        self._write(
            owner,
            {"replicas": len(pods), "readyReplicas": ready, "availableReplicas": ready, **counts},
        )
        return None


class DaemonSetController(_Owning):
    """Keeps one pod on each node."""

    kind = DAEMON_SET

    def keys(self, change: Change) -> Iterable[Key]:
        """All of them where a node came or went."""
        return self.all_keys() if change.storage == NODE.storage else super().keys(change)

    def reconcile(self, key: Key) -> float | None:
        """Create what is missing, then write the status."""
        owner = self._api.find(DAEMON_SET, *key)
        if owner is None or is_terminating(owner):
            return None
        pods = self._pods(owner)
        nodes = {name_of(node) for node in self._api.store.all(NODE, "")}
        placed = {_node_of(pod) for pod in pods}
        for node in sorted(nodes - placed):
            self._create(owner, {"generateName": f"{name_of(owner)}-"}, _bound_to(node))
        ready = sum(map(is_pod_ready, pods))
        self._write(
            owner,
            {
                "currentNumberScheduled": len(pods),
                "desiredNumberScheduled": len(nodes),
                "numberReady": ready,
                "numberAvailable": ready,
                "updatedNumberScheduled": len(pods),
                "numberMisscheduled": 0,
            },
        )
        return None


def _bound_to(node: str) -> Obj:
    """The affinity that the real controller gives a pod for one node."""
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    terms = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


def _node_of(pod: Obj) -> str:
    terms = get(
        pod,
        "spec",
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
        default=[],
    )
    fields = [field for term in terms for field in term.get("matchFields") or ()]
    return str(fields[0]["values"][0]) if fields else ""
