"""Server-side printing: the columns `kubectl get` shows, `-o wide` ones with priority 1."""

from collections.abc import Callable, Iterable
from typing import Any

from bot.sandbox.cluster.kinds import Kind
from bot.sandbox.cluster.objects import (
    Obj,
    annotations_of,
    get,
    labels_of,
    name_of,
    parse_time,
    utc_now,
)
from bot.sandbox.cluster.pod_table import pod_cells
from bot.sandbox.cluster.selectors import label_selector_text

Column = tuple[str, str, int]
Row = Callable[[Obj], list[Any]]


def age(moment: str | None) -> str:
    """How long ago, as kubectl writes durations."""
    if not moment:
        return "<unknown>"
    seconds = int((utc_now() - parse_time(moment)).total_seconds())
    if seconds < 0:
        return "0s" if seconds > -2 else "<invalid>"
    if seconds < 120:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d" if days < 730 else f"{days // 365}y"


def created(obj: Obj) -> str:
    """The age of an object."""
    return age(get(obj, "metadata", "creationTimestamp"))


def _containers(obj: Obj) -> list[str]:
    containers = get(obj, "spec", "template", "spec", "containers", default=[])
    return [
        ",".join(str(c.get("name", "")) for c in containers),
        ",".join(str(c.get("image", "")) for c in containers),
    ]


def _deployment(obj: Obj) -> list[Any]:
    status = get(obj, "status", default={})
    return [
        name_of(obj),
        f"{status.get('readyReplicas', 0)}/{get(obj, 'spec', 'replicas', default=0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        created(obj),
        *_containers(obj),
        label_selector_text(get(obj, "spec", "selector")),
    ]


def _replica_set(obj: Obj) -> list[Any]:
    status = get(obj, "status", default={})
    return [
        name_of(obj),
        get(obj, "spec", "replicas", default=0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        created(obj),
        *_containers(obj),
        label_selector_text(get(obj, "spec", "selector")),
    ]


def _service(obj: Obj) -> list[Any]:
    spec = obj["spec"]
    ports = ",".join(
        f"{p['port']}:{p['nodePort']}/{p['protocol']}"
        if p.get("nodePort")
        else f"{p['port']}/{p['protocol']}"
        for p in spec.get("ports") or []
    )
    ingress = get(obj, "status", "loadBalancer", "ingress", default=[])
    external = ",".join(spec.get("externalIPs") or []) or "<none>"
    if spec.get("type") == "LoadBalancer":
        external = ",".join(i.get("ip") or i.get("hostname", "") for i in ingress) or "<pending>"
    elif spec.get("type") == "ExternalName":
        external = spec.get("externalName", "")
    selector = ",".join(f"{k}={v}" for k, v in sorted((spec.get("selector") or {}).items()))
    return [
        name_of(obj),
        spec.get("type", ""),
        spec.get("clusterIP") or "<none>",
        external,
        ports or "<none>",
        created(obj),
        selector or "<none>",
    ]


def _budget(obj: Obj) -> list[Any]:
    spec = obj["spec"]
    return [
        name_of(obj),
        str(spec.get("minAvailable", "N/A")),
        str(spec.get("maxUnavailable", "N/A")),
        get(obj, "status", "disruptionsAllowed", default=0),
        created(obj),
    ]


def _autoscaler(obj: Obj) -> list[Any]:
    spec = obj["spec"]
    targets = []
    current = get(obj, "status", "currentMetrics", default=[])
    for index, metric in enumerate(spec.get("metrics") or []):
        name = get(metric, "resource", "name", default=metric.get("type", "").lower())
        found = current[index] if index < len(current) else {}
        have = get(found, "resource", "current", "averageUtilization")
        want = get(metric, "resource", "target", "averageUtilization", default="?")
        shown = "<unknown>" if have is None else f"{have}%"
        targets.append(f"{name}: {shown}/{want}%")
    return [
        name_of(obj),
        f"{spec['scaleTargetRef'].get('kind')}/{spec['scaleTargetRef'].get('name')}",
        ", ".join(targets) or "<none>",
        str(spec.get("minReplicas", "<unset>")),
        spec.get("maxReplicas", 0),
        get(obj, "status", "currentReplicas", default=0),
        created(obj),
    ]


def _event(obj: Obj) -> list[Any]:
    involved = obj.get("involvedObject") or obj.get("regarding") or {}
    source = obj.get("source") or {}
    last = obj.get("lastTimestamp") or obj.get("eventTime") or obj.get("firstTimestamp")
    return [
        age(last or get(obj, "metadata", "creationTimestamp")),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}",
        involved.get("fieldPath", ""),
        ", ".join(filter(None, (source.get("component"), source.get("host")))),
        str(obj.get("message") or obj.get("note") or "").strip(),
        age(obj.get("firstTimestamp") or get(obj, "metadata", "creationTimestamp")),
        obj.get("count", 1),
        name_of(obj),
    ]


def _node(obj: Obj) -> list[Any]:
    status = get(obj, "status", default={})
    ready = next(
        (c["status"] for c in status.get("conditions") or [] if c["type"] == "Ready"), "Unknown"
    )
    text = {"True": "Ready", "False": "NotReady"}.get(ready, "NotReady")
    if get(obj, "spec", "unschedulable"):
        text += ",SchedulingDisabled"
    prefix = "node-role.kubernetes.io/"
    roles = [k.removeprefix(prefix) for k in labels_of(obj) if k.startswith(prefix)]
    addresses = {a["type"]: a["address"] for a in status.get("addresses") or []}
    info = status.get("nodeInfo") or {}
    return [
        name_of(obj),
        text,
        ",".join(sorted(roles)) or "<none>",
        created(obj),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", "<none>"),
        addresses.get("ExternalIP", "<none>"),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _claim(obj: Obj) -> list[Any]:
    spec = obj["spec"]
    modes = {
        "ReadWriteOnce": "RWO",
        "ReadOnlyMany": "ROX",
        "ReadWriteMany": "RWX",
        "ReadWriteOncePod": "RWOP",
    }
    bound = get(obj, "status", "accessModes", default=[])
    return [
        name_of(obj),
        get(obj, "status", "phase", default=""),
        spec.get("volumeName", ""),
        get(obj, "status", "capacity", "storage", default=""),
        ",".join(modes.get(mode, mode) for mode in bound),
        spec.get("storageClassName", ""),
        "<unset>",
        created(obj),
        spec.get("volumeMode", ""),
    ]


def _quota(obj: Obj) -> list[Any]:
    used = get(obj, "status", "used", default={})
    hard = get(obj, "status", "hard", default={})
    split: dict[bool, list[str]] = {True: [], False: []}
    for name in sorted(hard):
        split[name.startswith("limits.")].append(f"{name}: {used.get(name)}/{hard[name]}")
    return [name_of(obj), ", ".join(split[False]), ", ".join(split[True]), created(obj)]


def _binding(obj: Obj) -> list[Any]:
    by_kind: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or []:
        name = subject.get("name", "")
        if subject.get("kind") == "ServiceAccount":
            name = f"{subject.get('namespace', '')}/{name}"
        by_kind.setdefault(subject.get("kind", ""), []).append(name)
    return [
        name_of(obj),
        f"{obj['roleRef'].get('kind')}/{obj['roleRef'].get('name')}",
        created(obj),
        *(", ".join(by_kind[kind]) for kind in ("User", "Group", "ServiceAccount")),
    ]


def _storage_class(obj: Obj) -> list[Any]:
    default = annotations_of(obj).get("storageclass.kubernetes.io/is-default-class") == "true"
    return [
        name_of(obj) + (" (default)" if default else ""),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", ""),
        obj.get("volumeBindingMode", ""),
        bool(obj.get("allowVolumeExpansion")),
        created(obj),
    ]


def _endpoints(obj: Obj) -> list[Any]:
    found = [
        f"{address['ip']}:{port['port']}"
        for subset in obj.get("subsets") or []
        for address in subset.get("addresses") or []
        for port in subset.get("ports") or []
    ]
    shown = ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")
    return [name_of(obj), shown or "<none>", created(obj)]


def _slice(obj: Obj) -> list[Any]:
    ports = ",".join(str(p.get("port")) for p in obj.get("ports") or [])
    addresses = [a for e in obj.get("endpoints") or [] for a in e.get("addresses") or []]
    return [
        name_of(obj),
        obj.get("addressType", ""),
        ports or "<unset>",
        ",".join(addresses[:3]) or "<unset>",
        created(obj),
    ]


def _name_and_age(obj: Obj) -> list[Any]:
    return [name_of(obj), created(obj)]


def _count(obj: Obj, *fields: str) -> int:
    return sum(len(obj.get(field) or {}) for field in fields)


def _columns(text: str) -> list[Column]:
    """`Ready Up-to-date:integer Containers*`: name, type and, with a star, wide only."""
    found = []
    for part in text.split():
        name, _, kind = part.rstrip("*").partition(":")
        found.append((name.replace("_", " "), kind or "string", int(part.endswith("*"))))
    return found


_TABLES: dict[str, tuple[str, Row]] = {
    "Pod": (
        "Name Ready Status Restarts Age IP* Node* Nominated_Node* Readiness_Gates*",
        lambda obj: pod_cells(obj, age),
    ),
    "Deployment": (
        "Name Ready Up-to-date:integer Available:integer Age Containers* Images* Selector*",
        _deployment,
    ),
    "ReplicaSet": (
        "Name Desired:integer Current:integer Ready:integer Age Containers* Images* Selector*",
        _replica_set,
    ),
    "Service": ("Name Type Cluster-IP External-IP Port(s) Age Selector*", _service),
    "ConfigMap": (
        "Name Data:integer Age",
        lambda o: [name_of(o), _count(o, "data", "binaryData"), created(o)],
    ),
    "Secret": (
        "Name Type Data:integer Age",
        lambda o: [name_of(o), o.get("type", ""), _count(o, "data"), created(o)],
    ),
    "Namespace": (
        "Name Status Age",
        lambda o: [name_of(o), get(o, "status", "phase", default=""), created(o)],
    ),
    "PodDisruptionBudget": (
        "Name Min_Available Max_Unavailable Allowed_Disruptions:integer Age",
        _budget,
    ),
    "HorizontalPodAutoscaler": (
        "Name Reference Targets MinPods MaxPods:integer Replicas:integer Age",
        _autoscaler,
    ),
    "Event": (
        "Last_Seen Type Reason Object Subobject* Source* Message First_Seen* Count:integer* Name*",
        _event,
    ),
    "Node": (
        "Name Status Roles Age Version Internal-IP* External-IP* OS-Image* Kernel-Version* "
        "Container-Runtime*",
        _node,
    ),
    "PersistentVolumeClaim": (
        "Name Status Volume Capacity Access_Modes StorageClass VolumeAttributesClass Age "
        "VolumeMode*",
        _claim,
    ),
    "ResourceQuota": ("Name Request Limit Age", _quota),
    "Lease": (
        "Name Holder Age",
        lambda o: [name_of(o), get(o, "spec", "holderIdentity", default=""), created(o)],
    ),
    "Role": (
        "Name Created_At",
        lambda o: [name_of(o), get(o, "metadata", "creationTimestamp")],
    ),
    "ClusterRole": (
        "Name Created_At",
        lambda o: [name_of(o), get(o, "metadata", "creationTimestamp")],
    ),
    "RoleBinding": ("Name Role Age Users* Groups* ServiceAccounts*", _binding),
    "ClusterRoleBinding": ("Name Role Age Users* Groups* ServiceAccounts*", _binding),
    "StorageClass": (
        "Name Provisioner ReclaimPolicy VolumeBindingMode AllowVolumeExpansion:boolean Age",
        _storage_class,
    ),
    "Endpoints": ("Name Endpoints Age", _endpoints),
    "EndpointSlice": ("Name AddressType Ports Endpoints Age", _slice),
}


def table(kind: Kind, objects: Iterable[Obj], metadata: Obj, include: str = "Metadata") -> Obj:
    """The Table of some objects; `include` is the request's includeObject."""
    heads, row = _TABLES.get(kind.kind, ("Name Age", _name_and_age))
    columns = _columns(heads)
    rows = []
    for obj in objects:
        entry: Obj = {"cells": row(obj)}
        if include == "Object":
            entry["object"] = obj
        elif include != "None":
            entry["object"] = {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": obj["metadata"],
            }
        rows.append(entry)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [
            {
                "name": name,
                "type": kind_of,
                "format": "name" if name == "Name" else "",
                "description": "",
                "priority": priority,
            }
            for name, kind_of, priority in columns
        ],
        "rows": rows,
    }
