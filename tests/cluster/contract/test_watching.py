"""Lists and watches: versions, bookmarks, selectors, pages, and versions that are too old."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from tests.cluster.conftest import Target
from tests.support.kube_api import KubeApi, Obj
from tests.support.waiting import until


def _maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


def _map(name: str, **labels: str) -> Obj:
    return {"metadata": {"name": name, "labels": labels}, "data": {"k": "v"}}


def _steps(events: list[Obj]) -> list[tuple[str, str]]:
    return [(e["type"], e["object"]["metadata"].get("name", "")) for e in events]


def _added(name: str) -> Callable[[Obj], bool]:
    """Whether an event is the coming of that object."""
    return lambda event: _steps([event]) == [("ADDED", name)]


def test_a_watch_from_a_version_shows_exactly_what_happened_since(api: KubeApi, ns: str) -> None:
    version = api.create(_maps(ns), _map("one", t="1"))["metadata"]["resourceVersion"]
    api.create(_maps(ns), _map("two", t="1"))
    api.delete(f"{_maps(ns)}/one")
    api.create(_maps(ns), _map("last", t="1"))
    path, query = f"{_maps(ns)}?labelSelector=t", f"resourceVersion={version}"
    events = api.watch_until(path, query, _added("last"))
    assert _steps(events) == [("ADDED", "two"), ("DELETED", "one"), ("ADDED", "last")]


def test_a_watch_without_a_version_begins_with_what_is_there(api: KubeApi, ns: str) -> None:
    api.create(_maps(ns), _map("one", t="1"))
    events = api.watch_until(f"{_maps(ns)}?labelSelector=t", "", _added("one"))
    assert _steps(events) == [("ADDED", "one")]


def test_initial_events_end_with_a_marked_bookmark(api: KubeApi, ns: str) -> None:
    api.create(_maps(ns), _map("one", t="1"))
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    path = f"{_maps(ns)}?labelSelector=t"
    events = api.watch_until(path, query, lambda event: event["type"] == "BOOKMARK")
    assert [e["type"] for e in events] == ["ADDED", "BOOKMARK"]
    assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_bookmark_tells_a_watch_of_what_happened_elsewhere(api: KubeApi, ns: str) -> None:
    version = api.create(_maps(ns), _map("one"))["metadata"]["resourceVersion"]
    query = f"resourceVersion={version}&allowWatchBookmarks=true"

    def bookmarked() -> list[int]:
        with ThreadPoolExecutor(1) as pool:
            watching = pool.submit(lambda: list(api.watch(_maps(ns), query, seconds=8)))
            # A server has no bookmark to send where nothing at all happens.
            while not watching.done():
                api.create(_maps("default"), _map(ns))
                api.delete(f"{_maps('default')}/{ns}")
                wait([watching], timeout=0.5)
            marks = [e["object"] for e in watching.result() if e["type"] == "BOOKMARK"]
        return [int(mark["metadata"]["resourceVersion"]) for mark in marks]

    # None is promised to any one watch: a busy server ends it before it comes to send one.
    assert until(bookmarked, "a bookmark")[-1] > int(version)


def test_an_object_that_leaves_the_selection_is_deleted_for_the_watch(
    api: KubeApi, ns: str
) -> None:
    version = api.create(_maps(ns), _map("one", app="gw"))["metadata"]["resourceVersion"]
    path = f"{_maps(ns)}/one"
    api.apply(path, {"apiVersion": "v1", "kind": "ConfigMap", **_map("one", app="x")},
              query="&force=true")  # fmt: skip
    api.create(_maps(ns), _map("last", app="gw"))
    selected, query = f"{_maps(ns)}?labelSelector=app%3Dgw", f"resourceVersion={version}"
    events = api.watch_until(selected, query, _added("last"))
    assert _steps(events) == [("DELETED", "one"), ("ADDED", "last")]


def test_a_watch_of_one_object_shows_no_other(api: KubeApi, ns: str) -> None:
    version = api.create(_maps(ns), _map("one"))["metadata"]["resourceVersion"]
    api.create(_maps(ns), _map("two"))
    api.delete(f"{_maps(ns)}/one")
    api.create(_maps(ns), _map("one"))
    query = f"fieldSelector=metadata.name%3Done&resourceVersion={version}"
    events = api.watch_until(_maps(ns), query, _added("one"))
    assert _steps(events) == [("DELETED", "one"), ("ADDED", "one")]


def test_a_version_of_the_future_is_waited_for_and_then_refused(api: KubeApi, ns: str) -> None:
    query = "resourceVersion=999999999&resourceVersionMatch=NotOlderThan"
    answer = api.request("GET", f"{_maps(ns)}?{query}")
    assert (answer.status, answer.reason) == (504, "Timeout")
    assert "Too large resource version" in answer.message


def test_a_version_that_is_no_number_is_refused(api: KubeApi, ns: str) -> None:
    listed = api.request("GET", f"{_maps(ns)}?resourceVersion=abc")
    assert (listed.status, listed.reason) == (400, "BadRequest")
    watched = api.request("GET", f"{_maps(ns)}?watch=1&resourceVersion=abc&timeoutSeconds=1")
    assert watched.status == 500
    assert 'parsing "abc": invalid syntax' in watched.message


def test_a_watch_from_before_the_history_is_told_that_it_expired(target: Target, ns: str) -> None:
    api = target.api
    # A real server keeps no cache of events, so their history is as long as etcd's.
    events = f"/api/v1/namespaces/{ns}/events"
    if target.sandbox is not None:
        api.create(_maps(ns), _map("one"))
        target.sandbox.call(target.sandbox.cluster.compact)

    def expired() -> bool:
        for event in api.watch(events, "resourceVersion=1", seconds=1):
            if event["type"] == "ERROR":
                status = event["object"]
                assert (status["code"], status["reason"]) == (410, "Expired")
                return True
            if event.get("kind") == "Status":
                assert (event["code"], event["reason"]) == (410, "Expired")
                return True
        return False

    try:
        until(expired, "a compaction", seconds=90)
    except AssertionError:
        if target.compacts_soon:
            raise
        pytest.skip("this server keeps its history for longer than a test can wait")


def test_pages_of_a_list_hold_every_object_once(api: KubeApi, ns: str) -> None:
    for index in range(5):
        api.create(_maps(ns), _map(f"map-{index}", t="1"))
    names: list[str] = []
    token, remaining = "", []
    while True:
        page = api.get(f"{_maps(ns)}?limit=2&labelSelector=t&continue={token}")
        names += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue", "")
        remaining.append(page["metadata"].get("remainingItemCount"))
        if not token:
            break
    assert names == [f"map-{index}" for index in range(5)]
    # A count is told only where no selector is given (API concepts, "Retrieving large results").
    assert remaining == [None, None, None]


def test_set_based_selectors_choose_by_label(api: KubeApi, ns: str) -> None:
    for name, tier in (("a", "web"), ("b", "db"), ("c", "cache")):
        api.create(_maps(ns), _map(name, tier=tier))
    found = api.items(f"{_maps(ns)}?labelSelector=tier%20in%20(web,db),!missing")
    assert [item["metadata"]["name"] for item in found] == ["a", "b"]


def test_a_field_selector_that_is_not_supported_is_a_bad_request(api: KubeApi, ns: str) -> None:
    answer = api.request("GET", f"{_maps(ns)}?fieldSelector=data.k%3Dv")
    assert (answer.status, answer.reason) == (400, "BadRequest")


def test_a_collection_is_deleted_by_selector(api: KubeApi, ns: str) -> None:
    for name, tier in (("a", "x"), ("b", "x"), ("c", "y")):
        api.create(_maps(ns), _map(name, tier=tier))
    api.delete(_maps(ns), "?labelSelector=tier%3Dx")
    left = [item["metadata"]["name"] for item in api.items(f"{_maps(ns)}?labelSelector=tier")]
    assert left == ["c"]


def test_a_finalizer_keeps_an_object_until_it_is_taken_off(api: KubeApi, ns: str) -> None:
    body = {"metadata": {"name": "f", "finalizers": ["example.com/hold"]}}
    api.create(_maps(ns), body)
    api.delete(f"{_maps(ns)}/f")
    assert api.get(f"{_maps(ns)}/f")["metadata"]["deletionTimestamp"]
    patch = [{"op": "remove", "path": "/metadata/finalizers"}]
    assert (
        api.request("PATCH", f"{_maps(ns)}/f", patch, "application/json-patch+json").status == 200
    )
    until(lambda: api.gone(f"{_maps(ns)}/f"))
