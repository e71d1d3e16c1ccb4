"""scale, binding and eviction: small objects that act on a bigger one."""

from collections.abc import Mapping
from typing import Any

from bot.sandbox.cluster import errors
from bot.sandbox.cluster.api import Api, patch_value
from bot.sandbox.cluster.decoding import Options, decode
from bot.sandbox.cluster.deletion import DeleteOptions, delete
from bot.sandbox.cluster.errors import ApiError
from bot.sandbox.cluster.kinds import PDB, POD, SCALE, Kind
from bot.sandbox.cluster.objects import (
    Obj,
    copy,
    get,
    is_pod_ready,
    name_of,
    namespace_of,
    timestamp,
)
from bot.sandbox.cluster.selectors import label_selector_text, selects


def scale_of(obj: Obj) -> Obj:
    """The Scale of a Deployment or ReplicaSet."""
    metadata = {
        name: obj["metadata"][name]
        for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    }
    spec: Obj = {"replicas": n} if (n := get(obj, "spec", "replicas", default=0)) else {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": spec,
        "status": {
            "replicas": get(obj, "status", "replicas", default=0),
            "selector": label_selector_text(get(obj, "spec", "selector")),
        },
    }


def update_scale(
    api: Api, kind: Kind, namespace: str, name: str, scale: Mapping[str, Any], options: Options
) -> Obj:
    """Write a Scale's replicas. ApiError 404, 409 or 422."""
    obj = copy(api.get(kind, namespace, name))
    wanted = decode(SCALE, scale, options)
    replicas = get(wanted, "spec", "replicas", default=0)
    if replicas < 0:
        cause = errors.invalid_value(
            "spec.replicas", replicas, "must be greater than or equal to 0"
        )
        raise errors.invalid("Scale", "autoscaling", name, [cause])
    version = get(wanted, "metadata", "resourceVersion")
    if version and version != obj["metadata"]["resourceVersion"]:
        raise errors.modified(kind, name)
    obj["spec"]["replicas"] = replicas
    return scale_of(api.update(kind, namespace, name, obj, options, "scale"))


def patch_scale(
    api: Api,
    kind: Kind,
    namespace: str,
    name: str,
    media_type: str,
    body: bytes,
    options: Options,
) -> Obj:
    """Patch a Scale."""
    scale = scale_of(api.get(kind, namespace, name))
    return update_scale(
        api, kind, namespace, name, patch_value(SCALE, scale, media_type, body), options
    )


def bind(api: Api, namespace: str, name: str, node: str, *, dry_run: bool = False) -> Obj:
    """Give a pod its node. ApiError 404 or 409."""
    pod = copy(api.get(POD, namespace, name))
    bound = get(pod, "spec", "nodeName")
    if bound:
        raise errors.conflict(
            POD, f"{name}/binding", f'pod {name} is already assigned to node "{bound}"'
        )
    pod["spec"]["nodeName"] = node
    conditions = [
        c for c in get(pod, "status", "conditions", default=[]) if c.get("type") != "PodScheduled"
    ]
    conditions.append(
        {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": timestamp(),
        }
    )
    pod["status"]["conditions"] = conditions
    if not dry_run:
        api.store.put(POD, pod)
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    }


def evict(api: Api, namespace: str, name: str, body: Any, *, dry_run: bool) -> Obj:
    """Delete a pod unless a disruption budget forbids it (429)."""
    pod = api.get(POD, namespace, name)
    options = DeleteOptions.read(get(body, "deleteOptions"), {"dryRun": "All"} if dry_run else {})
    for budget in api.store.all(PDB, namespace_of(pod)):
        if not selects(get(budget, "spec", "selector"), pod) or not is_pod_ready(pod):
            continue
        if get(budget, "status", "disruptionsAllowed", default=0) > 0:
            if not options.dry_run:
                changed = copy(budget)
                changed["status"]["disruptionsAllowed"] -= 1
                api.store.put(PDB, changed)
            continue
        healthy = get(budget, "status", "currentHealthy", default=0)
        desired = get(budget, "status", "desiredHealthy", default=0)
        raise ApiError(
            429,
            "TooManyRequests",
            "Cannot evict pod as it would violate the pod's disruption budget.",
            {
                "causes": [
                    {
                        "reason": "DisruptionBudget",
                        "message": f"The disruption budget {name_of(budget)} needs {desired} "
                        f"healthy pods and has {healthy} currently",
                    }
                ]
            },
        )
    delete(api, POD, namespace, name, options)
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    }
