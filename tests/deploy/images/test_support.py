"""What support a tag has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.images.support import sort_tags, support, version_of

TAGS = ["2.9.2", "2.10.1", "2.11.0", "2.11.1", "2.12.1", "v2", "v2-preview", "latest", "beta"]


@pytest.mark.parametrize(
    ("tag", "state"),
    [
        ("2.12.1", "supported"),
        ("2.10.1", "supported"),
        ("2.9.2", "unsupported"),
        ("v2", "rolling"),
        ("latest", "rolling"),
        ("v2-preview", "preview"),
        ("beta", "preview"),
        ("2.13.0", "unknown"),
        ("2.99.0", "unknown"),
        ("2.12.9", "unknown"),
        ("3.0.0", "unknown"),
        ("2.12.0", "supported"),
        ("2.8.7", "unsupported"),
        ("sha256:0123", "unknown"),
    ],
)
def test_the_three_newest_minor_versions_are_supported(tag: str, state: str) -> None:
    assert support(tag, TAGS).state == state


def test_the_newest_version_comes_first_and_moving_tags_last() -> None:
    assert sort_tags(TAGS)[:3] == ["2.12.1", "2.11.1", "2.11.0"]
    assert not version_of(sort_tags(TAGS)[-1])


@given(st.lists(st.text(max_size=12)))
def test_any_tags_can_be_sorted(tags: list[str]) -> None:
    assert sorted(sort_tags(tags)) == sorted(tags)
