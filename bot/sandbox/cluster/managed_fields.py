"""metadata.managedFields: who owns which field, and what each write does to that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.sandbox.cluster.fieldset import (
    FieldSet,
    Path,
    compare,
    from_fields_v1,
    to_fields_v1,
)
from bot.sandbox.cluster.objects import Obj, get
from bot.sandbox.cluster.schema import Node

# Fields the server sets itself; nobody owns them.
_UNOWNED: frozenset[Path] = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                "name",
                "namespace",
                "creationTimestamp",
                "selfLink",
                "uid",
                "generation",
                "managedFields",
                "resourceVersion",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
            )
        ),
    }
)
_REPLICAS: Path = ("f:spec", "f:replicas")


@dataclass(frozen=True)
class Manager:
    """The identity of an entry: one name may have several, by operation, version and
    subresource."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    def __str__(self) -> str:
        text = f'"{self.name}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == "Update" else text


@dataclass(frozen=True)
class Entry:
    """What one manager owns and when that last changed."""

    fields: FieldSet
    time: str


Managers = dict[Manager, Entry]


def decode(obj: Mapping[str, Any]) -> Managers:
    """The entries of an object."""
    found: Managers = {}
    for raw in get(obj, "metadata", "managedFields", default=[]):
        manager = Manager(
            raw.get("manager", ""),
            raw.get("operation", "Update"),
            raw.get("apiVersion", ""),
            raw.get("subresource", ""),
        )
        found[manager] = Entry(from_fields_v1(raw.get("fieldsV1") or {}), raw.get("time", ""))
    return found


def encode(managers: Managers) -> list[Obj]:
    """The entries as stored, in the server's order; empty ones are gone."""
    ordered = sorted(
        ((manager, entry) for manager, entry in managers.items() if entry.fields),
        key=lambda pair: (
            pair[0].operation,
            pair[1].time,
            pair[0].name,
            pair[0].api_version,
            pair[0].subresource,
        ),
    )
    encoded = []
    for manager, entry in ordered:
        raw: Obj = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": manager.api_version,
            "time": entry.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": to_fields_v1(entry.fields),
        }
        if manager.subresource:
            raw["subresource"] = manager.subresource
        encoded.append(raw)
    return encoded


def owned(paths: FieldSet) -> FieldSet:
    """`paths` without those nobody can own."""
    return paths - _UNOWNED


def store(obj: Obj, managers: Managers) -> None:
    """Write the entries into `obj`."""
    encoded = encode(managers)
    if encoded:
        obj["metadata"]["managedFields"] = encoded
    else:
        obj["metadata"].pop("managedFields", None)


def after_update(
    node: Node, old: Mapping[str, Any], new: Mapping[str, Any], who: Manager, now: str
) -> Managers:
    """The entries after a plain write that turned `old` into `new`: the writer owns what
    changed."""
    comparison = compare(node, without_managed(old), without_managed(new))
    written = owned(comparison.written)
    removed = owned(frozenset(comparison.removed))
    managers = decode(new if "managedFields" in new.get("metadata", {}) else old)
    if not written and not removed:
        return managers
    result: Managers = {}
    for manager, entry in managers.items():
        kept = entry.fields - removed
        if manager != who:
            kept -= written
        result[manager] = Entry(kept, entry.time)
    mine = result.get(who)
    before = mine.fields if mine else frozenset()
    after = (before | written) - removed
    if after != before or who not in result or (mine is not None and written):
        result[who] = Entry(after, now)
    return result


def after_scale(managers: Managers, old: Obj, new: Obj) -> Managers:
    """The entries after a write of the Scale, as a real server (1.37) has them.

    A Scale of no replicas has no such field, so nobody owns it then; and what nobody owned before,
    nobody owns after.
    """
    owned_before = any(_REPLICAS in entry.fields for entry in decode(old).values())
    if owned_before and get(new, "spec", "replicas"):
        return managers
    return {m: Entry(entry.fields - {_REPLICAS}, entry.time) for m, entry in managers.items()}


def without_managed(obj: Mapping[str, Any]) -> Obj:
    """A shallow copy without managedFields."""
    metadata = dict(obj.get("metadata") or {})
    metadata.pop("managedFields", None)
    return {**obj, "metadata": metadata}
