"""Fields that follow from what an object is, written while others write it too."""

from typing import Any

import pytest

from deploy.errors import Conflict
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.kube.rewriting import rewrite
from tests.support.running_cluster import RunningCluster

_PATH = "/api/v1/namespaces/dev/configmaps/settings"


class _Meanwhile:
    """What is wanted of an object, to which somebody adds a key after each of the first looks."""

    def __init__(self, running: RunningCluster, times: int) -> None:
        self._running = running
        self._times = times
        self._looks = 0

    def __call__(self, live: Manifest) -> dict[str, Any]:
        wanted = {**live["data"], "ours": "2"}
        self._looks += 1
        if self._looks <= self._times:
            body = {"data": {f"theirs-{self._looks}": "1"}}
            kind = "application/merge-patch+json"
            assert self._running.request("PATCH", _PATH, body, content_type=kind)[0] == 200
        return {"/data": wanted}


@pytest.fixture
def made(cluster: Cluster) -> Cluster:
    metadata = {"name": "settings", "namespace": "dev"}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ours": "1"}}
    cluster.create(body)
    return cluster


def test_what_another_wrote_in_between_stays_and_what_is_wanted_is_written(
    made: Cluster, running: RunningCluster
) -> None:
    assert rewrite(made, "ConfigMap", "dev", "settings", _Meanwhile(running, 2))
    live = made.get("ConfigMap", "dev", "settings")
    assert live is not None
    assert live["data"] == {"ours": "2", "theirs-1": "1", "theirs-2": "1"}


def test_an_object_that_changes_under_every_try_is_a_conflict(
    made: Cluster, running: RunningCluster
) -> None:
    with pytest.raises(Conflict):
        rewrite(made, "ConfigMap", "dev", "settings", _Meanwhile(running, 100))


def test_what_is_as_wanted_is_not_written_and_what_is_not_there_is_said(made: Cluster) -> None:
    assert rewrite(made, "ConfigMap", "dev", "settings", lambda live: {})
    assert not rewrite(made, "ConfigMap", "dev", "other", lambda live: {"/data": {}})
