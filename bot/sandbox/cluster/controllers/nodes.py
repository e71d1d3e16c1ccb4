"""Node lifecycle: a node that falls silent is unknown, its pods are not ready and in time
evicted."""

from collections.abc import Iterable

from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.controllers.events import Recorder
from bot.sandbox.cluster.controllers.scheduler import toleration_seconds
from bot.sandbox.cluster.deletion import delete
from bot.sandbox.cluster.kinds import LEASE, NODE, POD
from bot.sandbox.cluster.objects import (
    Obj,
    condition_of,
    copy,
    get,
    is_terminating,
    name_of,
    namespace_of,
    seconds_since,
    timestamp,
)
from bot.sandbox.cluster.store import Change, Key

_LEASES = "kube-node-lease"
_KEYS = {"Unknown": "node.kubernetes.io/unreachable", "False": "node.kubernetes.io/not-ready"}
_CHECK_SECONDS = 5.0


class NodeLifecycleController:
    """Judges nodes by their Lease and their status heartbeat, whichever is newer."""

    name = "node-lifecycle"

    def __init__(self, api: Api, grace_seconds: float) -> None:
        self._api = api
        self._grace = grace_seconds
        self._events = Recorder(api, "node-controller")

    def keys(self, change: Change) -> Iterable[Key]:
        """The changed node, or the one whose Lease or pod changed."""
        obj = change.obj
        if change.storage == NODE.storage:
            return [("", name_of(obj))]
        if change.storage == LEASE.storage and namespace_of(obj) == _LEASES:
            return [("", name_of(obj))]
        if change.storage == POD.storage and get(obj, "spec", "nodeName"):
            return [("", obj["spec"]["nodeName"])]
        return []

    def all_keys(self) -> Iterable[Key]:
        """Every node."""
        return [("", name_of(n)) for n in self._api.store.all(NODE)]

    def reconcile(self, key: Key) -> float | None:
        """Judge one node and act on it."""
        node = self._api.find(NODE, *key)
        if node is None:
            for pod in self._pods(key[1]):
                # The kubelet that should confirm is gone with its node.
                self._api.store.remove(POD, namespace_of(pod), name_of(pod))
            return None
        lease = self._api.find(LEASE, _LEASES, key[1])
        ready = condition_of(node, "Ready") or {}
        silence = min(
            seconds_since(get(lease, "spec", "renewTime")) if lease else float("inf"),
            seconds_since(ready.get("lastHeartbeatTime")),
            seconds_since(node["metadata"]["creationTimestamp"]),
        )
        if silence > self._grace and ready.get("status") != "Unknown":
            node = self._lose(node)
        if (condition_of(node, "Ready") or {}).get("status") == "Unknown":
            # Also pods that report late: a kubelet that was cut off may still write once.
            for pod in self._pods(key[1]):
                self._mark_not_ready(pod)
        node = self._taint(node)
        soonest = self._evict(node)
        check = min(_CHECK_SECONDS, max(self._grace - silence, 0.0) + 0.05)
        if silence > self._grace:
            check = _CHECK_SECONDS
        return min(check, soonest)

    def _pods(self, node: str) -> list[Obj]:
        return [p for p in self._api.store.all(POD) if get(p, "spec", "nodeName") == node]

    def _lose(self, node: Obj) -> Obj:
        changed = copy(node)
        now = timestamp()
        conditions = get(changed, "status", "conditions", default=[])
        if not any(c["type"] == "Ready" for c in conditions):
            conditions.append({"type": "Ready"})
        for condition in conditions:
            condition |= {
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": now,
            }
        changed["status"]["conditions"] = conditions
        written = self._api.update_status(NODE, changed, "kube-controller-manager")
        self._events.normal(
            node, "NodeNotReady", f"Node {name_of(node)} status is now: NodeNotReady"
        )
        return written

    def _mark_not_ready(self, pod: Obj) -> None:
        changed = copy(pod)
        for condition in get(changed, "status", "conditions", default=[]):
            if condition["type"] == "Ready" and condition["status"] == "True":
                condition |= {"status": "False", "lastTransitionTime": timestamp()}
                self._api.update_status(POD, changed, "kube-controller-manager")
                self._events.warning(pod, "NodeNotReady", "Node is not ready")
                return

    def _taint(self, node: Obj) -> Obj:
        status = (condition_of(node, "Ready") or {}).get("status", "Unknown")
        key = _KEYS.get(status)
        before = get(node, "spec", "taints", default=[])
        kept = [t for t in before if t["key"] not in _KEYS.values()]
        if key is not None:
            for effect in ("NoSchedule", "NoExecute"):
                known = next((t for t in before if (t["key"], t["effect"]) == (key, effect)), None)
                taint: Obj = {"key": key, "effect": effect}
                if effect == "NoExecute":
                    taint["timeAdded"] = timestamp()
                kept.append(known or taint)
        if kept == before:
            return node
        changed = copy(node)
        if kept:
            changed["spec"]["taints"] = kept
        else:
            changed["spec"].pop("taints", None)
        return self._api.store.put(NODE, changed)

    def _evict(self, node: Obj) -> float:
        """Delete pods that have outstayed a NoExecute taint; seconds until the next one has."""
        soonest = float("inf")
        for taint in get(node, "spec", "taints", default=[]):
            if taint["effect"] != "NoExecute":
                continue
            for pod in self._pods(name_of(node)):
                if is_terminating(pod):
                    continue
                limit = toleration_seconds(pod, taint)
                left = (limit or 0.0) - seconds_since(taint.get("timeAdded") or timestamp())
                if left > 0:
                    soonest = min(soonest, left + 0.05)
                    continue
                self._events.normal(
                    pod,
                    "TaintManagerEviction",
                    f"Marking for deletion Pod {namespace_of(pod)}/{name_of(pod)}",
                )
                delete(self._api, POD, namespace_of(pod), name_of(pod))
        return soonest
