"""Server-side apply: merge a configuration into a live object by field ownership. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.sandbox.cluster.errors import ApiError, server_error
from bot.sandbox.cluster.fieldset import (
    FieldSet,
    Path,
    compare,
    display,
    fields_of,
    item_element,
    remove,
)
from bot.sandbox.cluster.managed_fields import (
    Entry,
    Manager,
    Managers,
    decode,
    owned,
    without_managed,
)
from bot.sandbox.cluster.objects import Obj
from bot.sandbox.cluster.schema import ListOf, Node, Scalar, Struct, child, is_leaf


@dataclass(frozen=True)
class Applied:
    """The merged object, not yet defaulted, and its new field owners."""

    obj: Obj
    managers: Managers


def check_types(node: Node | None, value: Any, path: str = "") -> str | None:
    """The first thing in `value` the schema forbids, in the API server's words; None when it
    fits."""
    if value is None:
        return None
    if node is None:
        return f"{path}: field not declared in schema"
    if isinstance(node, Scalar):
        return _check_scalar(node, value, path)
    if isinstance(node, ListOf):
        if not isinstance(value, list):
            return f"{path}: expected list, got &{{{_go_value(value)}}}"
        return _check_list(node, value, path)
    if not isinstance(value, dict):
        return f"{path}: expected map, got &{{{_go_value(value)}}}"
    for name, item in value.items():
        wrong = check_types(child(node, name), item, f"{path}.{name}")
        if wrong:
            return wrong
    return None


def _check_list(node: ListOf, value: list[Any], path: str) -> str | None:
    seen: set[str] = set()
    for index, item in enumerate(value):
        where = f"{path}[{index}]"
        if not node.atomic:
            element = item_element(node, item)
            where = f"{path}{display((element,))}"
            if element in seen:
                return f"{path}: duplicate entries for key {display((element,))}"
            seen.add(element)
        wrong = check_types(node.item, item, where)
        if wrong:
            return wrong
    return None


def _check_scalar(node: Scalar, value: Any, path: str) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if node.type in ("string", "time", "bytes"):
        shown = f"&value.valueUnstructured{{Value:{_go_value(value)}}}"
        return None if isinstance(value, str) else f"{path}: expected string, got {shown}"
    if node.type == "boolean":
        shown = f"&{{{_go_value(value)}}}"
        return None if isinstance(value, bool) else f"{path}: expected boolean, got {shown}"
    if node.type in ("integer", "number"):
        words = "expected numeric (int or float)"
        return None if is_number else f"{path}: {words}, got {_go_type(value)}"
    fits = node.type != "quantity" or isinstance(value, str) or is_number
    return None if fits else f"{path}: expected scalar, got {_go_type(value)}"


def _go_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{' '.join(map(_go_value, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{k}:{_go_value(v)}' for k, v in sorted(value.items()))}]"
    return str(value)


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, str):
        return "string"
    return "list" if isinstance(value, list) else "map"


def merge(node: Node | None, live: Any, wanted: Any) -> Any:
    """`wanted` laid over `live`: structs, maps and keyed lists item by item, all else replaced."""
    if live is None or node is None or is_leaf(node):
        return wanted
    if wanted is None:
        # Nothing in it says otherwise. Only what is empty already becomes null.
        return live or None
    if isinstance(node, ListOf):
        return _merge_list(node, live, wanted)
    result = dict(live)
    for name, item in wanted.items():
        result[name] = merge(child(node, name), live.get(name), item)
    return result


def _merge_list(node: ListOf, live: list[Any], wanted: list[Any]) -> list[Any]:
    left = {item_element(node, item): item for item in live}
    right = {item_element(node, item): item for item in wanted}
    left_keys, right_keys = list(left), list(right)
    result: list[Any] = []
    done: set[str] = set()
    at_left = at_right = 0
    while at_left < len(left_keys) or at_right < len(right_keys):
        if at_left < len(left_keys):
            key = left_keys[at_left]
            if key in done:
                at_left += 1
                continue
            if key not in right:
                result.append(left[key])
                at_left += 1
                continue
        key = right_keys[at_right]
        result.append(right[key] if node.is_set else merge(node.item, left.get(key), right[key]))
        done.add(key)
        at_right += 1
    return result


def apply(
    node: Struct,
    live: Mapping[str, Any],
    wanted: Mapping[str, Any],
    who: Manager,
    now: str,
    *,
    force: bool,
    where: str,
) -> Applied:
    """Apply `wanted` as manager `who` on `live` (its zero object when it is to be created).

    `where` names the object in schema errors. Raises ApiError 500 for a body outside the schema,
    409 for fields other managers own unless `force`.
    """
    wrong = check_types(node, wanted)
    if wrong:
        raise server_error(f"failed to create typed patch object ({where}): {wrong}")
    managers = decode(live)
    base = without_managed(live)
    merged = merge(node, base, without_managed(wanted))
    mine = owned(fields_of(node, wanted))
    before = managers.get(who)
    others = {manager: entry for manager, entry in managers.items() if manager != who}
    if before is not None:
        merged = _prune(node, merged, before.fields, mine, others)
    comparison = compare(node, base, merged)
    conflicts = {
        manager: sorted(hits)
        for manager, entry in others.items()
        if (hits := entry.fields & comparison.written)
    }
    if conflicts and not force:
        raise _conflict_error(conflicts)
    removed = frozenset(comparison.removed)
    result: Managers = {
        manager: Entry(entry.fields - comparison.written - removed, entry.time)
        for manager, entry in others.items()
    }
    unchanged = before is not None and before.fields == mine
    result[who] = Entry(mine, before.time if unchanged and before is not None else now)
    return Applied(merged, result)


def _prune(node: Struct, merged: Obj, before: FieldSet, mine: FieldSet, others: Managers) -> Obj:
    """Take out what the manager applied before, applies no more, and nobody else owns."""
    still: set[Path] = set()
    for paths in (mine, *(entry.fields for entry in others.values())):
        for path in paths:
            still.update(path[:length] for length in range(1, len(path) + 1))
    gone = {
        path[:length]
        for path in before
        for length in range(1, len(path) + 1)
        if path[:length] not in still and (length == len(path) or path[length - 1][0] == "f")
    }
    pruned: Obj = remove(node, merged, gone - _always_kept)
    return pruned


_always_kept: FieldSet = frozenset({("f:metadata",), ("f:spec",), ("f:status",)})


def _conflict_error(conflicts: Mapping[Manager, list[Path]]) -> ApiError:
    by_manager = sorted(conflicts.items(), key=lambda pair: str(pair[0]))
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {manager}",
            "field": display(path),
        }
        for manager, paths in by_manager
        for path in paths
    ]
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        lines = []
        for manager, paths in by_manager:
            lines.append(f"conflicts with {manager}:")
            lines += [f"- {display(path)}" for path in paths]
        message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
    return ApiError(409, "Conflict", message, {"causes": causes})
