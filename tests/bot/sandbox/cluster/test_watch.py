"""Watches and lists: versions, bookmarks, selectors, paging."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from tests.support.running_cluster import RunningCluster

Obj = dict[str, Any]

_MAPS = "/api/v1/namespaces/gw/configmaps"


def _config_map(name: str, **labels: str) -> Obj:
    return {"metadata": {"name": name, "labels": labels}, "data": {"k": "v"}}


def _watch(cluster: RunningCluster, query: str) -> Iterator[Obj]:
    with urllib3.PoolManager(cert_reqs="CERT_NONE", timeout=10.0) as pool:
        answer = pool.request(
            "GET",
            f"{cluster.cluster.url}{_MAPS}?watch=1&timeoutSeconds=1&{query}",
            headers={"Authorization": "Bearer admin"},
            preload_content=False,
        )
        rest = b""
        for chunk in answer.stream(None):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (json.loads(line) for line in lines)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    urllib3.disable_warnings()


def test_a_watch_from_a_version_shows_exactly_what_happened_since(cluster: RunningCluster) -> None:
    _, first, _ = cluster.request("POST", _MAPS, _config_map("one"))
    version = first["metadata"]["resourceVersion"]
    cluster.request("POST", _MAPS, _config_map("two"))
    cluster.request("DELETE", f"{_MAPS}/one")
    seen = [
        (e["type"], e["object"]["metadata"]["name"])
        for e in _watch(cluster, f"resourceVersion={version}")
    ]
    assert seen == [("ADDED", "two"), ("DELETED", "one")]


def test_initial_events_end_with_a_marked_bookmark(cluster: RunningCluster) -> None:
    cluster.request("POST", _MAPS, _config_map("one"))
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    events = list(_watch(cluster, query))
    kinds = [e["type"] for e in events]
    assert kinds == ["ADDED", "ADDED", "BOOKMARK", "BOOKMARK"]
    assert events[2]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_an_object_that_leaves_the_selection_is_deleted_for_the_watch(
    cluster: RunningCluster,
) -> None:
    _, made, _ = cluster.request("POST", _MAPS, _config_map("one", app="gw"))
    version = made["metadata"]["resourceVersion"]
    cluster.apply(
        f"{_MAPS}/one", {"apiVersion": "v1", "kind": "ConfigMap", **_config_map("one", app="x")}
    )
    events = list(_watch(cluster, f"labelSelector=app%3Dgw&resourceVersion={version}"))
    assert [e["type"] for e in events] == ["DELETED"]


def test_a_watch_from_a_compacted_version_is_told_it_expired(cluster: RunningCluster) -> None:
    version = cluster.get(_MAPS)["metadata"]["resourceVersion"]
    cluster.request("POST", _MAPS, _config_map("one"))
    cluster.call(cluster.cluster.compact)
    (event,) = _watch(cluster, f"resourceVersion={version}")
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


def test_pages_of_a_list_hold_every_object_once(cluster: RunningCluster) -> None:
    for index in range(5):
        cluster.request("POST", _MAPS, _config_map(f"map-{index}"))
    names: list[str] = []
    token = ""
    while True:
        page = cluster.get(f"{_MAPS}?limit=2&continue={token}")
        names += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert names == ["kube-root-ca.crt", *(f"map-{index}" for index in range(5))]


def test_set_based_selectors_choose_by_label(cluster: RunningCluster) -> None:
    for name, tier in (("a", "web"), ("b", "db"), ("c", "cache")):
        cluster.request("POST", _MAPS, _config_map(name, tier=tier))
    found = cluster.get(f"{_MAPS}?labelSelector=tier%20in%20(web,db),!missing")
    assert [item["metadata"]["name"] for item in found["items"]] == ["a", "b"]


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
