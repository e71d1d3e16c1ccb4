"""The difference between two versions of one object, field by field, as a person names fields."""

import re
from collections.abc import Iterator
from typing import Any

from deploy.kube.objects import Manifest
from deploy.masking import HIDDEN, hide_secrets
from deploy.observed.sign_in import AUTH_KEY, sign_in_text
from deploy.plans.plan import FieldChange, ObjectChange
from deploy.specs.settings import AUTH, SECRET_SETTING

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
        "gateway-bot.io/written",
        "gateway-bot.io/idle",
        "gateway-bot.io/rewritten-image",
    }
)
_SETTING = re.compile(r'\["([^"]+)"\]$|\[([^\]]+)\]\.value$')
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
    """Every field that differs; what the API server or other tools keep for themselves left out.

    A plan is stored and shown, so what stood in plain text is in it without its secrets.
    """
    template = "spec.template." if kind == "Deployment" else "\0"
    return tuple(
        FieldChange(
            path,
            _masked(old, _set_by(path)),
            _masked(new, _set_by(path)),
            restarts_pods=path.startswith(template),
        )
        for path, old, new in _walk("", _own(live), _own(wanted))
    )


def _set_by(path: str) -> str:
    """The setting whose value is at a path; empty where that is none."""
    found = _SETTING.search(path)
    return (found[1] or found[2]) if found else ""


def _masked(value: Any, name: str) -> Any:
    """The value of a setting, or of what holds settings, without secrets."""
    if isinstance(value, str):
        if name.lower() in (AUTH, AUTH_KEY):
            return sign_in_text(value)
        return HIDDEN if name == SECRET_SETTING else hide_secrets(value)
    if isinstance(value, dict):
        variable = str(value.get("name", ""))
        return {k: _masked(v, variable if k == "value" else k) for k, v in value.items()}
    return [_masked(each, name) for each in value] if isinstance(value, list) else value


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
    in_list = isinstance(item, list)
    children = keyed(item) if in_list else item if isinstance(item, dict) else None
    for key, child in (children or {}).items():
        name = step(at, key, in_list=in_list)
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
        yield from _walk_keys(path, old, new, in_list=False)
        return
    if isinstance(old, list) and isinstance(new, list):
        before, after = keyed(old), keyed(new)
        if before is not None and after is not None:
            yield from _walk_keys(path, before, after, in_list=True)
            return
    yield path, old, new


def _walk_keys(
    path: str, old: dict[str, Any], new: dict[str, Any], *, in_list: bool
) -> Iterator[tuple[str, Any, Any]]:
    for key in [*old, *(k for k in new if k not in old)]:
        yield from _walk(step(path, key, in_list=in_list), old.get(key), new.get(key))


def step(path: str, key: str, *, in_list: bool) -> str:
    """The path one key deeper; one that itself holds dots, as an annotation's does, is quoted as
    kubectl quotes it."""
    if in_list:
        return f"{path}[{key}]"
    return f'{path}["{key}"]' if "." in key else f"{path}.{key}".lstrip(".")


def keyed(items: list[Any]) -> dict[str, Any] | None:
    """A list's entries by what tells them apart; None where nothing does."""
    if not all(isinstance(item, dict) for item in items):
        return None
    for keys in _KEYS:
        if all(keys[0] in item for item in items):
            named = {"/".join(str(item[k]) for k in keys if k in item): item for item in items}
            if len(named) == len(items):
                return named
    return None
