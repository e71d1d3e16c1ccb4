"""What a person asks for, laid over the spec that runs."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import InvalidInput
from deploy.specs.overlay import (
    EXAMPLE,
    as_words,
    both,
    from_file,
    from_words,
    from_yaml,
    merged,
    patch_between,
    unpinned,
)
from deploy.specs.spec import spec_from_mapping
from tests.support.specs import MAPPINGS


def test_words_become_nested_fields_with_yaml_values() -> None:
    words = ["logs.level=warn", "rollout.maxSurge=1", "metrics.cloud=false", "labels.a=b=c"]
    assert from_words(words) == {
        "logs": {"level": "warn"},
        "rollout": {"maxSurge": 1},
        "metrics": {"cloud": False},
        "labels": {"a": "b=c"},
    }


_KEYS = st.from_regex(r"[a-z][A-Za-z]{0,8}", fullmatch=True)
_LABELS = st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5})?(/[a-z]{1,5})?", fullmatch=True)
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.from_regex(r"[ -~äß→]{0,12}", fullmatch=True),
    st.lists(st.from_regex(r"[ -~]{0,6}", fullmatch=True), max_size=2),
)


@given(
    st.dictionaries(
        _KEYS.filter(lambda key: key not in EXAMPLE and key != "name"),
        st.recursive(
            _VALUES,
            lambda below: st.dictionaries(_KEYS | _LABELS, below, max_size=3),
            max_leaves=8,
        ),
        max_size=3,
    )
)
def test_any_patch_is_words_that_stand_for_it(patch: dict[str, Any]) -> None:
    assert from_words(as_words(patch)) == patch


@pytest.mark.parametrize("word", ["level", "=1", "a..b=1", ".a=1", ""])
def test_a_word_without_a_path_and_a_value_is_explained(word: str) -> None:
    with pytest.raises(InvalidInput, match="is not a path and a value"):
        from_words([word])


def test_a_path_below_a_value_is_refused() -> None:
    with pytest.raises(InvalidInput, match="below a field"):
        from_words(["a=1", "a.b=2"])


@pytest.mark.parametrize("key", ["cluster", "namespace", "name", "gateway"])
def test_what_names_the_gateway_cannot_be_set(key: str) -> None:
    with pytest.raises(InvalidInput, match="identifies the gateway and cannot be set"):
        from_words([f"{key}=x"])
    with pytest.raises(InvalidInput, match="identifies the gateway and cannot be set"):
        from_yaml(f"{key}: x")


@pytest.mark.parametrize("text", ["- a", "word", "3"])
def test_yaml_that_is_no_mapping_is_explained(text: str) -> None:
    with pytest.raises(InvalidInput, match="keys with values"):
        from_yaml(text)


def test_null_brings_a_default_back_and_lists_are_replaced() -> None:
    under = {"logs": {"level": "warn", "format": "json"}, "pull": ["a"]}
    over = {"logs": {"level": None}, "pull": ["b"]}
    assert merged(under, over) == {"logs": {"format": "json"}, "pull": ["b"]}


OLD = {"image": {"tag": "2.11.1", "digest": "sha256:a"}}


@pytest.mark.parametrize(
    ("asked", "digest"),
    [
        ({"tag": "2.12.1"}, None),
        ({"tag": "2.11.1"}, "sha256:a"),
        ({}, "sha256:a"),
        ({"tag": "2.12.1", "digest": "sha256:a"}, "sha256:a"),
        ({"tag": "2.12.1", "digest": "sha256:b"}, "sha256:b"),
        ({"tag": "2.12.1", "digest": None}, None),
    ],
)
def test_a_digest_goes_with_the_tag_that_it_pins_unless_it_is_asked_for(
    asked: dict[str, Any], digest: str | None
) -> None:
    over = {"image": asked}
    after = unpinned(OLD, merged(OLD, over), over)
    assert after["image"].get("digest") == digest
    assert after["image"]["tag"] == asked.get("tag", "2.11.1")


_trees: Any = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3),
    max_leaves=8,
)
_mappings: Any = st.dictionaries(st.text("abc", min_size=1, max_size=2), _trees, max_size=3)


@given(_mappings, _mappings)
def test_laying_something_over_twice_is_laying_it_over_once(under: Any, over: Any) -> None:
    once = merged(under, over)
    assert merged(once, over) == once


@given(MAPPINGS, MAPPINGS)
def test_a_patch_between_two_specs_makes_the_one_of_the_other(before: Any, after: Any) -> None:
    patch = patch_between(before, after)
    assert merged(before, patch) == merged({}, after)
    assert patch_between(before, before) == {}


@given(MAPPINGS, MAPPINGS)
def test_what_was_said_by_name_stays_in_a_patch_though_it_changes_nothing(
    before: Any, after: Any
) -> None:
    named = {key: after[key] for key in after if key in before}
    patch = both(patch_between(before, after), named)
    assert set(named) <= set(patch)
    assert merged(before, patch) == merged({}, after)


_PATCHES = st.recursive(
    st.none() | st.integers(0, 3),
    lambda below: st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=6,
)
_MAPPINGS = st.dictionaries(st.sampled_from("abc"), _PATCHES, max_size=3)


@given(_MAPPINGS, _MAPPINGS, _MAPPINGS, _MAPPINGS)
def test_one_patch_does_what_two_and_three_do_one_after_the_other(
    before: dict[str, Any], first: dict[str, Any], then: dict[str, Any], last: dict[str, Any]
) -> None:
    under = merged({}, before)
    one_by_one = merged(merged(merged(under, first), then), last)
    assert merged(under, both(both(first, then), last)) == one_by_one
    assert merged(under, both(first, both(then, last))) == one_by_one
    patch = both(first, then)
    assert from_words(as_words(patch)) == patch


def test_a_mapping_that_one_patch_removes_and_the_next_sets_is_that_of_the_next() -> None:
    patch = both({"podLabels": None}, {"podLabels": {"team": "b"}})
    assert merged({"podLabels": {"team": "a", "tier": "1"}}, patch) == {"podLabels": {"team": "b"}}


@given(st.text())
def test_any_words_either_become_fields_or_are_explained(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert isinstance(from_words([text]), dict)


def test_a_file_is_a_whole_spec_or_one_that_leaves_out_which_gateway_and_where() -> None:
    assert from_file("replicas: 2\nlogs: null") == {"replicas": 2}
    assert from_file("gateway: edge-1\ncluster: west")["gateway"] == "edge-1"


@pytest.mark.parametrize(
    ("text", "said"),
    [("- a", "not a spec"), ("", "not a spec"), ("replica: 2", "replica"), ("replicas: x", "replicas"),
     ("a: [", "not YAML"), ("apim: x", "apim"), ("image: [1]", "image")],
)  # fmt: skip
def test_a_file_that_is_no_spec_is_explained(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        from_file(text)


@pytest.mark.parametrize(
    "value",
    ["!!bool maybe", "!!int ''", "!!float ''", "!!timestamp then", '"\\UFFFFFFFF"',
     "!!map [[a, b]]", "0x" + "f" * 9000, "1" + ":1" * 9000, "1" * 9000],
)  # fmt: skip
def test_a_value_that_only_yaml_could_have_is_explained(value: str) -> None:
    for read in (from_file, lambda text: from_words([text.replace(": ", "=", 1)])):
        with pytest.raises(InvalidInput):
            read(f"replicas: {value}")
    with pytest.raises(InvalidInput):
        spec_from_mapping(merged(EXAMPLE, from_yaml(f"image: {{tag: {value}}}")))
