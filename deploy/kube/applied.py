"""What one field manager applies to a live object, read off its managedFields. Pure.

A server-side apply must hold every field that its manager owns: what it leaves out is taken from the
object. So whoever changes one field applies again all that is its own, and that field otherwise.
client-go does the same (`ExtractInto` in applyconfigurations). Which fields are one value and which
are merged is in a schema that is not read here; what others own below a field tells that it is merged.
"""

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deploy.kube.objects import Manifest

Fields = Mapping[str, Any]
"""A set of fields as FieldsV1 writes it: `f:name`, `k:{"key":…}`, `v:value`, `i:index` and `.`."""


def applied(live: Manifest, manager: str) -> Manifest:
    """What `manager` applies to the object: applied once more, it changes nothing.

    An object that it has never applied is there in name alone.
    """
    ours: Fields = {}
    others: list[Fields] = []
    for entry in live["metadata"].get("managedFields") or ():
        fields = entry.get("fieldsV1") or {}
        if _is_of(entry, manager):
            ours = fields
        else:
            others.append(fields)
    found = _taken(live, ours, others) if ours else {}
    names = {k: live["metadata"][k] for k in ("name", "namespace") if k in live["metadata"]}
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        **found,
        "metadata": {**found.get("metadata", {}), **names},
    }


def _is_of(entry: Mapping[str, Any], manager: str) -> bool:
    applies = entry.get("operation") == "Apply" and not entry.get("subresource")
    return applies and entry.get("manager") == manager


def _taken(value: Any, ours: Fields, others: Sequence[Fields]) -> Any:
    """The value of a field, as far as it is `ours`; `others` are what the others own from there."""
    if set(ours) <= {"."}:
        if isinstance(value, dict | list) and any(set(fields) - {"."} for fields in others):
            # It was applied empty: what is in it belongs to others.
            return type(value)()
        return copy.deepcopy(value)
    if isinstance(value, dict):
        return {
            name: _taken(value[name], below, _below(others, step))
            for step, below in ours.items()
            if step.startswith("f:") and (name := step[2:]) in value
        }
    if isinstance(value, list):
        return list(_items(value, ours, others))
    return value


def _items(items: Sequence[Any], ours: Fields, others: Sequence[Fields]) -> Iterable[Any]:
    """The items that are `ours`, in the order in which they stand."""
    left = {step: below for step, below in ours.items() if step != "."}
    for index, item in enumerate(items):
        step = next((step for step in left if _names(step, item, index)), None)
        if step is None:
            continue
        # A key that is not ours as a field is a default, which the API server fills in again.
        yield _taken(item, left.pop(step), _below(others, step)) or json.loads(step[2:])


def _names(step: str, item: Any, index: int) -> bool:
    kind, _, text = step.partition(":")
    named = json.loads(text)
    if kind == "k":
        return isinstance(item, dict) and all(item.get(key) == named[key] for key in named)
    return bool(named == (index if kind == "i" else item))


def _below(fields: Sequence[Fields], step: str) -> list[Fields]:
    return [each[step] for each in fields if step in each]
