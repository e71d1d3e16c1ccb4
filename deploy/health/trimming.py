"""What the cache keeps of Deployments and pods: only what a status is made of. Pure.

A cluster may run thousands of pods that are no gateways; of those nothing but the name is kept.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET, Struct

from deploy.health import inventory
from deploy.kube.shapes import Shape
from deploy.plans.plan import Manifest

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


class _Metadata(Struct, rename="camel"):
    name: str
    namespace: str
    uid: str
    resource_version: str
    generation: Any = UNSET
    creation_timestamp: Any = UNSET
    deletion_timestamp: Any = UNSET
    labels: Any = UNSET
    owner_references: Any = UNSET


class _Annotated(_Metadata, rename="camel"):
    annotations: dict[str, str] | None = None


class _Variable(Struct, rename="camel"):
    name: str
    value: Any = UNSET
    value_from: Any = UNSET


class _Container(Struct, rename="camel"):
    name: str
    image: Any = UNSET
    env_from: Any = UNSET
    env: list[_Variable] | None = None


class _PodSpec(Struct, rename="camel"):
    containers: list[_Container] | None = None
    node_name: Any = UNSET


class _Labelled(Struct, rename="camel"):
    labels: Any = UNSET


class _Template(Struct, rename="camel"):
    metadata: _Labelled | None = None
    spec: _PodSpec | None = None


class _DeploymentSpec(Struct, rename="camel"):
    template: _Template
    replicas: Any = UNSET
    selector: Any = UNSET
    strategy: Any = UNSET


class _Deployment(Struct, rename="camel"):
    metadata: _Annotated
    spec: _DeploymentSpec
    status: Any = UNSET


class _ContainerStatus(Struct, rename="camel"):
    name: str
    ready: Any = UNSET
    started: Any = UNSET
    restart_count: Any = UNSET
    state: Any = UNSET
    last_state: Any = UNSET


class _PodStatus(Struct, rename="camel"):
    phase: Any = UNSET
    reason: Any = UNSET
    message: Any = UNSET
    conditions: Any = UNSET
    container_statuses: list[_ContainerStatus] | None = None


class _Pod(Struct, rename="camel"):
    metadata: _Metadata
    spec: _PodSpec
    status: _PodStatus | None = None


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
            if variable["name"] not in _VALUES:
                variable.pop("value", None)


def _named(item: Manifest) -> Manifest:
    metadata = item["metadata"]
    return {"metadata": {k: metadata[k] for k in ("name", "namespace", "uid", "resourceVersion")}}
