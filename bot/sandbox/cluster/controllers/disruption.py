"""PodDisruptionBudget status."""

import math
from collections.abc import Iterable

from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.controllers.events import Recorder
from bot.sandbox.cluster.kinds import DEPLOYMENT, PDB, POD, REPLICA_SET
from bot.sandbox.cluster.objects import (
    Obj,
    condition_of,
    controller_of,
    copy,
    get,
    is_pod_ready,
    is_terminating,
    name_of,
    namespace_of,
    timestamp,
)
from bot.sandbox.cluster.selectors import selects
from bot.sandbox.cluster.store import Change, Key


class DisruptionController:
    """Counts healthy pods and says how many may be evicted."""

    name = "disruption"

    def __init__(self, api: Api) -> None:
        self._api = api
        self._events = Recorder(api, "controllermanager")

    def keys(self, change: Change) -> Iterable[Key]:
        """The changed budget, or those that choose a changed pod."""
        if change.storage == PDB.storage:
            return [(namespace_of(change.obj), name_of(change.obj))]
        if change.storage != POD.storage:
            return []
        return [
            (namespace_of(budget), name_of(budget))
            for budget in self._api.store.all(PDB, namespace_of(change.obj))
            if selects(get(budget, "spec", "selector"), change.obj)
        ]

    def all_keys(self) -> Iterable[Key]:
        """Every budget."""
        return [(namespace_of(b), name_of(b)) for b in self._api.store.all(PDB)]

    def reconcile(self, key: Key) -> float | None:
        """Write the counts."""
        budget = self._api.find(PDB, *key)
        if budget is None:
            return None
        pods = [
            pod
            for pod in self._api.store.all(POD, key[0])
            if selects(get(budget, "spec", "selector"), pod)
            and get(pod, "status", "phase") not in ("Succeeded", "Failed")
        ]
        seen = get(budget, "status", "conditions")
        if not pods and (not seen or get(budget, "status", "expectedPods")):
            self._events.normal(budget, "NoPods", "No matching pods found")
        healthy = sum(is_pod_ready(pod) and not is_terminating(pod) for pod in pods)
        expected, desired = self._expected(budget, pods)
        allowed = max(healthy - desired, 0) if expected else 0
        status: Obj = {
            "observedGeneration": budget["metadata"].get("generation", 1),
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
        }
        state = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
        before = condition_of(budget, "DisruptionAllowed")
        since = (
            before["lastTransitionTime"] if before and before["status"] == state[0] else timestamp()
        )
        status["conditions"] = [
            {
                "type": "DisruptionAllowed",
                "status": state[0],
                "observedGeneration": status["observedGeneration"],
                "lastTransitionTime": since,
                "reason": state[1],
                "message": "",
            }
        ]
        if status != budget.get("status"):
            changed = copy(budget)
            changed["status"] = status
            self._api.update_status(PDB, changed, "kube-controller-manager")
        return None

    def _expected(self, budget: Obj, pods: list[Obj]) -> tuple[int, int]:
        """How many pods there should be, and how many of them healthy."""
        least, most = (get(budget, "spec", n) for n in ("minAvailable", "maxUnavailable"))
        if isinstance(least, int):
            return len(pods), least
        expected = self._scale(pods)
        if isinstance(least, str):
            return expected, math.ceil(int(least.rstrip("%")) * expected / 100)
        if most is None:
            return expected, expected
        if isinstance(most, str):
            most = math.ceil(int(most.rstrip("%")) * expected / 100)
        return expected, max(expected - most, 0)

    def _scale(self, pods: list[Obj]) -> int:
        """The sum of what the pods' controllers want; a pod without one counts for itself."""
        wanted: dict[str, int] = {}
        alone = 0
        for pod in pods:
            owner = controller_of(pod)
            parent = (
                self._api.find(REPLICA_SET, namespace_of(pod), owner["name"]) if owner else None
            )
            if parent is None:
                alone += 1
                continue
            above = controller_of(parent)
            top = self._api.find(DEPLOYMENT, namespace_of(pod), above["name"]) if above else None
            scaled = top or parent
            wanted[scaled["metadata"]["uid"]] = get(scaled, "spec", "replicas", default=0)
        return sum(wanted.values()) + alone
