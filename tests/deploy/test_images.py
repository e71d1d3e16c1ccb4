from collections.abc import Iterator

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.registry import Registry as RegistryServer
from deploy.errors import NotFound, Unavailable
from deploy.images import Registry, sort_tags, support, version_of
from tests.support.loops import running

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
        ("2.13.0", "supported"),
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


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    registry = RegistryServer(repository="azure-api-management/gateway", tags=TAGS)
    with running(registry):
        yield registry


def test_tags_are_read_and_kept_for_a_minute(server: RegistryServer) -> None:
    now = [0.0]
    registry = Registry(requests.Session(), base_url=server.url, clock=lambda: now[0])
    assert sorted(registry.tags()) == sorted(TAGS)
    server.faults.set("down", True)
    assert sorted(registry.tags()) == sorted(TAGS)
    now[0] = 61.0
    with pytest.raises(Unavailable, match="does not answer"):
        registry.tags()


def test_a_repository_that_is_not_there_is_named(server: RegistryServer) -> None:
    registry = Registry(requests.Session(), base_url=server.url, repository="nobody/nothing")
    with pytest.raises(NotFound, match="nobody/nothing"):
        registry.tags()
