"""People who wait for a cluster, and runs on it, take nothing from each other."""

import threading
from types import SimpleNamespace
from typing import Any

from deploy.kube.cluster import _AT_ONCE, Cluster


def test_people_whose_calls_hang_leave_runs_their_threads() -> None:
    connection: Any = SimpleNamespace()
    cluster, go = Cluster("west", connection), threading.Event()
    prompt = cluster.prompt()
    hanging = [prompt.begin(lambda: go.wait(60)) for _ in range(_AT_ONCE)]
    try:
        assert cluster.begin(lambda: "done").result(30) == "done"
    finally:
        go.set()
    assert all(each.result(60) for each in hanging)
