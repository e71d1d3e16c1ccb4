"""The difference between two versions of one object, field by field, as a person names fields."""

from collections.abc import Iterator
from typing import Any

from deploy.kube.objects import Manifest
from deploy.plans.plan import FieldChange, ObjectChange

_IGNORED_METADATA = frozenset(
    {
        "managedFields",
        "resourceVersion",
        "generation",
        "uid",
        "creationTimestamp",
        "selfLink",
    }
)
_IGNORED_ANNOTATIONS = frozenset(
    {
        "deployment.kubernetes.io/revision",
        "kubectl.kubernetes.io/last-applied-configuration",
        "gateway-bot.io/action",
        "gateway-bot.io/requested-by",
    }
)
_KEYS = (
    ("containerPort", "protocol"),
    ("port", "protocol"),
    ("topologyKey",),
    ("mountPath",),
    ("name",),
    ("key",),
    ("ip",),
    ("type",),
)
"""What tells the entries of a list apart (the list-map keys of Kubernetes' API)."""


def field_changes(kind: str, live: Manifest, wanted: Manifest) -> tuple[FieldChange, ...]:
    """Every field that differs; what the API server or other tools keep for themselves left out."""
    template = "spec.template." if kind == "Deployment" else "\0"
    return tuple(
        FieldChange(path, old, new, restarts_pods=path.startswith(template))
        for path, old, new in _walk("", _own(live), _own(wanted))
    )


def is_made(change: ObjectChange, live: Manifest | None) -> bool:
    """Whether the object is as the change was to make it."""
    if change.change == "delete" or live is None:
        return change.change == "delete" and live is None
    if change.change == "create":
        return True
    own = _own(live)
    return all(_value(own, "", field.path) == field.new for field in change.fields)


def _value(item: Any, at: str, path: str) -> Any:
    """What is at a path that `_walk` has made; None where there is nothing."""
    if at == path:
        return item
    children = item if isinstance(item, dict) else _keyed(item) if isinstance(item, list) else None
    form = ".{}" if isinstance(item, dict) else "[{}]"
    for key, child in (children or {}).items():
        name = _named(at, key, form)
        if path == name or path.startswith((f"{name}.", f"{name}[")):
            return _value(child, name, path)
    return None


def _own(manifest: Manifest) -> Manifest:
    kept = {k: v for k, v in manifest.items() if k not in ("status", "apiVersion", "kind")}
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in _IGNORED_METADATA}
    annotations = {
        k: v
        for k, v in (metadata.pop("annotations", None) or {}).items()
        if k not in _IGNORED_ANNOTATIONS
    }
    if annotations:
        metadata["annotations"] = annotations
    return {**kept, "metadata": metadata}


def _walk(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if old == new:
        return
    if path.endswith(("metadata.labels", "metadata.annotations")):
        # Absent and empty mean the same here, and each entry is worth a line of its own.
        old, new = old or {}, new or {}
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _walk_keys(path, old, new, ".{}")
        return
    if isinstance(old, list) and isinstance(new, list):
        keyed = _keyed(old), _keyed(new)
        if keyed[0] is not None and keyed[1] is not None:
            yield from _walk_keys(path, keyed[0], keyed[1], "[{}]")
            return
    yield path, old, new


def _walk_keys(
    path: str, old: dict[str, Any], new: dict[str, Any], form: str
) -> Iterator[tuple[str, Any, Any]]:
    for key in [*old, *(k for k in new if k not in old)]:
        yield from _walk(_named(path, key, form), old.get(key), new.get(key))


def _named(path: str, key: str, form: str) -> str:
    # A key that itself holds dots, as an annotation's does, is quoted as kubectl quotes it.
    name = f'["{key}"]' if form == ".{}" and "." in key else form.format(key)
    return (path + name).lstrip(".")


def _keyed(items: list[Any]) -> dict[str, Any] | None:
    if not all(isinstance(item, dict) for item in items):
        return None
    for keys in _KEYS:
        if all(keys[0] in item for item in items):
            named = {"/".join(str(item[k]) for k in keys if k in item): item for item in items}
            if len(named) == len(items):
                return named
    return None
