"""Gives Services of type LoadBalancer an address, as a cloud would after a moment."""

from collections.abc import Iterable

from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.controllers.events import Recorder
from bot.sandbox.cluster.kinds import SERVICE
from bot.sandbox.cluster.objects import (
    Obj,
    copy,
    get,
    is_terminating,
    name_of,
    namespace_of,
    seconds_since,
)
from bot.sandbox.cluster.store import Change, Key
from bot.sandbox.faults import FaultBoard

# A cloud takes longer; long enough here for `<pending>` to be seen.
_MOMENT_SECONDS = 1.0


class LoadBalancerController:
    """Writes status.loadBalancer; the fault no_load_balancer keeps it waiting."""

    name = "load-balancer"

    def __init__(self, api: Api, faults: FaultBoard) -> None:
        self._api = api
        self._faults = faults
        self._events = Recorder(api, "service-controller", "cloud-controller-manager")

    def keys(self, change: Change) -> Iterable[Key]:
        """The changed Service."""
        if change.storage == SERVICE.storage and change.type != "DELETED":
            return [(namespace_of(change.obj), name_of(change.obj))]
        return []

    def all_keys(self) -> Iterable[Key]:
        """Every Service."""
        return [(namespace_of(s), name_of(s)) for s in self._api.store.all(SERVICE)]

    def reconcile(self, key: Key) -> float | None:
        """Give or take the address."""
        service = self._api.find(SERVICE, *key)
        if service is None or is_terminating(service):
            return None
        has = bool(get(service, "status", "loadBalancer", "ingress"))
        if get(service, "spec", "type") != "LoadBalancer":
            if has:
                self._write(service, {})
            return None
        if has or self._faults.get("no_load_balancer"):
            return None
        if seconds_since(service["metadata"]["creationTimestamp"]) < _MOMENT_SECONDS:
            return _MOMENT_SECONDS
        self._events.normal(service, "EnsuringLoadBalancer", "Ensuring load balancer")
        self._write(service, {"ingress": [{"ip": self._free_ip(), "ipMode": "VIP"}]})
        self._events.normal(service, "EnsuredLoadBalancer", "Ensured load balancer")
        return None

    def _write(self, service: Obj, balancer: Obj) -> None:
        changed = copy(service)
        changed["status"] = {**changed.get("status", {}), "loadBalancer": balancer}
        self._api.update_status(SERVICE, changed, "cloud-controller-manager")

    def _free_ip(self) -> str:
        # 203.0.113.0/24 is reserved for documentation, so no real host is meant.
        used = {
            entry.get("ip")
            for service in self._api.store.all(SERVICE)
            for entry in get(service, "status", "loadBalancer", "ingress", default=[])
        }
        return next(ip for n in range(10, 255) if (ip := f"203.0.113.{n}") not in used)
