"""JSON patch, JSON merge patch and strategic merge patch. Pure; the target is never changed."""

from typing import Any

from bot.sandbox.cluster.errors import ApiError, bad_request
from bot.sandbox.cluster.objects import copy
from bot.sandbox.cluster.schema import ListOf, MapOf, Node, Scalar, Struct, child


def _rejected() -> ApiError:
    return ApiError(
        422, "Invalid", "the server rejected our request due to an error in our request", {}
    )


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902. ApiError 422 when an operation cannot be done, 400 when the patch is none."""
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value")
    document = copy(target)
    for operation in operations:
        kind = operation.get("op")
        path = _pointer(operation.get("path", ""))
        if kind == "add":
            document = _add(document, path, copy(operation.get("value")))
        elif kind == "remove":
            _remove(document, path)
        elif kind == "replace":
            _find(document, path)
            document = _replace(document, path, copy(operation.get("value")))
        elif kind in ("move", "copy"):
            source = _pointer(operation.get("from", ""))
            value = copy(_find(document, source))
            if kind == "move":
                _remove(document, source)
            document = _add(document, path, value)
        elif kind == "test":
            try:
                found = _find(document, path)
            except ApiError:
                found = None
            if found != operation.get("value"):
                raise _rejected()
        else:
            raise _rejected()
    return document


def _pointer(text: str) -> list[str]:
    if text == "":
        return []
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]


def _index(items: list[Any], step: str, *, end: int) -> int:
    if not step.isdigit() or int(step) >= end:
        raise _rejected()
    return int(step)


def _find(document: Any, path: list[str]) -> Any:
    for step in path:
        if isinstance(document, list):
            document = document[_index(document, step, end=len(document))]
        elif isinstance(document, dict) and step in document:
            document = document[step]
        else:
            raise _rejected()
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _find(document, path[:-1])
    if isinstance(parent, list):
        step = path[-1]
        at = len(parent) if step == "-" else _index(parent, step, end=len(parent) + 1)
        parent.insert(at, value)
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise _rejected()
    return document


def _replace(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _find(document, path[:-1])
    if isinstance(parent, list):
        parent[int(path[-1])] = value
    else:
        parent[path[-1]] = value
    return document


def _remove(document: Any, path: list[str]) -> None:
    _find(document, path)
    parent = _find(document, path[:-1])
    if isinstance(parent, list):
        del parent[int(path[-1])]
    else:
        del parent[path[-1]]


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


# patchMergeKey where it is not simply the first list-map key.
_ATOMIC_BUT_MERGED: dict[str, str] = {"imagePullSecrets": "name", "secrets": "name"}

_DIRECTIVES = ("$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys", "$patch")


def strategic_merge(node: Node | None, target: Any, patch: Any) -> Any:
    """Kubernetes' strategic merge patch: lists with a merge key are merged item by item."""
    if not isinstance(patch, dict):
        return copy(patch)
    directive = patch.get("$patch")
    if directive == "replace":
        return {k: copy(v) for k, v in patch.items() if k != "$patch"}
    if directive == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    if "$retainKeys" in patch:
        result = {k: v for k, v in result.items() if k in patch["$retainKeys"]}
    for name, doomed in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.split("/", 1)[1]
            result[field] = [item for item in result.get(field) or [] if item not in doomed]
    for name, value in patch.items():
        if name.startswith(_DIRECTIVES):
            continue
        below = child(node, name) if isinstance(node, Struct | MapOf) else None
        if value is None:
            result.pop(name, None)
        elif isinstance(value, list):
            order = patch.get(f"$setElementOrder/{name}")
            result[name] = _merge_list(below, name, result.get(name), value, order)
        else:
            result[name] = strategic_merge(below, result.get(name), value)
    for name, order in patch.items():
        if name.startswith("$setElementOrder/") and name.split("/", 1)[1] not in patch:
            field = name.split("/", 1)[1]
            below = child(node, field) if isinstance(node, Struct) else None
            if isinstance(result.get(field), list):
                result[field] = _merge_list(below, field, result[field], [], order)
    return result


def _merge_key(node: Node | None, name: str) -> str | None:
    if isinstance(node, ListOf) and node.keys:
        return node.keys[0]
    return _ATOMIC_BUT_MERGED.get(name)


def _merge_list(
    node: Node | None, name: str, live: Any, patch: list[Any], order: list[Any] | None
) -> list[Any]:
    if isinstance(node, ListOf) and node.is_set:
        current = list(live or [])
        return current + [item for item in patch if item not in current]
    key = _merge_key(node, name)
    if key is None or not isinstance(node, ListOf) or isinstance(node.item, Scalar):
        return [copy(item) for item in patch]
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [copy(item) for item in patch if item.get("$patch") != "replace"]
    items = list(live or [])
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        at = next((i for i, found in enumerate(items) if found.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del items[at]
        elif at is None:
            items.append(strategic_merge(node.item, {}, item))
        else:
            items[at] = strategic_merge(node.item, items[at], item)
    if order:
        rank = {entry.get(key): i for i, entry in enumerate(order) if isinstance(entry, dict)}
        items.sort(key=lambda item: rank.get(item.get(key), len(rank)))
    return items
