"""Sets of field paths, as managedFields keeps them, and the two walks that make them.

A path is a tuple of FieldsV1 elements: `f:spec`, `k:{"name":"gw"}`, `v:"finalizer"`. A set holds
the paths that are owned; a container is a member only where it is owned itself (FieldsV1 shows
that as ".").
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.cluster.schema import ListOf, MapOf, Node, Struct, child, is_leaf

Path = tuple[str, ...]
FieldSet = frozenset[Path]

_KEY_DEFAULTS = {"protocol": "TCP"}


def to_fields_v1(paths: Iterable[Path]) -> dict[str, Any]:
    """The nested form that is stored in an object."""
    root: dict[str, Any] = {}
    ordered = sorted(paths)
    for path in ordered:
        level = root
        for step in path:
            level = level.setdefault(step, {})
    for path in ordered:
        level = root
        for step in path:
            level = level[step]
        if level:
            level["."] = {}
    return _sorted(root)


def _sorted(level: dict[str, Any]) -> dict[str, Any]:
    return {key: _sorted(level[key]) for key in sorted(level)}


def from_fields_v1(fields_v1: Mapping[str, Any]) -> FieldSet:
    """The set a stored FieldsV1 holds."""
    found: set[Path] = set()

    def walk(level: Mapping[str, Any], path: Path) -> None:
        if not level:
            found.add(path)
        for key, below in level.items():
            if key == ".":
                found.add(path)
            else:
                walk(below, (*path, key))

    if fields_v1:
        walk(fields_v1, ())
    return frozenset(found)


def item_element(node: ListOf, item: Any) -> str:
    """The path element that names an item of an associative list or a set."""
    if node.is_set:
        return "v:" + json.dumps(item, separators=(",", ":"))
    key = {
        name: item.get(name, _KEY_DEFAULTS.get(name)) if isinstance(item, dict) else None
        for name in sorted(node.keys)
    }
    return "k:" + json.dumps({k: v for k, v in key.items() if v is not None}, separators=(",", ":"))


def display(path: Path) -> str:
    """A path as conflict messages write it: `.spec.containers[name="gw"].image`."""
    text = ""
    for step in path:
        if step.startswith("f:"):
            text += f".{step[2:]}"
        elif step.startswith("k:"):
            pairs = json.loads(step[2:])
            text += "[" + ",".join(f"{k}={json.dumps(v)}" for k, v in pairs.items()) + "]"
        else:
            text += f"[={step[2:]}]"
    return text


def fields_of(node: Node, value: Any) -> FieldSet:
    """Every field that a configuration names: what an apply makes its manager own."""
    found: set[Path] = set()

    def walk(node: Node | None, value: Any, path: Path) -> None:
        if node is None or is_leaf(node) or not value:
            found.add(path)
        elif isinstance(node, ListOf):
            for item in value:
                below = (*path, item_element(node, item))
                found.add(below)
                if not node.is_set:
                    walk(node.item, item, below)
        else:
            for name, item in value.items():
                walk(child(node, name), item, (*path, f"f:{name}"))

    walk(node, value, ())
    found.discard(())
    return frozenset(found)


@dataclass
class Comparison:
    """What a change did to an object, by path."""

    added: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)

    @property
    def written(self) -> FieldSet:
        """Every path whose value is new."""
        return frozenset(self.added | self.modified)


def compare(node: Node, old: Any, new: Any) -> Comparison:
    """The fields in which `new` differs from `old`."""
    result = Comparison()
    _compare(node, old, new, (), result)
    for paths in (result.added, result.modified, result.removed):
        paths.discard(())
    return result


def _compare(node: Node | None, old: Any, new: Any, path: Path, result: Comparison) -> None:
    if old is None and new is None:
        return
    if old is None:
        _collect(node, new, path, result.added)
    elif new is None:
        _collect(node, old, path, result.removed)
    elif node is None or is_leaf(node):
        if old != new:
            result.modified.add(path)
    elif isinstance(node, ListOf):
        left = {item_element(node, item): item for item in old}
        right = {item_element(node, item): item for item in new}
        for key in {**left, **right}:
            _compare(
                None if node.is_set else node.item,
                left.get(key),
                right.get(key),
                (*path, key),
                result,
            )
    else:
        for name in {**old, **new}:
            _compare(child(node, name), old.get(name), new.get(name), (*path, f"f:{name}"), result)


def _collect(node: Node | None, value: Any, path: Path, into: set[Path]) -> None:
    into.add(path)
    if node is None or is_leaf(node) or not value:
        return
    if isinstance(node, ListOf):
        for item in value:
            below = (*path, item_element(node, item))
            _collect(None if node.is_set else node.item, item, below, into)
    elif isinstance(node, Struct | MapOf):
        for name, item in value.items():
            if item is not None:
                _collect(child(node, name), item, (*path, f"f:{name}"), into)


def remove(node: Node | None, value: Any, paths: Iterable[Path]) -> Any:
    """`value` without what stands at `paths`."""
    heads: dict[str, list[Path]] = {}
    for path in paths:
        if path:
            heads.setdefault(path[0], []).append(path[1:])
    if not heads or node is None or is_leaf(node):
        return value
    if isinstance(node, ListOf):
        kept = []
        for item in value:
            tails = heads.get(item_element(node, item))
            if tails is None:
                kept.append(item)
            elif () not in tails:
                kept.append(remove(node.item, item, tails))
        return kept
    result = {}
    for name, item in value.items():
        tails = heads.get(f"f:{name}")
        if tails is None:
            result[name] = item
        elif () not in tails:
            result[name] = remove(child(node, name), item, tails)
    return result
