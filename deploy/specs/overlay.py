"""Laying what a person asks for over the spec that runs: `path=value` words, or a piece of YAML. Pure."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from deploy.errors import InvalidInput
from deploy.specs.spec import load_yaml, spec_from_mapping, with_pin

_FIXED = {
    "gateway": "Name it first in the command.",
    "cluster": "Use --to.",
    "namespace": "Use --to.",
    "name": "Use --name.",
}
"""Fields that say which gateway is meant; changing one would be about another gateway."""


EXAMPLE: Mapping[str, Any] = {
    "gateway": "edge",
    "apim": {"instance": "example", "endpoint": "example.configuration.azure-api.net"},
    "cluster": "example",
    "namespace": "example",
    "image": {"tag": "2.11.1"},
}
"""The rest of a spec, for reading a piece of one before anything is asked."""


NEW: Mapping[str, Any] = {
    "placement": {"nodeSelector": {"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"}}
}
"""Under what is asked of a gateway that does not run yet: the nodes that its image is built for (issue
192 of the gateway's repository, 2026-11-28). One that runs keeps its nodes, and a file says all."""


_ALONE = ""
"""A key beside which, with null, a mapping replaces what is there in place of being laid over it. No
field and no label is called so; a bot that does not know it lays the mapping over what is there."""


def from_words(words: Iterable[str]) -> dict[str, Any]:
    """The mapping that `rollout.maxSurge=1` and the like stand for; values are read as YAML.

    InvalidInput for a word that has no `=`, an empty path, or one path below another's value.
    """
    found: dict[str, Any] = {}
    for word in words:
        path, equals, text = word.partition("=")
        steps = path.split(".")
        if not equals or not all(steps):
            raise InvalidInput(
                f"“{word[:80]}” is not a path and a value.",
                field="set",
                remedy="Write both, for example rollout.maxSurge=1.",
            )
        here = found
        for step in steps[:-1]:
            here = here.setdefault(step, {})
            if not isinstance(here, dict):
                raise InvalidInput(f"{path} is below a field that has a value.", field=path)
        here[steps[-1]] = _scalar(path, text)
    _check(found)
    return with_pin(found)


def as_words(patch: Mapping[str, Any]) -> list[str]:
    """The words that stand for a patch: `from_words` reads the same from them."""
    found = []
    for key, value in patch.items():
        deep = isinstance(value, Mapping) and value and all(value)
        deep = deep and not any(set(".=") & set(k) for k in value)
        if deep:
            found += [f"{key}.{word}" for word in as_words(value)]
        else:
            found.append(f"{key}={json.dumps(value, ensure_ascii=False)}")
    return found


def from_yaml(text: str) -> dict[str, Any]:
    """The mapping in a piece of YAML; empty text is an empty one. InvalidInput says what is wrong."""
    found = load_yaml(text) if text.strip() else {}
    if not isinstance(found, dict):
        raise InvalidInput(
            "Further fields must be YAML keys with values.",
            field="more",
            remedy="Write for example “logs:” and below it “  level: warn”.",
        )
    _check(found)
    return with_pin(found)


def from_file(text: str) -> dict[str, Any]:
    """The mapping in a file that says a whole gateway, or all but which one and where.

    InvalidInput says what is wrong, once what it leaves out is given.
    """
    found = load_yaml(text)
    if not isinstance(found, dict):
        raise InvalidInput("The file is not a spec: it must be YAML keys with values.")
    spec_from_mapping(merged(EXAMPLE, found))
    return with_pin(merged({}, found))


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `under`: mappings are merged, null brings a default back, the rest replaces."""
    found = {} if _stands_alone(over) else dict(under)
    for key, value in over.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, Mapping):
            below = found.get(key)
            found[key] = merged(below if isinstance(below, Mapping) else {}, value)
        else:
            found[key] = value
    return found


def patch_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What laid on `before` gives `after`; null where `after` has no such field."""
    found: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        under = before.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            below = patch_between(under, value)
            if below:
                found[key] = below
        elif key not in before or value != under:
            found[key] = value
    return found


def both(first: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    """One patch that does what two do, one after the other; nulls are kept, as they undo fields."""
    if _stands_alone(then):
        return dict(then)
    found = dict(first)
    for key, value in then.items():
        under = found.get(key)
        if not isinstance(value, Mapping) or key not in first:
            found[key] = value
        elif isinstance(under, Mapping):
            found[key] = both(under, value)
        else:
            # What was there is gone by then.
            found[key] = {_ALONE: None, **value}
    return found


def _stands_alone(patch: Mapping[str, Any]) -> bool:
    return patch.get(_ALONE, 0) is None


def unpinned(
    before: Mapping[str, Any], after: dict[str, Any], asked: Mapping[str, Any]
) -> dict[str, Any]:
    """`after` without the digest that pins the tag of `before` and not its own. One that is `asked` for,
    in what was laid over `before`, stays whatever it is."""
    old, new = before.get("image") or {}, after.get("image") or {}
    named = (asked.get("image") or {}).get("digest")
    if named or new.get("tag") == old.get("tag") or new.get("digest") != old.get("digest"):
        return after
    return {**after, "image": {key: value for key, value in new.items() if key != "digest"}}


def _scalar(path: str, text: str) -> Any:
    try:
        return load_yaml(text)
    except InvalidInput as error:
        raise InvalidInput(f"The value of {path} cannot be read.", field=path) from error


def _check(given: Mapping[str, Any]) -> None:
    for key, remedy in _FIXED.items():
        if key in given:
            raise InvalidInput(
                f"{key} identifies the gateway and cannot be set.",
                field=key,
                remedy=remedy,
            )
