"""What fields each kind has, read from the official client's models, and how their lists and maps
merge.

The models carry names and types but not the merge markers of the API's OpenAPI document
(x-kubernetes-list-type, -list-map-keys, -map-type), so those of our kinds stand here as tables.
Source of the tables: the API reference.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from kubernetes.client import models

from bot.sandbox.cluster.quantity import canonical

ScalarType = Literal["string", "integer", "number", "boolean", "time", "bytes", "quantity", "any"]


@dataclass(frozen=True)
class Scalar:
    """A leaf. `any` takes what it is given (IntOrString and free JSON)."""

    type: ScalarType


@dataclass(frozen=True)
class MapOf:
    """A map with free keys."""

    value: "Node"
    atomic: bool = False


@dataclass(frozen=True)
class ListOf:
    """A list: associative when it has `keys`, a set when `is_set`, else atomic."""

    item: "Node"
    keys: tuple[str, ...] = ()
    is_set: bool = False

    @property
    def atomic(self) -> bool:
        """Whether it is owned and replaced as a whole."""
        return not self.keys and not self.is_set


@dataclass(frozen=True)
class Struct:
    """An object with named fields, those of `model`."""

    model: str

    @property
    def atomic(self) -> bool:
        """Whether it is owned and replaced as a whole."""
        return self.model in _ATOMIC_STRUCTS


Node = Scalar | MapOf | ListOf | Struct


@dataclass(frozen=True)
class Field:
    """One field of a struct. `required` fields are written even when they are empty."""

    node: Node
    required: bool


_ATOMIC_STRUCTS = frozenset(
    {
        "V1LabelSelector",
        "V1SecretKeySelector",
        "V1ConfigMapKeySelector",
        "V1FileKeySelector",
        "V1ObjectFieldSelector",
        "V1ResourceFieldSelector",
        "V1LocalObjectReference",
        "V1ObjectReference",
        "V1TypedLocalObjectReference",
        "V1SecretReference",
        "V1NodeSelector",
        "V1NodeSelectorTerm",
        "V1ScopeSelector",
        "V1TopologySelectorTerm",
        "V1RoleRef",
        "RbacV1Subject",
        "V1EndpointAddress",
        "CoreV1EndpointPort",
    }
)

_ATOMIC_MAPS = frozenset({("V1ServiceSpec", "selector"), ("V1PodSpec", "nodeSelector")})

_TYPE = ("type",)
_NAME = ("name",)

_LIST_KEYS: dict[tuple[str, str], tuple[str, ...]] = {
    ("V1PodSpec", "containers"): _NAME,
    ("V1PodSpec", "initContainers"): _NAME,
    ("V1PodSpec", "ephemeralContainers"): _NAME,
    ("V1PodSpec", "volumes"): _NAME,
    ("V1PodSpec", "imagePullSecrets"): _NAME,
    ("V1PodSpec", "hostAliases"): ("ip",),
    ("V1PodSpec", "topologySpreadConstraints"): ("topologyKey", "whenUnsatisfiable"),
    ("V1PodSpec", "schedulingGates"): _NAME,
    ("V1PodSpec", "resourceClaims"): _NAME,
    ("V1Container", "ports"): ("containerPort", "protocol"),
    ("V1Container", "env"): _NAME,
    ("V1Container", "volumeMounts"): ("mountPath",),
    ("V1Container", "volumeDevices"): ("devicePath",),
    ("V1ResourceRequirements", "claims"): _NAME,
    ("V1ServiceSpec", "ports"): ("port", "protocol"),
    ("V1ServiceStatus", "conditions"): _TYPE,
    ("V1ServiceAccount", "secrets"): _NAME,
    ("V1ObjectMeta", "ownerReferences"): ("uid",),
    ("V1PodStatus", "conditions"): _TYPE,
    ("V1PodStatus", "podIPs"): ("ip",),
    ("V1PodStatus", "hostIPs"): ("ip",),
    ("V1DeploymentStatus", "conditions"): _TYPE,
    ("V1ReplicaSetStatus", "conditions"): _TYPE,
    ("V1NamespaceStatus", "conditions"): _TYPE,
    ("V1NodeStatus", "conditions"): _TYPE,
    ("V1NodeStatus", "addresses"): _TYPE,
    ("V1PodDisruptionBudgetStatus", "conditions"): _TYPE,
    ("V2HorizontalPodAutoscalerStatus", "conditions"): _TYPE,
    ("V1PersistentVolumeClaimStatus", "conditions"): _TYPE,
    ("V1MutatingWebhookConfiguration", "webhooks"): _NAME,
    ("V1ValidatingWebhookConfiguration", "webhooks"): _NAME,
}

_SETS = frozenset({("V1ObjectMeta", "finalizers"), ("V1NodeSpec", "podCIDRs")})

_QUANTITIES = frozenset(
    {
        ("V1ResourceRequirements", "limits"),
        ("V1ResourceRequirements", "requests"),
        ("V1VolumeResourceRequirements", "limits"),
        ("V1VolumeResourceRequirements", "requests"),
        ("V1ResourceQuotaSpec", "hard"),
        ("V1ResourceQuotaStatus", "hard"),
        ("V1ResourceQuotaStatus", "used"),
        ("V1NodeStatus", "capacity"),
        ("V1NodeStatus", "allocatable"),
        ("V1PersistentVolumeSpec", "capacity"),
        ("V1PersistentVolumeClaimStatus", "capacity"),
        ("V1PodSpec", "overhead"),
        ("V1Overhead", "podFixed"),
        ("V1EmptyDirVolumeSource", "sizeLimit"),
        ("V1ResourceFieldSelector", "divisor"),
        ("V2MetricTarget", "averageValue"),
        ("V2MetricTarget", "value"),
        ("V2MetricValueStatus", "averageValue"),
        ("V2MetricValueStatus", "value"),
        *(
            ("V1LimitRangeItem", name)
            for name in ("default", "defaultRequest", "max", "maxLimitRequestRatio", "min")
        ),
    }
)

# Go fields that are plain values with `omitempty`: their zero is the same as not being there.
_ZERO_IS_ABSENT = frozenset(
    {
        *[
            "minReadySeconds",
            "initialDelaySeconds",
            "hostPort",
            "nodePort",
            "healthCheckNodePort",
            "count",
        ],
        *[
            "hostNetwork",
            "hostPID",
            "hostIPC",
            "stdin",
            "stdinOnce",
            "tty",
            "paused",
            "unschedulable",
        ],
        *["availableReplicas", "readyReplicas", "updatedReplicas", "unavailableReplicas"],
        *["fullyLabeledReplicas", "observedGeneration", "publishNotReadyAddresses"],
    }
)
_ZERO_IS_ABSENT_IN = frozenset(
    {
        ("V1VolumeMount", "readOnly"),
        ("V1DeploymentStatus", "replicas"),
        ("V1Probe", "timeoutSeconds"),
        ("V1Probe", "periodSeconds"),
        ("V1Probe", "successThreshold"),
        ("V1Probe", "failureThreshold"),
        ("V1ServicePort", "targetPort"),
    }
)

# Strings behind a pointer: "" says something else than absence.
_EMPTY_STRING_COUNTS = frozenset(
    {
        "storageClassName",
        "ingressClassName",
        "loadBalancerClass",
        "apiGroup",
        "message",
        "unhealthyPodEvictionPolicy",
    }
)

_SCALARS: dict[str, ScalarType] = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "datetime": "time",
    "bytes": "bytes",
    "bytearray": "bytes",
    "object": "any",
}


def struct(model: str) -> Struct:
    """The schema of a model of the official client. LookupError when there is none."""
    if not hasattr(models, model):
        raise LookupError(model)
    return Struct(model)


@cache
def fields(model: str) -> dict[str, Field]:
    """The fields of a model by their JSON names."""
    cls: Any = getattr(models, model)
    found: dict[str, Field] = {}
    for attribute, type_text in cls.openapi_types.items():
        name = cls.attribute_map[attribute]
        info = cls.model_fields.get(attribute) or cls.model_fields.get(
            f"var_{attribute.strip('_')}"
        )
        node = _node(type_text, model, name)
        found[name] = Field(node, info is not None and info.is_required())
    return found


def _node(type_text: str, model: str, name: str) -> Node:
    if (model, name) in _QUANTITIES:
        quantity = Scalar("quantity")
        return MapOf(quantity) if type_text.startswith("Dict") else quantity
    if outer := re.fullmatch(r"[Ll]ist\[(.*)\]", type_text):
        item = _node(outer[1], "", "")
        return ListOf(item, _LIST_KEYS.get((model, name), ()), (model, name) in _SETS)
    if outer := re.fullmatch(r"[Dd]ict\[str, (.*)\]", type_text):
        return MapOf(_node(outer[1], "", ""), (model, name) in _ATOMIC_MAPS)
    if type_text in _SCALARS:
        return Scalar(_SCALARS[type_text])
    return Struct(type_text)


def load(model: str) -> None:
    """Read a model and all it holds now, so that the first request that needs it does not wait."""
    waiting, seen = [model], {model}
    while waiting:
        for field in fields(waiting.pop()).values():
            node = field.node
            while isinstance(node, ListOf | MapOf):
                node = node.item if isinstance(node, ListOf) else node.value
            if isinstance(node, Struct) and node.model not in seen:
                seen.add(node.model)
                waiting.append(node.model)


def child(node: Node, name: str) -> Node | None:
    """The schema of a field or map value; None for a field that is not declared."""
    if isinstance(node, Struct):
        field = fields(node.model).get(name)
        return field.node if field else None
    if isinstance(node, MapOf):
        return node.value
    return Scalar("any") if isinstance(node, Scalar) and node.type == "any" else None


def is_leaf(node: Node | None) -> bool:
    """Whether a value of this schema is owned as a whole."""
    return node is None or isinstance(node, Scalar) or node.atomic


def unknown_fields(node: Node, value: Any, path: str = "") -> list[str]:
    """The paths in `value` that the schema does not declare, as strict decoding names them."""
    found: list[str] = []
    if isinstance(node, ListOf) and isinstance(value, list):
        for index, item in enumerate(value):
            found += unknown_fields(node.item, item, f"{path}[{index}]")
    elif isinstance(node, Struct | MapOf) and isinstance(value, dict):
        for name, item in value.items():
            below = f"{path}.{name}" if path else name
            inner = child(node, name)
            if inner is None:
                found.append(below)
            else:
                found += unknown_fields(inner, item, below)
    return found


def normalise(node: Node, value: Any) -> Any:
    """`value` as a round trip through the typed objects leaves it: unknown fields, nulls and fields
    at a zero that is not written are gone, quantities are canonical.

    Raises ValueError for a quantity that is none.
    """
    if isinstance(node, Struct) and isinstance(value, dict):
        declared = fields(node.model)
        kept: dict[str, Any] = {}
        for name, item in value.items():
            field = declared.get(name)
            if field is None or item is None:
                continue
            clean = normalise(field.node, item)
            if not _is_absent(node.model, name, field, clean):
                kept[name] = clean
        return kept
    if isinstance(node, MapOf) and isinstance(value, dict):
        return {k: normalise(node.value, v) for k, v in value.items() if v is not None}
    if isinstance(node, ListOf) and isinstance(value, list):
        return [normalise(node.item, item) for item in value]
    if isinstance(node, Scalar) and node.type == "quantity":
        return canonical(value)
    return value


def _is_absent(model: str, name: str, field: Field, value: Any) -> bool:
    if field.required:
        return False
    if value == {} and isinstance(field.node, MapOf):
        return True
    if value == [] and isinstance(value, list):
        return True
    if value == "" and isinstance(field.node, Scalar):
        return name not in _EMPTY_STRING_COUNTS
    if value is False or (value == 0 and isinstance(value, int)):
        return name in _ZERO_IS_ABSENT or (model, name) in _ZERO_IS_ABSENT_IN
    return False
