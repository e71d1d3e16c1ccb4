"""What the cache keeps of Deployments and pods: only what a status is made of. Pure.

A cluster may run thousands of pods that are no gateways; of those nothing but the name is kept.
"""

from collections.abc import Iterable
from typing import Any, NotRequired, TypedDict

from deploy.kube.objects import Manifest
from deploy.kube.shapes import Shape
from deploy.observed import inventory
from deploy.observed.sign_in import AUTH_KEY, sign_in_text
from deploy.specs.settings import AUTH

_ANNOTATIONS = ("gateway-bot.io/", "deployment.kubernetes.io/")
_VALUES = frozenset(
    {
        "gateway.name",
        "config.service.endpoint",
        "telemetry.logs.std",
        "telemetry.logs.std.level",
    }
)
"""The variables whose value is kept whole: a token may stand in another one as plain text."""


class _Metadata(TypedDict):
    name: str
    namespace: str
    uid: str
    resourceVersion: str
    generation: NotRequired[Any]
    creationTimestamp: NotRequired[Any]
    deletionTimestamp: NotRequired[Any]
    labels: NotRequired[Any]
    ownerReferences: NotRequired[Any]


class _Annotated(_Metadata):
    annotations: NotRequired[dict[str, str] | None]


class _Variable(TypedDict):
    name: str
    value: NotRequired[Any]
    valueFrom: NotRequired[Any]


class _Container(TypedDict):
    name: str
    image: NotRequired[Any]
    envFrom: NotRequired[Any]
    env: NotRequired[list[_Variable] | None]


class _PodSpec(TypedDict):
    containers: NotRequired[list[_Container] | None]
    nodeName: NotRequired[Any]


class _Labelled(TypedDict):
    labels: NotRequired[Any]


class _Template(TypedDict):
    metadata: NotRequired[_Labelled | None]
    spec: NotRequired[_PodSpec | None]


class _DeploymentSpec(TypedDict):
    template: _Template
    replicas: NotRequired[Any]
    selector: NotRequired[Any]
    strategy: NotRequired[Any]


class _Deployment(TypedDict):
    metadata: _Annotated
    spec: _DeploymentSpec
    status: NotRequired[Any]


class _ContainerStatus(TypedDict):
    name: str
    ready: NotRequired[Any]
    started: NotRequired[Any]
    restartCount: NotRequired[Any]
    state: NotRequired[Any]
    lastState: NotRequired[Any]


class _PodStatus(TypedDict, total=False):
    phase: Any
    reason: Any
    message: Any
    conditions: Any
    containerStatuses: list[_ContainerStatus] | None
    initContainerStatuses: list[_ContainerStatus] | None


class _Pod(TypedDict):
    metadata: _Metadata
    spec: _PodSpec
    status: NotRequired[_PodStatus | None]


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


def _deployment(item: Manifest) -> Manifest:
    """One that is a gateway, or that its ConfigMap may show to be one; else its name."""
    if not (inventory.is_gateway(item) or inventory.settings_maps(item)):
        return _named(item)
    annotations = item["metadata"].get("annotations") or {}
    item["metadata"]["annotations"] = {
        key: value for key, value in annotations.items() if key.startswith(_ANNOTATIONS)
    }
    _hide_values((item["spec"]["template"].get("spec") or {}).get("containers") or ())
    return item


def _pod(item: Manifest) -> Manifest:
    """One that may be a gateway's; else its name."""
    template = {"metadata": {}, "spec": {"template": {"spec": item["spec"]}}}
    if not (inventory.is_gateway(template) or inventory.settings_maps(template)):
        return _named(item)
    _hide_values(item["spec"].get("containers") or ())
    return item


DEPLOYMENT = Shape(_Deployment, _deployment)
POD = Shape(_Pod, _pod)


def _hide_values(containers: Iterable[dict[str, Any]]) -> None:
    for container in containers:
        for variable in container.get("env") or ():
            kept = kept_value(variable["name"], variable.pop("value", None) or "")
            if kept is not None:
                variable["value"] = kept


def kept_value(name: str, value: str) -> str | None:
    """What is kept of a setting's value: all of it where it is no secret; how the gateway signs in,
    a token without its signature; else nothing."""
    if name in _VALUES:
        return value
    return sign_in_text(value) if value and name.lower() in (AUTH, AUTH_KEY) else None


def _named(item: Manifest) -> Manifest:
    metadata = item["metadata"]
    return {"metadata": {k: metadata[k] for k in ("name", "namespace", "uid", "resourceVersion")}}
