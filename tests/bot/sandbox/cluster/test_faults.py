"""The cluster's fault switches, as a client feels them."""

from typing import Any

import pytest
import urllib3

from tests.support.running_cluster import RunningCluster

_PODS = "/api/v1/namespaces/gw/pods"


def _set(cluster: RunningCluster, name: str, value: Any) -> None:
    cluster.call(lambda: cluster.cluster.faults.set(name, value))


def test_an_api_that_is_down_drops_the_connection(cluster: RunningCluster) -> None:
    _set(cluster, "api_down", True)
    with pytest.raises(urllib3.exceptions.ProtocolError):
        cluster.request("GET", _PODS)
    _set(cluster, "api_down", False)
    assert cluster.request("GET", _PODS)[0] == 200


@pytest.mark.parametrize("code", ["500", "503", "429", "401"])
def test_an_api_error_answers_every_request_with_it(cluster: RunningCluster, code: str) -> None:
    _set(cluster, "api_error", code)
    status, _, headers = cluster.request("GET", _PODS)
    assert status == int(code)
    if code in ("503", "429"):
        assert headers["Retry-After"] == "1"


def test_forbidden_writes_still_let_reads_through(cluster: RunningCluster) -> None:
    _set(cluster, "forbid_writes", True)
    path = "/api/v1/namespaces/gw/configmaps"
    status, answer, _ = cluster.request("POST", path, {"metadata": {"name": "c"}})
    assert (status, answer["reason"]) == (403, "Forbidden")
    assert cluster.request("GET", path)[0] == 200


def test_a_dropped_watch_breaks_off_in_the_middle(cluster: RunningCluster) -> None:
    _set(cluster, "watch_drop", True)
    with pytest.raises(urllib3.exceptions.ProtocolError):
        cluster.request("GET", f"{_PODS}?watch=1")


def test_denied_logs_are_forbidden(cluster: RunningCluster) -> None:
    _set(cluster, "deny_logs", True)
    assert cluster.request("GET", f"{_PODS}/any/log")[0] == 403
