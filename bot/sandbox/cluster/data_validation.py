"""What the API server refuses in a ConfigMap or a Secret."""

import json
from base64 import b64decode
from collections.abc import Mapping

from bot.sandbox.cluster import names
from bot.sandbox.cluster.errors import (
    IMMUTABLE,
    Cause,
    forbidden_field,
    invalid_value,
    required,
    too_long,
)
from bot.sandbox.cluster.objects import Obj, get

_MAX_DATA = 1024 * 1024


def _immutable_data(obj: Obj, old: Obj | None, *fields: str) -> list[Cause]:
    if old is None or not old.get("immutable"):
        return []
    words = "field is immutable when `immutable` is set"
    causes = [] if obj.get("immutable") else [forbidden_field("immutable", words)]
    return causes + [
        forbidden_field(field, words) for field in fields if old.get(field) != obj.get(field)
    ]


def _size(obj: Obj, *fields: str) -> int:
    return sum(len(str(v)) for field in fields for v in (obj.get(field) or {}).values())


def validate_config_map(obj: Obj, old: Obj | None) -> list[Cause]:
    """Every cause to refuse writing a ConfigMap in place of `old` (None on create)."""
    causes: list[Cause] = []
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    causes += names.data_keys(data, "data") + names.data_keys(binary, "binaryData")
    causes += [
        invalid_value(f"data[{key}]", key, "duplicate of key present in binaryData")
        for key in data
        if key in binary
    ]
    if _size(obj, "data", "binaryData") > _MAX_DATA:
        # No field of it is too large by itself, and so the server names none.
        causes.append(too_long("[]", _MAX_DATA))
    return causes + _immutable_data(obj, old, "data", "binaryData")


# By type of a Secret, the keys that it must have.
_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
_ACCOUNT = "kubernetes.io/service-account.name"


def validate_secret(obj: Obj, old: Obj | None) -> list[Cause]:
    """Every cause to refuse writing a Secret in place of `old` (None on create)."""
    data, kind = obj.get("data") or {}, obj.get("type", "")
    causes = names.data_keys(data, "data")
    # The limit is on the decoded bytes, four characters of base64 for three of them.
    if _size(obj, "data") * 3 // 4 > _MAX_DATA:
        causes.append(too_long("data", _MAX_DATA))
    causes += [required(f"data[{key}]") for key in _SECRET_KEYS.get(kind, ()) if key not in data]
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        causes += [required("data[username]"), required("data[password]")]
    annotations = get(obj, "metadata", "annotations", default={})
    if kind == "kubernetes.io/service-account-token" and not annotations.get(_ACCOUNT):
        causes.append(required(f"metadata.annotations[{_ACCOUNT}]"))
    if kind in ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"):
        causes += _pull_secret(data, _SECRET_KEYS[kind][0])
    if old is not None and old.get("type") != kind:
        causes.append(invalid_value("type", kind, IMMUTABLE))
    return causes + _immutable_data(obj, old, "data")


def _pull_secret(data: Mapping[str, str], key: str) -> list[Cause]:
    found = b64decode(data.get(key, "")).decode(errors="replace")
    try:
        json.loads(found or "{}")
    except ValueError:
        words = f"invalid character '{found[:1]}' looking for beginning of value"
        return [invalid_value(f"data[{key}]", "<secret contents redacted>", words)]
    return []
