"""What the cache keeps of Deployments and pods: only what a status is made of. Pure.

A cluster may run thousands of pods that are no gateways; of those nothing but the name is kept.
"""

from collections.abc import Mapping
from typing import Any

from deploy.health import inventory
from deploy.plans.plan import Manifest

_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "labels",
    "ownerReferences",
)
_ANNOTATIONS = ("gateway-bot.io/", "deployment.kubernetes.io/")
_VALUES = frozenset(
    {
        "gateway.name",
        "config.service.endpoint",
        "telemetry.logs.std",
        "telemetry.logs.std.level",
    }
)
"""The variables whose value is kept: a token may stand in another one as plain text."""


def trim_deployment(item: Manifest) -> Manifest:
    """A Deployment that is a gateway, or that its ConfigMap may show to be one; else its name."""
    if not (inventory.is_gateway(item) or inventory.settings_maps(item)):
        return _named(item)
    metadata = _picked(item["metadata"], _METADATA)
    annotations = item["metadata"].get("annotations") or {}
    metadata["annotations"] = {k: v for k, v in annotations.items() if k.startswith(_ANNOTATIONS)}
    spec = item["spec"]
    template = spec["template"]
    return {
        "apiVersion": item.get("apiVersion"),
        "kind": item.get("kind"),
        "metadata": metadata,
        "spec": {
            **_picked(spec, ("replicas", "selector", "strategy")),
            "template": {
                "metadata": _picked(template.get("metadata") or {}, ("labels",)),
                "spec": _pod_spec(template.get("spec") or {}),
            },
        },
        "status": item.get("status") or {},
    }


def trim_pod(item: Manifest) -> Manifest:
    """A pod that may be a gateway's, without what only a kubelet needs; else its name."""
    template = {"metadata": {}, "spec": {"template": {"spec": item.get("spec") or {}}}}
    if not (inventory.is_gateway(template) or inventory.settings_maps(template)):
        return _named(item)
    spec, status = item.get("spec") or {}, item.get("status") or {}
    return {
        "metadata": _picked(item["metadata"], _METADATA),
        "spec": {**_picked(spec, ("nodeName",)), **_pod_spec(spec)},
        "status": {
            **_picked(status, ("phase", "reason", "message", "conditions")),
            "containerStatuses": [
                _picked(s, ("name", "ready", "restartCount", "state", "lastState"))
                for s in status.get("containerStatuses") or ()
            ],
        },
    }


def is_trimmed_away(item: Manifest) -> bool:
    """Whether nothing but its name was kept."""
    return "spec" not in item


def owner_of(pod: Manifest) -> str:
    """The Deployment a pod belongs to, by the name of its ReplicaSet; empty where it has none."""
    suffix = "-" + str((pod["metadata"].get("labels") or {}).get("pod-template-hash", ""))
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("kind") == "ReplicaSet" and str(owner.get("name", "")).endswith(suffix):
            return str(owner["name"]).removesuffix(suffix)
    return ""


def _pod_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "containers": [
            {
                **_picked(container, ("name", "image", "envFrom")),
                "env": [_variable(variable) for variable in container.get("env") or ()],
            }
            for container in spec.get("containers") or ()
        ]
    }


def _variable(variable: Mapping[str, Any]) -> dict[str, Any]:
    kept = _picked(variable, ("name", "valueFrom"))
    if variable.get("name") in _VALUES:
        kept |= _picked(variable, ("value",))
    return kept


def _named(item: Manifest) -> Manifest:
    return {"metadata": _picked(item["metadata"], ("name", "namespace", "uid", "resourceVersion"))}


def _picked(mapping: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: mapping[name] for name in names if name in mapping}
