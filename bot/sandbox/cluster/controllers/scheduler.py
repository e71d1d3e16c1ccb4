"""The scheduler: gives waiting pods a node that fits, the least loaded one."""

from collections.abc import Iterable
from decimal import Decimal

from bot.sandbox.cluster import quantity
from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.controllers.events import Recorder
from bot.sandbox.cluster.kinds import CLAIM, NODE, POD
from bot.sandbox.cluster.objects import (
    Obj,
    condition_of,
    copy,
    get,
    is_pod_active,
    is_terminating,
    labels_of,
    name_of,
    namespace_of,
    timestamp,
)
from bot.sandbox.cluster.selectors import Requirement, selects
from bot.sandbox.cluster.store import Change, Key
from bot.sandbox.cluster.subresources import bind

_OPERATORS = {
    "In": "in",
    "NotIn": "notin",
    "Exists": "exists",
    "DoesNotExist": "!",
    "Gt": ">",
    "Lt": "<",
}


class Scheduler:
    """Looks at each unbound pod, and at all of them whenever room may have come up."""

    name = "scheduler"

    def __init__(self, api: Api) -> None:
        self._api = api
        self._events = Recorder(api, "default-scheduler", "kube-scheduler")

    def keys(self, change: Change) -> Iterable[Key]:
        """A pod without a node; all of them after a change of nodes or claims, or the end of a pod."""
        if change.storage == POD.storage:
            if change.type != "DELETED" and _is_waiting(change.obj):
                return [(namespace_of(change.obj), name_of(change.obj))]
            if change.type == "DELETED" or not is_pod_active(change.obj):
                return self.all_keys()
        if change.storage == NODE.storage and not _only_heartbeat(change):
            return self.all_keys()
        if change.storage == CLAIM.storage:
            return self.all_keys()
        return []

    def all_keys(self) -> Iterable[Key]:
        """Every pod without a node."""
        return [
            (namespace_of(pod), name_of(pod))
            for pod in self._api.store.all(POD)
            if _is_waiting(pod)
        ]

    def reconcile(self, key: Key) -> float | None:
        """Bind one pod, or say why it cannot be."""
        pod = self._api.find(POD, *key)
        if pod is None or not _is_waiting(pod):
            return None
        nodes = self._api.store.all(NODE)
        claim = self._unbound_claim(pod)
        if claim and nodes:
            self._say(pod, f"0/{len(nodes)} nodes are available: {claim}. not found")
            return None
        refusals: dict[str, int] = {}
        fitting: list[tuple[Decimal, str]] = []
        pods = [p for p in self._api.store.all(POD) if is_pod_active(p)]
        for node in nodes:
            why = self._refusal(pod, node, nodes, pods)
            if why is None:
                fitting.append((_load(node, pods), name_of(node)))
            else:
                refusals[why] = refusals.get(why, 0) + 1
        if fitting:
            chosen = min(fitting)[1]
            bind(self._api, key[0], key[1], chosen)
            self._events.normal(
                pod, "Scheduled", f"Successfully assigned {key[0]}/{key[1]} to {chosen}"
            )
            return None
        self._unschedulable(pod, len(nodes), refusals)
        return None

    def _unschedulable(self, pod: Obj, nodes: int, refusals: dict[str, int]) -> None:
        if nodes == 0:
            message = "no nodes available to schedule pods"
        else:
            reasons = sorted(f"{count} {why}" for why, count in refusals.items())
            message = (
                f"0/{nodes} nodes are available: {', '.join(reasons)}. preemption: 0/{nodes} "
                f"nodes are available: {nodes} Preemption is not helpful for scheduling."
            )
        self._say(pod, message)

    def _unbound_claim(self, pod: Obj) -> str:
        for volume in get(pod, "spec", "volumes", default=[]):
            name = get(volume, "persistentVolumeClaim", "claimName")
            if not name:
                continue
            claim = self._api.find(CLAIM, namespace_of(pod), name)
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if get(claim, "status", "phase") != "Bound":
                return "pod has unbound immediate PersistentVolumeClaims"
        return ""

    def _say(self, pod: Obj, message: str) -> None:
        before = condition_of(pod, "PodScheduled")
        if before is not None and before.get("message") == message:
            return
        changed = copy(pod)
        others = [
            c
            for c in get(changed, "status", "conditions", default=[])
            if c["type"] != "PodScheduled"
        ]
        others.append(
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
                "lastProbeTime": None,
                "lastTransitionTime": timestamp(),
            }
        )
        changed["status"]["conditions"] = others
        self._api.update_status(POD, changed, "kube-scheduler")
        self._events.warning(pod, "FailedScheduling", message)

    def _refusal(self, pod: Obj, node: Obj, nodes: list[Obj], pods: list[Obj]) -> str | None:
        """Why the node cannot take the pod; None when it can."""
        if get(node, "spec", "unschedulable"):
            return "node(s) were unschedulable"
        ready = condition_of(node, "Ready")
        if ready is None or ready["status"] != "True":
            return "node(s) were not ready"
        for taint in get(node, "spec", "taints", default=[]):
            if taint["effect"] in ("NoSchedule", "NoExecute") and not tolerates(pod, taint):
                return "node(s) had untolerated taint(s)"
        if not _matches_placement(pod, node):
            return "node(s) didn't match Pod's node affinity/selector"
        if not _spreads(pod, node, nodes, pods):
            return "node(s) didn't match pod topology spread constraints"
        return _lacking(pod, node, pods)


def _is_waiting(pod: Obj) -> bool:
    return (
        not get(pod, "spec", "nodeName")
        and not is_terminating(pod)
        and get(pod, "spec", "schedulerName") == "default-scheduler"
        and not get(pod, "spec", "schedulingGates")
    )


def _only_heartbeat(change: Change) -> bool:
    if change.old is None:
        return False

    def shape(node: Obj) -> tuple[object, ...]:
        ready = condition_of(node, "Ready") or {}
        return (
            node.get("spec"),
            labels_of(node),
            get(node, "status", "allocatable"),
            ready.get("status"),
        )

    return shape(change.old) == shape(change.obj)


def tolerates(pod: Obj, taint: Obj) -> bool:
    """Whether one of the pod's tolerations covers the taint."""
    return any(_covers(t, taint) for t in get(pod, "spec", "tolerations", default=[]))


def _covers(toleration: Obj, taint: Obj) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return (toleration.get("key"), toleration.get("value", "")) == (
        taint["key"],
        taint.get("value", ""),
    )


def toleration_seconds(pod: Obj, taint: Obj) -> float | None:
    """Seconds the pod may stay under a NoExecute taint: infinite without a limit, None when not
    at all."""
    limits = [
        t.get("tolerationSeconds")
        for t in get(pod, "spec", "tolerations", default=[])
        if _covers(t, taint)
    ]
    if not limits:
        return None
    return min(float("inf") if limit is None else float(limit) for limit in limits)


def _matches_placement(pod: Obj, node: Obj) -> bool:
    chosen = get(pod, "spec", "nodeSelector", default={})
    if not chosen.items() <= labels_of(node).items():
        return False
    required = get(
        pod,
        "spec",
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
    )
    return required is None or any(_matches_term(term, node) for term in required)


def _matches_term(term: Obj, node: Obj) -> bool:
    found = {"metadata.name": name_of(node)}
    pairs = [(e, labels_of(node)) for e in term.get("matchExpressions") or []]
    pairs += [(e, found) for e in term.get("matchFields") or []]
    return bool(pairs) and all(
        Requirement(e["key"], _OPERATORS[e["operator"]], tuple(e.get("values") or ())).matches(
            labels
        )
        for e, labels in pairs
    )


def _spreads(pod: Obj, node: Obj, nodes: list[Obj], pods: list[Obj]) -> bool:
    for constraint in get(pod, "spec", "topologySpreadConstraints", default=[]):
        if constraint.get("whenUnsatisfiable") != "DoNotSchedule":
            continue
        key = constraint["topologyKey"]
        if key not in labels_of(node):
            return False
        domain_of = {name_of(n): labels_of(n)[key] for n in nodes if key in labels_of(n)}
        counts = dict.fromkeys(domain_of.values(), 0)
        for other in pods:
            domain = domain_of.get(get(other, "spec", "nodeName", default=""))
            if (
                domain is not None
                and namespace_of(other) == namespace_of(pod)
                and selects(constraint.get("labelSelector"), other)
            ):
                counts[domain] += 1
        itself = int(selects(constraint.get("labelSelector"), pod))
        mine = counts[labels_of(node)[key]] + itself
        if mine - min(counts.values()) > constraint.get("maxSkew", 1):
            return False
    return True


def _requested(pod: Obj, resource: str) -> Decimal:
    return sum(
        (
            quantity.parse(get(c, "resources", "requests", resource, default="0"))
            for c in get(pod, "spec", "containers", default=[])
        ),
        start=Decimal(0),
    )


def _used(node: Obj, pods: list[Obj], resource: str) -> Decimal:
    return sum(
        (_requested(p, resource) for p in pods if get(p, "spec", "nodeName") == name_of(node)),
        start=Decimal(0),
    )


def _lacking(pod: Obj, node: Obj, pods: list[Obj]) -> str | None:
    allocatable = get(node, "status", "allocatable", default={})
    limit = allocatable.get("pods")
    here = sum(get(p, "spec", "nodeName") == name_of(node) for p in pods)
    if limit is not None and here + 1 > quantity.parse(limit):
        return "Too many pods"
    for resource in ("cpu", "memory"):
        if resource not in allocatable:
            continue
        free = quantity.parse(allocatable[resource]) - _used(node, pods, resource)
        if _requested(pod, resource) > free:
            return f"Insufficient {resource}"
    return None


def _load(node: Obj, pods: list[Obj]) -> Decimal:
    """How full the node is: the larger share of cpu and memory, then the number of pods."""
    allocatable = get(node, "status", "allocatable", default={})
    shares = [
        _used(node, pods, resource) / max(quantity.parse(allocatable[resource]), Decimal(1))
        for resource in ("cpu", "memory")
        if resource in allocatable
    ]
    here = sum(get(p, "spec", "nodeName") == name_of(node) for p in pods)
    return max(shares, default=Decimal(0)) + Decimal(here) / Decimal(10000)
