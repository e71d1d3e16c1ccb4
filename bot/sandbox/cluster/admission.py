"""What is filled in or refused between decoding a new object and storing it: service accounts,
limits, cluster IPs, node ports and namespaces that end."""

import ipaddress
import random
from collections.abc import Callable

from bot.sandbox.cluster import quantity
from bot.sandbox.cluster.errors import (
    Cause,
    forbidden,
    invalid,
    invalid_value,
    not_found,
)
from bot.sandbox.cluster.kinds import (
    CLAIM,
    DEPLOYMENT,
    NAMESPACE,
    POD,
    PRIORITY_CLASS,
    RUNTIME_CLASS,
    SERVICE,
    SERVICE_ACCOUNT,
    STORAGE_CLASS,
    Kind,
)
from bot.sandbox.cluster.limit_ranges import limit_pod
from bot.sandbox.cluster.objects import (
    Obj,
    annotations_of,
    get,
    is_terminating,
    name_of,
    name_suffix,
    namespace_of,
)
from bot.sandbox.cluster.service_validation import address_causes, needs_health_check
from bot.sandbox.cluster.store import Store

MIRROR = "mirror.example"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"

CLAIM_PROTECTION = "kubernetes.io/pvc-protection"
"""Keeps a claim that is deleted until no pod uses it."""


class Admission:
    """The admission steps; `store` is what they look things up in, and `mirrored` says whether a
    webhook sends the images of Deployments to a mirror."""

    def __init__(self, store: Store, mirrored: Callable[[], bool] = lambda: False) -> None:
        self._store = store
        self._mirrored = mirrored

    def check_namespace(self, kind: Kind, namespace: str, name: str) -> None:
        """Refuse a create in a namespace that is missing (404) or ends (403)."""
        if not kind.namespaced:
            return
        found = self._store.get(NAMESPACE, "", namespace)
        if found is None:
            raise not_found(NAMESPACE, namespace)
        if is_terminating(found):
            error = forbidden(
                kind,
                name,
                f"unable to create new content in namespace {namespace} because it is being "
                "terminated",
            )
            error.status["details"]["causes"] = [
                {
                    "reason": "NamespaceTerminating",
                    "message": f"namespace {namespace} is being terminated",
                    "field": "metadata.namespace",
                }
            ]
            raise error

    def admit(self, kind: Kind, obj: Obj, old: Obj | None, *, dry_run: bool = False) -> None:
        """Fill in what depends on other objects; ApiError 403 or 422 for what they forbid. A dry
        run takes no port of the nodes, so that none is refused."""
        if kind is POD and old is None:
            self._service_account(obj)
            limit_pod(self._store, obj)
        elif kind is DEPLOYMENT and self._mirrored():
            _mirror(obj)
        elif kind is SERVICE:
            self._service(obj, old, dry_run=dry_run)
        elif kind is CLAIM:
            self._claim(obj, old)

    def _service_account(self, pod: Obj) -> None:
        spec = pod["spec"]
        account = spec.setdefault("serviceAccountName", "default")
        spec["serviceAccount"] = account
        if self._store.get(SERVICE_ACCOUNT, namespace_of(pod), account) is None:
            raise forbidden(
                POD,
                name_of(pod),
                f"error looking up service account {namespace_of(pod)}/{account}: "
                f'serviceaccount "{account}" not found',
            )
        self._priority(pod)
        self._runtime(pod)
        tolerations = spec.setdefault("tolerations", [])
        for condition in ("not-ready", "unreachable"):
            key = f"node.kubernetes.io/{condition}"
            if not any(
                t.get("key") in (key, None, "") and t.get("effect") in ("NoExecute", None, "")
                for t in tolerations
            ):
                tolerations.append(
                    {
                        "key": key,
                        "operator": "Exists",
                        "effect": "NoExecute",
                        "tolerationSeconds": 300,
                    }
                )
        if spec.get("automountServiceAccountToken") is not False:
            _mount_token(spec)

    def _priority(self, pod: Obj) -> None:
        spec = pod["spec"]
        classes = self._store.all(PRIORITY_CLASS)
        if not spec.get("priorityClassName"):
            # Of several defaults the one with the lowest value is taken.
            defaults = [each for each in classes if each.get("globalDefault")]
            if defaults:
                lowest = min(defaults, key=lambda each: int(each["value"]))
                spec["priorityClassName"] = name_of(lowest)
        chosen = spec.get("priorityClassName")
        found = next((each for each in classes if name_of(each) == chosen), None)
        if chosen and found is None:
            words = f"no PriorityClass with name {chosen} was found"
            raise forbidden(POD, name_of(pod), words)
        spec["priority"] = (found or {}).get("value", 0)
        preempts = (found or {}).get("preemptionPolicy", "PreemptLowerPriority")
        spec.setdefault("preemptionPolicy", preempts)

    def _runtime(self, pod: Obj) -> None:
        spec = pod["spec"]
        if not (name := spec.get("runtimeClassName")):
            return
        found = self._store.get(RUNTIME_CLASS, "", name)
        if found is None:
            words = f'pod rejected: RuntimeClass "{name}" not found'
            raise forbidden(POD, name_of(pod), words)
        if overhead := get(found, "overhead", "podFixed"):
            spec["overhead"] = dict(overhead)
        chosen = get(found, "scheduling", "nodeSelector", default={})
        if chosen:
            spec["nodeSelector"] = {**(spec.get("nodeSelector") or {}), **chosen}
        for toleration in get(found, "scheduling", "tolerations", default=[]):
            spec.setdefault("tolerations", []).append(dict(toleration))

    def _service(self, service: Obj, old: Obj | None, *, dry_run: bool) -> None:
        spec = service["spec"]
        before = get(old, "spec", default={}) if old else {}
        _forget_other_type(spec, before)
        if spec.get("type") == "ExternalName":
            return
        _align_addresses(spec, before)
        causes = address_causes(spec)
        address = spec.get("clusterIP")
        if not causes and address not in (None, "", "None") and not before.get("clusterIP"):
            causes = _outside_range(address)
        if causes:
            raise invalid("Service", "", name_of(service), causes)
        if not spec.get("clusterIP"):
            spec["clusterIP"] = self._free_ip()
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        if spec.get("type") not in ("NodePort", "LoadBalancer"):
            return
        had = {
            (p.get("port"), p.get("protocol")): p.get("nodePort") for p in before.get("ports") or []
        }
        taken = self._node_ports(service)
        own: set[tuple[int, str]] = set()
        for index, port in enumerate(spec.get("ports") or []):
            asked, key = port.get("nodePort"), (port.get("nodePort"), port.get("protocol"))
            problem = "" if dry_run else _node_port_problem(asked, taken)
            if asked and key in own:
                problem = _ALLOCATED
            own.add(key)
            if problem:
                at = f"spec.ports[{index}].nodePort"
                raise invalid("Service", "", name_of(service), [invalid_value(at, asked, problem)])
            if not asked:
                kept = had.get((port.get("port"), port.get("protocol")))
                port["nodePort"] = kept or _free_port(taken)
            taken.add(port["nodePort"])
        if needs_health_check(spec) and not spec.get("healthCheckNodePort"):
            kept = before.get("healthCheckNodePort")
            spec["healthCheckNodePort"] = kept or _free_port(taken)

    def _free_ip(self) -> str:
        used = {get(s, "spec", "clusterIP") for s in self._store.all(SERVICE)}
        while True:
            address = f"10.96.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
            if address not in used:
                return address

    def _node_ports(self, but: Obj) -> set[int]:
        return {
            port["nodePort"]
            for service in self._store.all(SERVICE)
            if (namespace_of(service), name_of(service)) != (namespace_of(but), name_of(but))
            for port in get(service, "spec", "ports", default=[])
            if port.get("nodePort")
        }

    def _claim(self, claim: Obj, old: Obj | None) -> None:
        spec = claim["spec"]
        if spec.get("storageClassName") is None:
            for storage_class in self._store.all(STORAGE_CLASS):
                if annotations_of(storage_class).get(DEFAULT_CLASS) == "true":
                    spec["storageClassName"] = name_of(storage_class)
        if old is None:
            finalizers = claim["metadata"].setdefault("finalizers", [])
            if CLAIM_PROTECTION not in finalizers:
                finalizers.append(CLAIM_PROTECTION)
            return
        before = get(old, "spec", "resources", "requests", "storage", default="0")
        after = get(spec, "resources", "requests", "storage", default="0")
        # One that is not bound yet may not ask for more: that is refused as any other change.
        bound = get(old, "status", "phase") == "Bound"
        if bound and quantity.parse(after) > quantity.parse(before):
            chosen = self._store.get(STORAGE_CLASS, "", spec.get("storageClassName") or "")
            if chosen is None or not chosen.get("allowVolumeExpansion"):
                raise forbidden(
                    CLAIM,
                    name_of(claim),
                    "only dynamically provisioned pvc can be resized and the storageclass that "
                    "provisions the pvc must support resize",
                )


def _mirror(deployment: Obj) -> None:
    for container in get(deployment, "spec", "template", "spec", "containers", default=[]):
        _, slash, rest = container["image"].partition("/")
        if slash:
            container["image"] = f"{MIRROR}/{rest}"


def _mount_token(spec: Obj) -> None:
    path = "/var/run/secrets/kubernetes.io/serviceaccount"
    wanting = [
        container
        for group in ("initContainers", "containers")
        for container in spec.get(group) or []
        if all(m.get("mountPath") != path for m in container.get("volumeMounts") or [])
    ]
    if not wanting:
        return
    name = f"kube-api-access-{name_suffix()}"
    for container in wanting:
        container.setdefault("volumeMounts", []).append(
            {"name": name, "readOnly": True, "mountPath": path}
        )
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {
            "configMap": {
                "name": "kube-root-ca.crt",
                "items": [{"key": "ca.crt", "path": "ca.crt"}],
            }
        },
        {
            "downwardAPI": {
                "items": [
                    {
                        "path": "namespace",
                        "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                    }
                ]
            }
        },
    ]
    spec.setdefault("volumes", []).append(
        {"name": name, "projected": {"sources": sources, "defaultMode": 420}}
    )


_ALLOCATED = "provided port is already allocated"
_NODE_PORTS = (30000, 32767)
_ADDRESSES = ipaddress.ip_network("10.96.0.0/16")


def _forget_other_type(spec: Obj, before: Obj) -> None:
    """What only the type before could have goes with it; asked for anew, it is refused."""
    outside = ("NodePort", "LoadBalancer")
    if before.get("type") in outside and spec.get("type") not in outside:
        for port in spec.get("ports") or []:
            port.pop("nodePort", None)
        spec.pop("externalTrafficPolicy", None)
    if before.get("type") == "LoadBalancer" and spec.get("type") != "LoadBalancer":
        spec.pop("allocateLoadBalancerNodePorts", None)
        if spec.get("loadBalancerClass") == before.get("loadBalancerClass"):
            spec.pop("loadBalancerClass", None)
    if spec.get("type") == "ExternalName" and before.get("type") not in (None, "ExternalName"):
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if spec.get(name) == before.get(name):
                spec.pop(name, None)
    kept = spec.get("healthCheckNodePort") == before.get("healthCheckNodePort")
    if kept and needs_health_check(before) and not needs_health_check(spec):
        spec.pop("healthCheckNodePort", None)


def _align_addresses(spec: Obj, before: Obj) -> None:
    """`clusterIP` and `clusterIPs` say the same: who writes one need not write the other."""
    kept = before.get("clusterIP")
    if kept and not spec.get("clusterIP"):
        spec["clusterIP"] = kept
        if not spec.get("clusterIPs"):
            spec["clusterIPs"] = list(before.get("clusterIPs") or [kept])
    elif spec.get("clusterIP") and (
        not spec.get("clusterIPs")
        or (spec["clusterIP"] != kept and spec["clusterIPs"] == before.get("clusterIPs"))
    ):
        spec["clusterIPs"] = [spec["clusterIP"]]


def _outside_range(address: str) -> list[Cause]:
    if ipaddress.ip_address(address) in _ADDRESSES:
        return []
    words = (
        f"failed to allocate IP {address}: the provided IP ({address}) is not in the valid range. "
        f"The range of valid IPs is {_ADDRESSES}"
    )
    return [invalid_value("spec.clusterIPs", [address], words)]


def _node_port_problem(asked: int | None, taken: set[int]) -> str:
    if asked and not _NODE_PORTS[0] <= asked <= _NODE_PORTS[1]:
        return (
            "provided port is not in the valid range. The range of valid ports is "
            f"{_NODE_PORTS[0]}-{_NODE_PORTS[1]}"
        )
    return _ALLOCATED if asked in taken else ""


def _free_port(taken: set[int]) -> int:
    while True:
        port = random.randint(*_NODE_PORTS)
        if port not in taken:
            return port
