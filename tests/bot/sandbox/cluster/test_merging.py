"""Properties of the pure parts: field sets, server-side apply, patches, quantities, selectors."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.sandbox.cluster import apply, patches, quantity, selectors
from bot.sandbox.cluster.errors import ApiError
from bot.sandbox.cluster.fieldset import (
    compare,
    display,
    fields_of,
    from_fields_v1,
    remove,
    to_fields_v1,
)
from bot.sandbox.cluster.managed_fields import Manager, store, without_managed
from bot.sandbox.cluster.schema import struct

Obj = dict[str, Any]

_NODE = struct("V1Deployment")
_ONE = Manager("one", "Apply", "apps/v1")
_TWO = Manager("two", "Apply", "apps/v1")

_brief = settings(max_examples=40, deadline=None)

_SPEC = ("f:spec",)
_POD_SPEC = (*_SPEC, "f:template", "f:spec")
# Structs that an apply leaves empty when it takes their last field out.
_CONTAINERS = {
    _SPEC,
    _POD_SPEC[:2],
    _POD_SPEC,
    (*_POD_SPEC, "f:containers"),
    ("f:metadata", "f:labels"),
}

_words = st.text("abcxyz", min_size=1, max_size=4)
_labels = st.dictionaries(_words, _words, max_size=4)


@st.composite
def _containers(draw: st.DrawFn) -> list[Obj]:
    names = draw(st.lists(_words, unique=True, max_size=3))
    found = []
    for name in names:
        container: Obj = {"name": name, "image": draw(_words)}
        variables = draw(st.dictionaries(_words, _words, max_size=3))
        if variables:
            container["env"] = [{"name": k, "value": v} for k, v in variables.items()]
        if draw(st.booleans()):
            container["args"] = draw(st.lists(_words, min_size=1, max_size=3))
        found.append(container)
    return found


@st.composite
def _configurations(draw: st.DrawFn) -> Obj:
    found: Obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "gw"}}
    labels = draw(_labels)
    if labels:
        found["metadata"]["labels"] = labels
    spec: Obj = {}
    if draw(st.booleans()):
        spec["replicas"] = draw(st.integers(0, 9))
    containers = draw(_containers())
    if containers:
        spec["template"] = {"spec": {"containers": containers}}
    if spec:
        found["spec"] = spec
    return found


def _apply(live: Obj, wanted: Obj, who: Manager, *, force: bool = False) -> Obj:
    done = apply.apply(_NODE, live, wanted, who, "2026-01-01T00:00:00Z", force=force, where="gw")
    obj = json.loads(json.dumps(done.obj))
    store(obj, done.managers)
    found: Obj = obj
    return found


@_brief
@given(_configurations())
def test_field_sets_survive_their_stored_form(config: Obj) -> None:
    paths = fields_of(_NODE, config)
    assert from_fields_v1(to_fields_v1(paths)) == paths


@_brief
@given(_configurations())
def test_an_object_does_not_differ_from_itself(config: Obj) -> None:
    comparison = compare(_NODE, config, config)
    assert not comparison.written
    assert not comparison.removed


@_brief
@given(_configurations())
def test_applying_twice_is_applying_once(config: Obj) -> None:
    once = _apply({"metadata": {}}, config, _ONE)
    assert _apply(once, config, _ONE) == once


@_brief
@given(_configurations(), _configurations())
def test_a_second_apply_leaves_what_it_names_and_nothing_of_the_first(
    first: Obj, second: Obj
) -> None:
    live = _apply({"metadata": {}}, first, _ONE)
    live = _apply(live, second, _ONE)
    assert not compare(_NODE, second, live).modified
    assert fields_of(_NODE, without_managed(live)) - _CONTAINERS == (
        fields_of(_NODE, second) - _CONTAINERS
    )


@_brief
@given(_configurations(), _configurations())
def test_two_managers_conflict_exactly_where_they_differ(first: Obj, second: Obj) -> None:
    live = _apply({"metadata": {}}, first, _ONE)
    differ = compare(_NODE, first, second).modified
    if differ:
        with pytest.raises(ApiError) as failure:
            _apply(live, second, _TWO)
        named = {cause["field"] for cause in failure.value.status["details"]["causes"]}
        assert named == {display(path) for path in differ}
    after = _apply(live, second, _TWO, force=True)
    assert not compare(_NODE, second, after).modified


@_brief
@given(_configurations())
def test_removing_every_field_leaves_nothing_that_was_owned(config: Obj) -> None:
    paths = fields_of(_NODE, config)
    assert not fields_of(_NODE, remove(_NODE, config, paths)) & paths


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | _words,
    lambda inner: st.dictionaries(_words, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)


@_brief
@given(_json, _json)
def test_a_merge_patch_is_idempotent(target: Any, patch: Any) -> None:
    once = patches.merge_patch(target, patch)
    assert patches.merge_patch(once, patch) == once


@_brief
@given(st.dictionaries(_words, _json, min_size=1, max_size=3), _words, _json)
def test_adding_then_removing_by_json_patch_is_no_change(
    target: Obj, name: str, value: Any
) -> None:
    if name in target:
        return
    before = json.loads(json.dumps(target))
    path = f"/{name}"
    steps = [{"op": "add", "path": path, "value": value}, {"op": "remove", "path": path}]
    assert patches.json_patch(target, steps) == before
    assert target == before


def test_a_json_patch_of_a_missing_path_is_refused() -> None:
    with pytest.raises(ApiError) as failure:
        patches.json_patch({"a": 1}, [{"op": "remove", "path": "/b"}])
    assert failure.value.code == 422


@_brief
@given(_containers(), _containers())
def test_a_strategic_merge_keeps_every_container_and_takes_the_patchs_values(
    live: list[Obj], wanted: list[Obj]
) -> None:
    node = struct("V1PodSpec")
    merged = patches.strategic_merge(node, {"containers": live}, {"containers": wanted})
    images = {c["name"]: c["image"] for c in [*live, *wanted]}
    assert {c["name"]: c["image"] for c in merged["containers"]} == images


def test_a_strategic_merge_deletes_and_orders_by_directive() -> None:
    node = struct("V1PodSpec")
    live = {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}
    patch = {
        "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
        "containers": [{"name": "b", "$patch": "delete"}, {"name": "c", "image": "2"}],
    }
    merged = patches.strategic_merge(node, live, patch)
    assert [c["name"] for c in merged["containers"]] == ["c", "a"]


@pytest.mark.parametrize(
    ("given_text", "stored"),
    [
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1024Mi", "1Gi"),
        ("1500Mi", "1500Mi"),
        ("2000", "2k"),
        ("0", "0"),
        ("1e3", "1e3"),
        (2, "2"),
    ],
)
def test_quantities_are_stored_in_their_canonical_form(given_text: str, stored: str) -> None:
    assert quantity.canonical(given_text) == stored


@_brief
@given(st.integers(0, 10**9), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi"]))
def test_the_canonical_form_is_the_same_amount(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    assert quantity.parse(quantity.canonical(text)) == quantity.parse(text)
    assert quantity.canonical(quantity.canonical(text)) == quantity.canonical(text)
    assert isinstance(quantity.parse(text), Decimal)


@_brief
@given(_labels)
def test_an_equality_selector_matches_the_labels_it_was_made_of(labels: dict[str, str]) -> None:
    text = ",".join(f"{k}={v}" for k, v in labels.items())
    assert all(term.matches(labels) for term in selectors.parse_labels(text))
    assert selectors.selects({"matchLabels": labels}, {"metadata": {"labels": labels}})
