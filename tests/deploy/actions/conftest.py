"""A Redis and a cluster for those who carry actions out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.actions.fencing import Fences, lease_name
from deploy.actions.store import ActionStore
from deploy.kube.cluster import Cluster
from deploy.kube.cluster import connect as connect_cluster
from tests.support.actions import CODEC, REF
from tests.support.redis_servers import started
from tests.support.running_cluster import RunningCluster


@pytest.fixture(scope="module")
def west(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with namespace `dev`."""
    directory = tmp_path_factory.mktemp("west")
    with RunningCluster(directory, namespaces=("dev",), with_kubelet=False) as running:
        found = connect_cluster("west", kubeconfig=running.kubeconfig())
        yield found
        found.close()


@pytest.fixture
def fences(west: Cluster) -> Fences:
    """As on a new cluster."""
    west.delete("Lease", REF.namespace, lease_name(REF))
    return Fences({"west": west})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    """A Redis of the test's own."""
    yield from started("valkey", tmp_path / "redis")


@pytest.fixture
def client(server: Valkey) -> Any:
    """A connection to it."""
    return connect(server.url)


@pytest.fixture
def store(client: Any) -> ActionStore:
    """Its actions."""
    return ActionStore(client, CODEC)
