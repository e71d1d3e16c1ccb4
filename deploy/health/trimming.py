"""What the cache keeps of workloads, pods and ConfigMaps: only what a status is made of. Pure.

A cluster may run thousands of pods that are not gateways; of those nothing but the name is kept.
"""

from collections.abc import Callable, Iterable
from typing import Any, NotRequired, TypedDict

from deploy.kube.objects import Manifest
from deploy.kube.shapes import Shape
from deploy.observed import inventory, workloads
from deploy.observed.sign_in import AUTH_KEY, HIDDEN, is_kind, sign_in_text
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

_SIGNS_IN = frozenset({AUTH, AUTH_KEY})


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
    readinessProbe: NotRequired[Any]
    livenessProbe: NotRequired[Any]
    startupProbe: NotRequired[Any]


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


class _OtherSpec(TypedDict):
    template: NotRequired[_Template | None]
    replicas: NotRequired[Any]
    selector: NotRequired[Any]
    strategy: NotRequired[Any]
    updateStrategy: NotRequired[Any]
    workloadRef: NotRequired[Any]


class _Other(TypedDict):
    metadata: _Annotated
    spec: _OtherSpec
    status: NotRequired[Any]


_Settings = TypedDict("_Settings", {"config.service.endpoint": NotRequired[Any]})


class _ConfigMap(TypedDict):
    metadata: _Metadata
    data: NotRequired[_Settings | None]


def is_trimmed_away(item: Manifest) -> bool:
    """Whether nothing but its name was kept."""
    return "spec" not in item and "data" not in item


def _deployment(item: Manifest) -> Manifest:
    """One that is a gateway, that its ConfigMap may show to be one, or whose template is elsewhere;
    else its name."""
    seen = inventory.is_gateway(item) or inventory.settings_maps(item)
    if not (seen or workloads.template_elsewhere(item)):
        return _named(item)
    annotations = item["metadata"].get("annotations") or {}
    item["metadata"]["annotations"] = {
        key: value for key, value in annotations.items() if key.startswith(_ANNOTATIONS)
    }
    _hide_values((item["spec"]["template"].get("spec") or {}).get("containers") or ())
    return item


def _other(read: Callable[[Manifest], Manifest]) -> Shape:
    """The shape of another kind, kept as a Deployment is; `read` gives it the form of one."""
    return Shape(_Other, lambda item: _deployment(read(item)))


def _config_map(item: Manifest) -> Manifest:
    """One with a gateway's settings; else its name."""
    return item if inventory.has_endpoint(item) else _named(item)


def _pod(item: Manifest) -> Manifest:
    """One that may be a gateway's; else its name."""
    template = {"metadata": {}, "spec": {"template": {"spec": item["spec"]}}}
    if not (inventory.is_gateway(template) or inventory.settings_maps(template)):
        return _named(item)
    _hide_values(item["spec"].get("containers") or ())
    return item


DEPLOYMENT = Shape(_Deployment, _deployment)
POD = Shape(_Pod, _pod)
CONFIG_MAP = Shape(_ConfigMap, _config_map)
OTHERS = {
    "StatefulSet": _other(workloads.stateful_set),
    "DaemonSet": _other(workloads.daemon_set),
    "Rollout": _other(workloads.rollout),
}
"""Gateways that this bot cannot change, by their kind."""


def _hide_values(containers: Iterable[dict[str, Any]]) -> None:
    for container in containers:
        for variable in container.get("env") or ():
            # Of thousands of pods each has dozens: what has nothing to hide costs no call.
            if variable["name"] in _VALUES or not variable.get("value"):
                continue
            kept = kept_value(variable["name"], variable.pop("value"))
            if kept is not None:
                variable["value"] = kept


def kept_value(name: str, value: str) -> str | None:
    """What is kept of a setting's value: all of it where it is not a secret; how the gateway signs in,
    a token without its signature, whatever the name that another variable refers to; else nothing."""
    if name in _VALUES:
        return value
    if value and name.lower() in _SIGNS_IN:
        return sign_in_text(value)
    if "&" not in value and not is_kind(value):
        return None
    text = sign_in_text(value)
    return None if text == HIDDEN else text


def _named(item: Manifest) -> Manifest:
    metadata = item["metadata"]
    return {"metadata": {k: metadata[k] for k in ("name", "namespace", "uid", "resourceVersion")}}
