"""Service → Endpoints and EndpointSlices, from the pods that are ready."""

from collections.abc import Iterable
from typing import Any

from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.decoding import Options
from bot.sandbox.cluster.deletion import delete
from bot.sandbox.cluster.kinds import ENDPOINT_SLICE, ENDPOINTS, NODE, POD, SERVICE, Kind
from bot.sandbox.cluster.objects import (
    Obj,
    copy,
    get,
    is_pod_ready,
    is_terminating,
    labels_of,
    name_of,
    name_suffix,
    namespace_of,
    owner_reference,
    uid_of,
)
from bot.sandbox.cluster.store import Change, Key

_SERVICE_LABEL = "kubernetes.io/service-name"
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


class EndpointsController:
    """Keeps the addresses behind each Service."""

    name = "endpoints"

    def __init__(self, api: Api) -> None:
        self._api = api

    def keys(self, change: Change) -> Iterable[Key]:
        """The changed Service, or those that choose a changed pod."""
        obj = change.obj
        if change.storage == SERVICE.storage:
            return [(namespace_of(obj), name_of(obj))]
        if change.storage != POD.storage:
            return []
        return [
            (namespace_of(service), name_of(service))
            for service in self._api.store.all(SERVICE, namespace_of(obj))
            if _chooses(service, obj) or (change.old is not None and _chooses(service, change.old))
        ]

    def all_keys(self) -> Iterable[Key]:
        """Every Service."""
        return [(namespace_of(s), name_of(s)) for s in self._api.store.all(SERVICE)]

    def reconcile(self, key: Key) -> float | None:
        """Write both forms, or remove them with their Service."""
        service = self._api.find(SERVICE, *key)
        mine = [
            found
            for found in self._api.store.all(ENDPOINT_SLICE, key[0])
            if labels_of(found).get(_SERVICE_LABEL) == key[1]
            and labels_of(found).get(_MANAGED_BY) == "endpointslice-controller.k8s.io"
        ]
        if service is None:
            if self._api.find(ENDPOINTS, *key) is not None:
                delete(self._api, ENDPOINTS, *key)
            for found in mine:
                delete(self._api, ENDPOINT_SLICE, key[0], name_of(found))
            return None
        if is_terminating(service) or not get(service, "spec", "selector"):
            return None
        pods = [
            pod
            for pod in self._api.store.all(POD, key[0])
            if _chooses(service, pod)
            and get(pod, "status", "podIP")
            and get(pod, "status", "phase") not in ("Succeeded", "Failed")
        ]
        self._write_endpoints(service, pods)
        self._write_slice(service, pods, mine[0] if mine else None)
        return None

    def _write_endpoints(self, service: Obj, pods: list[Obj]) -> None:
        subsets: dict[str, Obj] = {}
        for pod in pods:
            if is_terminating(pod):
                continue
            ports = _ports(service, pod)
            subset = subsets.setdefault(str(ports), {"ports": ports})
            group = "addresses" if _counts_ready(service, pod) else "notReadyAddresses"
            subset.setdefault(group, []).append(
                {
                    "ip": pod["status"]["podIP"],
                    "nodeName": pod["spec"]["nodeName"],
                    "targetRef": _reference(pod),
                }
            )
        wanted: Obj = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": name_of(service), "labels": labels_of(service)},
        }
        if subsets:
            wanted["subsets"] = list(subsets.values())
        self._write(ENDPOINTS, service, wanted, ("subsets",))

    def _write_slice(self, service: Obj, pods: list[Obj], live: Obj | None) -> None:
        first = pods[0] if pods else None
        ports = _ports(service, first) if first is not None else []
        wanted: Obj = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": name_of(live) if live else f"{name_of(service)}-{name_suffix()}",
                "labels": {
                    **labels_of(service),
                    _MANAGED_BY: "endpointslice-controller.k8s.io",
                    _SERVICE_LABEL: name_of(service),
                },
                "ownerReferences": [owner_reference(service)],
            },
            "addressType": "IPv4",
            "endpoints": [self._endpoint(service, pod) for pod in pods],
            "ports": ports,
        }
        self._write(ENDPOINT_SLICE, service, wanted, ("endpoints", "ports"))

    def _endpoint(self, service: Obj, pod: Obj) -> Obj:
        ready = is_pod_ready(pod)
        ending = is_terminating(pod)
        endpoint: Obj = {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {
                "ready": _counts_ready(service, pod) and not ending,
                "serving": ready,
                "terminating": ending,
            },
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": _reference(pod),
        }
        node = self._api.find(NODE, "", pod["spec"]["nodeName"])
        zone = labels_of(node).get("topology.kubernetes.io/zone") if node else None
        return {**endpoint, "zone": zone} if zone else endpoint

    def _write(self, kind: Kind, service: Obj, wanted: Obj, parts: tuple[str, ...]) -> None:
        options = Options(manager="kube-controller-manager")
        namespace, name = namespace_of(service), name_of(wanted)
        live = self._api.find(kind, namespace, name)
        if live is None:
            self._api.create(kind, namespace, wanted, options)
            return
        same = all((live.get(p) or []) == (wanted.get(p) or []) for p in parts)
        if same and labels_of(live) == labels_of(wanted):
            return
        changed = copy(live)
        changed["metadata"]["labels"] = labels_of(wanted)
        for part in parts:
            changed[part] = wanted.get(part)
        self._api.update(kind, namespace, name, changed, options)


def _chooses(service: Obj, pod: Obj) -> bool:
    selector: dict[str, str] = get(service, "spec", "selector", default={})
    return bool(selector) and selector.items() <= labels_of(pod).items()


def _counts_ready(service: Obj, pod: Obj) -> bool:
    return is_pod_ready(pod) or bool(get(service, "spec", "publishNotReadyAddresses"))


def _reference(pod: Obj) -> Obj:
    return {
        "kind": "Pod",
        "namespace": namespace_of(pod),
        "name": name_of(pod),
        "uid": uid_of(pod),
    }


def _ports(service: Obj, pod: Obj) -> list[Obj]:
    found = []
    for port in get(service, "spec", "ports", default=[]):
        number = _target(port, pod)
        if number is not None:
            entry: Obj = {
                "name": port.get("name", ""),
                "port": number,
                "protocol": port["protocol"],
            }
            found.append({k: v for k, v in entry.items() if v != ""})
    return found


def _target(port: Obj, pod: Obj) -> Any:
    target = port.get("targetPort")
    if isinstance(target, int):
        return target
    for container in get(pod, "spec", "containers", default=[]):
        for declared in container.get("ports") or []:
            same_protocol = declared.get("protocol") == port.get("protocol")
            if declared.get("name") == target and same_protocol:
                return declared["containerPort"]
    return None
