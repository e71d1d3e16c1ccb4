"""The few bodies kubectl sends as protobuf only: reviews, evictions, token requests and what
`kubectl create` makes of namespaces, ConfigMaps, Secrets and service accounts.

Messages are read by tables of field numbers, those of the API's published .proto files.
"""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from bot.sandbox.cluster.errors import ApiError
from bot.sandbox.cluster.objects import Obj

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"

# Field number → JSON name and what it holds: "text", "number", "texts" (repeated), "map" (of
# texts), "base64 map" (of bytes) or a message's table.
Table = Mapping[int, tuple[str, Any]]

_METADATA: Table = {
    1: ("name", "text"),
    2: ("generateName", "text"),
    3: ("namespace", "text"),
    11: ("labels", "map"),
    12: ("annotations", "map"),
}
_RESOURCE: Table = {
    1: ("namespace", "text"),
    2: ("verb", "text"),
    3: ("group", "text"),
    4: ("version", "text"),
    5: ("resource", "text"),
    6: ("subresource", "text"),
    7: ("name", "text"),
}
_ACCESS: Table = {
    1: ("resourceAttributes", _RESOURCE),
    2: ("nonResourceAttributes", {1: ("path", "text"), 2: ("verb", "text")}),
}
_DELETE: Table = {1: ("gracePeriodSeconds", "number"), 4: ("propagationPolicy", "text")}
_MESSAGES: dict[str, Table] = {
    "SelfSubjectAccessReview": {1: ("metadata", _METADATA), 2: ("spec", _ACCESS)},
    "SelfSubjectRulesReview": {
        1: ("metadata", _METADATA),
        2: ("spec", {1: ("namespace", "text")}),
    },
    "Namespace": {1: ("metadata", _METADATA)},
    "ServiceAccount": {1: ("metadata", _METADATA)},
    "ConfigMap": {1: ("metadata", _METADATA), 2: ("data", "map"), 3: ("binaryData", "base64 map")},
    "Secret": {
        1: ("metadata", _METADATA),
        2: ("data", "base64 map"),
        3: ("type", "text"),
        4: ("stringData", "map"),
    },
    "SelfSubjectReview": {1: ("metadata", _METADATA)},
    "Eviction": {1: ("metadata", _METADATA), 2: ("deleteOptions", _DELETE)},
    "DeleteOptions": _DELETE,
    "TokenRequest": {
        1: ("metadata", _METADATA),
        2: ("spec", {1: ("audiences", "texts"), 4: ("expirationSeconds", "number")}),
    },
}
_ENVELOPE: Table = {1: ("typeMeta", {1: ("apiVersion", "text"), 2: ("kind", "text")})}


def decode(body: bytes) -> Obj:
    """The object in a protobuf body. ApiError 415 for a kind that has no table, 400 for a broken
    one."""
    if not body.startswith(_MAGIC):
        raise ApiError(400, "BadRequest", "provided data does not appear to be a protobuf message")
    try:
        envelope = body[len(_MAGIC) :]
        type_meta = _message(envelope, _ENVELOPE).get("typeMeta", {})
        raw = next((value for number, value in _fields(envelope) if number == 2), b"")
        table = _MESSAGES.get(type_meta.get("kind", ""))
        if table is None or not isinstance(raw, bytes):
            raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        return {**type_meta, **_message(raw, table)}
    except (IndexError, UnicodeDecodeError) as error:
        raise ApiError(400, "BadRequest", "the protobuf message is truncated") from error


def _message(data: bytes, table: Table) -> Obj:
    found: Obj = {}
    for number, value in _fields(data):
        if number not in table:
            continue
        name, holds = table[number]
        if holds == "number":
            found[name] = value
        elif isinstance(value, bytes) and holds == "text":
            if value:
                found[name] = value.decode()
        elif isinstance(value, bytes) and holds == "texts":
            found.setdefault(name, []).append(value.decode())
        elif isinstance(value, bytes) and holds in ("map", "base64 map"):
            entry = {key: item for key, item in _fields(value) if isinstance(item, bytes)}
            item = entry.get(2, b"")
            text = item.decode() if holds == "map" else base64.b64encode(item).decode()
            found.setdefault(name, {})[entry.get(1, b"").decode()] = text
        elif isinstance(value, bytes):
            found[name] = _message(value, holds)
    return found


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
        elif wire == 2:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise IndexError
            yield number, data[at : at + length]
            at += length
        else:
            at += {1: 8, 5: 4}[wire] if wire in (1, 5) else len(data)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
