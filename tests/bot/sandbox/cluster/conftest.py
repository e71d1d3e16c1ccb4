"""A running cluster for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.running_cluster import RunningCluster

Obj = dict[str, Any]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RunningCluster]:
    """A cluster with namespace `gw` and a kubelet that starts pods in 20 ms."""
    with RunningCluster(tmp_path) as running:
        yield running


@pytest.fixture
def deployment() -> Obj:
    """A Deployment `gw` of two replicas."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "gw", "labels": {"app": "gw"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "gw"}},
            "template": {
                "metadata": {"labels": {"app": "gw"}},
                "spec": {"containers": [{"name": "gw", "image": "example/gateway:1.0"}]},
            },
        },
    }
