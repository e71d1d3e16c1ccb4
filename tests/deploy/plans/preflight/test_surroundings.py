"""A plan waits for what it looks at beside its own objects, and not for long."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from deploy.errors import NotGranted
from deploy.kube.places import Places
from deploy.plans.preflight import surroundings
from deploy.plans.preflight.surroundings import Surroundings
from tests.support.waiting import until


class Slow:
    """A cluster whose nodes are listed once they may be."""

    name = "west"
    places = Places("west")

    def __init__(self) -> None:
        self.may = threading.Event()
        self.nodes_read = False
        self.pool = ThreadPoolExecutor(8)

    def begin(self, call: Callable[[], Any]) -> Future[Any]:
        return self.pool.submit(call)

    def version(self) -> str:
        return "v1.29.4-gke.100"

    def list(self, kind: str, namespace: str) -> Any:
        raise NotGranted(f"The bot is not allowed to list {kind} in {namespace}.")

    def list_at(self, kind: str, namespace: str | None, shape: Any) -> tuple[Any, str]:
        if kind == "Node":
            assert self.may.wait(60)
            self.nodes_read = True
        return [{"metadata": {"name": kind}}], "1"


@pytest.fixture
def slow() -> Iterator[Any]:
    cluster = Slow()
    yield cluster
    cluster.may.set()
    cluster.pool.shutdown()


def test_of_nodes_that_take_long_to_list_nothing_is_said_before_the_next_plan(
    slow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "_LONGEST_SECONDS", 0.1)
    around = Surroundings()
    first = around.begin(slow, "dev", ()).outlook(())
    assert (first.nodes, first.quotas, first.limits) == (None, None, None)
    assert first.version == "v1.29.4-gke.100"
    slow.may.set()
    until(lambda: slow.nodes_read, "the nodes")
    monkeypatch.setattr(surroundings, "_LONGEST_SECONDS", 60.0)
    second = around.begin(slow, "dev", ()).outlook(())
    assert second.nodes == ({"metadata": {"name": "Node"}},)


def test_a_version_that_cannot_be_read_stops_no_plan(slow: Any) -> None:
    def version() -> str:
        raise KeyError("gitVersion")

    slow.version = version
    slow.may.set()
    found = Surroundings().begin(slow, "dev", ()).outlook(())
    assert found.version == ""
