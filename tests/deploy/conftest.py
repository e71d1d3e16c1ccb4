"""A cluster that answers as a real one, and the bot's client of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.kube.cluster import Cluster, connect
from deploy.kube.connection import Timeouts
from tests.support.running_cluster import RunningCluster

TIMEOUTS = Timeouts(connect=10.0, read=30.0, repeat=0.5)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningCluster]:
    """A cluster with namespace `dev` whose kubelet starts pods in 20 ms."""
    with RunningCluster(tmp_path, namespaces=("dev",)) as cluster:
        yield cluster


@pytest.fixture
def cluster(running: RunningCluster) -> Iterator[Cluster]:
    """The bot's client, allowed to do everything."""
    client = connect("west", kubeconfig=running.kubeconfig(), context="west", timeouts=TIMEOUTS)
    yield client
    client.close()
