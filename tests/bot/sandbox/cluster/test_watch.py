"""Watches and lists: versions, bookmarks, selectors, paging."""

import json
from typing import Any

from tests.support.running_cluster import RunningCluster

Obj = dict[str, Any]

_MAPS = "/api/v1/namespaces/gw/configmaps"


def _config_map(name: str, **labels: str) -> Obj:
    return {"metadata": {"name": name, "labels": labels}, "data": {"k": "v"}}


def test_a_restored_snapshot_is_the_same_cluster_with_the_same_identity(
    cluster: RunningCluster,
) -> None:
    cluster.request("POST", _MAPS, _config_map("kept"))
    system = cluster.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    data = json.loads(json.dumps(cluster.call(cluster.cluster.snapshot)))
    cluster.request("DELETE", f"{_MAPS}/kept")
    cluster.call(lambda: cluster.cluster.restore(data))
    assert cluster.get(f"{_MAPS}/kept")["data"] == {"k": "v"}
    assert cluster.get("/api/v1/namespaces/kube-system")["metadata"]["uid"] == system
    assert cluster.changes > 0
