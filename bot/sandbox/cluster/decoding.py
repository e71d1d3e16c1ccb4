"""From a request's body to an object of a kind: strictness, types, versions of one stored kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.cluster.errors import IMMUTABLE, ApiError, bad_request, invalid, invalid_value
from bot.sandbox.cluster.identity import CONTROLLER_MANAGER, Identity
from bot.sandbox.cluster.kinds import Kind
from bot.sandbox.cluster.objects import Obj, copy, get, name_of
from bot.sandbox.cluster.schema import normalise, struct, unknown_fields
from bot.sandbox.cluster.type_errors import first_wrong


@dataclass
class Options:
    """How a write is to be done. `warnings` collects what the answer's Warning headers say."""

    manager: str = "unknown"
    dry_run: bool = False
    field_validation: str = "Warn"
    force: bool = False
    who: Identity = CONTROLLER_MANAGER
    warnings: list[str] = field(default_factory=list)


def check_type_meta(kind: Kind, body: Any) -> None:
    """Refuse a body of another kind."""
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized (must be of type " + kind.kind + ")")
    version = body.get("apiVersion") or kind.api_version
    name = body.get("kind") or kind.kind
    if (version, name) != (kind.api_version, kind.kind):
        short = str(version).rpartition("/")[2]
        raise Undecodable(
            f'{name} in version "{short}" cannot be handled as a {kind.kind}: ',
            f'no kind "{name}" is registered for version "{version}" in scheme '
            '"pkg/runtime/scheme.go:111"',
        )


class Undecodable(ApiError):
    """A body that is no object of its kind; `why` is what the decoder says of it."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(400, "BadRequest", what + why)
        self.why = why


def decode(kind: Kind, body: Mapping[str, Any], options: Options, patch: str | None = None) -> Obj:
    """The typed object of a body. ApiError 400 for a wrong type, and for unknown fields when the
    request is strict (422 when they come by a `patch`, its text); else they are dropped with a
    warning."""
    node = struct(kind.model)
    unknown = unknown_fields(node, body)
    if unknown and options.field_validation == "Strict":
        listing = ", ".join(f'unknown field "{path}"' for path in unknown)
        if patch is not None:
            cause = invalid_value("patch", patch, f"strict decoding error: {listing}")
            raise invalid("", "", "", [cause])
        raise _undecodable(kind, f"strict decoding error: {listing}")
    if options.field_validation == "Warn":
        options.warnings += [f'unknown field "{path}"' for path in unknown]
    wrong = first_wrong(node, dict(body))
    if wrong:
        raise _undecodable(kind, wrong)
    obj: Obj = normalise(node, copy(dict(body)))
    obj = {"kind": kind.kind, "apiVersion": kind.api_version, **obj}
    obj["kind"], obj["apiVersion"] = kind.kind, kind.api_version
    obj["metadata"] = dict(obj.get("metadata") or {})
    return obj


def _undecodable(kind: Kind, why: str) -> Undecodable:
    return Undecodable(
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: ', why
    )


_EVENT_NAMES = (
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
)


def to_storage(kind: Kind, obj: Obj) -> Obj:
    """The object as its table keeps it: events of either group are kept as core events."""
    if not kind.stored_as:
        return obj
    stored = dict(obj)
    for core, modern in _EVENT_NAMES:
        if modern in stored:
            stored[core] = stored.pop(modern)
    return {**stored, "apiVersion": "v1"}


def from_storage(kind: Kind, obj: Obj) -> Obj:
    """The object as clients of this kind's version see it."""
    if not kind.stored_as:
        return obj
    shown = dict(obj)
    for core, modern in _EVENT_NAMES:
        if core in shown:
            shown[modern] = shown.pop(core)
    return {**shown, "apiVersion": kind.api_version}


def check_namespace_match(body: Mapping[str, Any], namespace: str) -> None:
    """Refuse a body that names another namespace than the path."""
    named = get(body, "metadata", "namespace", default="")
    if named and namespace and named != namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def check_identity(kind: Kind, old: Obj, obj: Obj, namespace: str) -> None:
    """A patch cannot make another object of the one it was sent to."""
    metadata, name = obj["metadata"], name_of(old)
    if metadata.get("name", name) != name:
        raise bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL "
            f"({name})"
        )
    check_namespace_match(obj, namespace)
    uid = metadata.get("uid")
    if uid and uid != old["metadata"]["uid"]:
        cause = invalid_value("metadata.uid", uid, IMMUTABLE)
        raise invalid(kind.kind, kind.group, name, [cause])
