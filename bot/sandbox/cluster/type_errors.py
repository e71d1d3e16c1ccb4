"""What a body has that its Go types cannot hold, in the words of Go's decoder."""

import base64
import binascii
import datetime
import re
from typing import Any

from bot.sandbox.cluster.quantity import parse
from bot.sandbox.cluster.schema import ListOf, MapOf, Node, Scalar, Struct, fields

_WIDE, _USUAL = 2**63, 2**31
# Fields that are wider than the usual 32 bits.
_INT64 = frozenset(
    {
        *("runAsUser", "runAsGroup", "fsGroup", "supplementalGroups", "generation", "seconds"),
        *("terminationGracePeriodSeconds", "activeDeadlineSeconds", "tolerationSeconds"),
        *("expirationSeconds", "observedGeneration", "deletionGracePeriodSeconds"),
    }
)
_MODEL = re.compile(r"(?:Core|Events|Rbac)?V(\d+)(.*)")
_INT_OR_TEXT = ("maxUnavailable", "maxSurge", "minAvailable", "port", "targetPort")
_GO_TYPES = {
    "string": "string",
    "boolean": "bool",
    "number": "float64",
    "quantity": "string",
    "bytes": "[]uint8",
}


def first_wrong(node: Struct, body: dict[str, Any]) -> str | None:
    """The first value that does not fit, in the decoder's sentence; None where all do."""
    return _in_struct(node, body, "")


def _in_struct(node: Struct, value: dict[str, Any], path: str) -> str | None:
    declared = fields(node.model)
    for name, item in value.items():
        if name not in declared or (not path and name in ("kind", "apiVersion")):
            continue
        below = f"{path}.{name}" if path else name
        owner = f"{_name(node.model)}.{below}"
        wrong = _value(declared[name].node, item, owner, below, name)
        if wrong:
            return wrong
    return None


def _value(node: Node, value: Any, owner: str, path: str, name: str) -> str | None:
    if value is None:
        return None
    if isinstance(node, Struct):
        if isinstance(value, dict):
            return _in_struct(node, value, path)
    elif isinstance(node, ListOf):
        if isinstance(value, list):
            return _first(node.item, value, owner, path, name)
    elif isinstance(node, MapOf):
        if isinstance(value, dict):
            return _first(node.value, list(value.values()), owner, path, name)
    else:
        return _scalar(node, value, owner, name)
    return _unfit(value, owner, _go_type(node, name))


def _first(node: Node, items: list[Any], owner: str, path: str, name: str) -> str | None:
    return next((w for item in items if (w := _value(node, item, owner, path, name))), None)


def _scalar(node: Scalar, value: Any, owner: str, name: str) -> str | None:
    if node.type == "any":
        # A number or a text: a port, a share of replicas.
        wide = isinstance(value, float) or (isinstance(value, bool) and name != "fieldsV1")
        return _unfit(value, owner, "int32") if wide else None
    if node.type == "quantity":
        return _quantity(value)
    if node.type == "integer":
        limit = _WIDE if name in _INT64 else _USUAL
        if isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit:
            return None
    elif node.type == "number":
        if isinstance(value, int | float) and not isinstance(value, bool):
            return None
    elif node.type == "boolean":
        if isinstance(value, bool):
            return None
    elif isinstance(value, str):
        if node.type == "bytes":
            return _base64(value)
        return _time(value, name) if node.type == "time" else None
    return _unfit(value, owner, _go_type(node, name))


def _quantity(value: Any) -> str | None:
    try:
        parse(value)
    except ValueError as error:
        return str(error)
    return None


def _time(value: str, name: str) -> str | None:
    micro = name in ("renewTime", "acquireTime", "eventTime")
    layout = "2006-01-02T15:04:05.000000Z07:00" if micro else "2006-01-02T15:04:05Z07:00"
    try:
        datetime.datetime.fromisoformat(value)
    except ValueError:
        return f'parsing time "{value}" as "{layout}": cannot parse "{value}" as "2006"'
    if micro and "." not in value:
        rest = value[19:]
        return f'parsing time "{value}" as "{layout}": cannot parse "{rest}" as ".000000"'
    return None


def _base64(value: str) -> str | None:
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        found = re.match(r"(?:[A-Za-z0-9+/]{4})*[A-Za-z0-9+/]*", value)
        end = len(found[0]) if found else 0
        # Where only the padding is missing the last group is named by its beginning.
        at = end if end < len(value) else end - end % 4
        return f"illegal base64 data at input byte {at}"
    return None


def _unfit(value: Any, owner: str, wanted: str) -> str:
    return f"json: cannot unmarshal {_kind(value, wanted)} into Go struct field {owner} of type {wanted}"


def _kind(value: Any, wanted: str) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return f"number {value}" if wanted.startswith("int") else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _go_type(node: Node, name: str) -> str:
    if isinstance(node, Struct):
        found = _MODEL.fullmatch(node.model)
        return f"v{found[1]}.{found[2]}" if found else node.model
    if isinstance(node, ListOf):
        return f"[]{_go_type(node.item, name)}"
    if isinstance(node, MapOf):
        return f"map[string]{_go_type(node.value, name)}"
    if node.type == "integer":
        return "int64" if name in _INT64 else "int32"
    return _GO_TYPES.get(node.type, node.type)


def _name(model: str) -> str:
    found = _MODEL.fullmatch(model)
    return found[2] if found else model


def as_converted(why: str) -> str:
    """A decoder's reason as the conversion of an applied object gives it, which has no path."""
    number = re.match(
        r"json: cannot unmarshal number (\S+) into Go struct field (\S+) of type", why
    )
    if number:
        if number[2].rpartition(".")[2] in _INT_OR_TEXT:
            return f"json: cannot unmarshal number {number[1]} into Go value of type int32"
        return "cannot convert float64 to int32"
    return f"error decoding from json: {why}" if why.startswith("illegal base64") else why
