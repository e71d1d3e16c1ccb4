"""The last frame of a success is what was read at its end: no pod that was still about to go, and figures that
agree."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.errors import Unavailable
from deploy.observed.progress import Progress, agrees, progress_of
from deploy.rollouts.following import last_look
from deploy.rollouts.work import Work
from tests.support.gateway_bed import SPEC

GOING: dict[str, Any] = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


def pod(name: str, *, of: str = "new", ready: bool = True, **metadata: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": {"name": name, "ownerReferences": [{"uid": of}], **metadata},
        "spec": {},
        "status": {"phase": "Running", "conditions": conditions},
    }


def deployment(ready: int = 2) -> dict[str, Any]:
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), 2)
    return {
        "metadata": {"name": SPEC.ref.name, "uid": "d", "generation": 1},
        "spec": {"replicas": 2, "template": {"metadata": {}, "spec": {"a": "new"}}},
        "status": {**counts, "availableReplicas": ready, "observedGeneration": 1},
    }


def sets() -> list[dict[str, Any]]:
    return [
        {
            "metadata": {"name": name, "uid": name, "ownerReferences": [{"uid": "d"}]},
            "spec": {"template": {"metadata": {}, "spec": {"a": name}}},
        }
        for name in ("new", "old")
    ]


class Cluster:
    """What the cluster holds by now, or that it does not answer."""

    def __init__(self, *pods: dict[str, Any], ready: int = 2, away: bool = False) -> None:
        self._found = {"Deployment": [deployment(ready)], "ReplicaSet": sets(), "Pod": list(pods)}
        self._away = away
        self.asked = 0

    def get(self, kind: str, namespace: str, name: str) -> Any:
        return self.list(kind, namespace)[0]

    def list(self, kind: str, namespace: str, **_: Any) -> Any:
        self.asked += 1
        if self._away:
            raise Unavailable("It does not answer.")
        return self._found[kind]

    def at_once(self, calls: Any) -> Any:
        return [call() for call in calls]


def seen(*pods: dict[str, Any]) -> Progress:
    progress = progress_of(deployment(), sets(), pods)
    assert progress.complete
    return progress


def looked(progress: Progress, cluster: Any) -> tuple[Progress, list[Any]]:
    states: list[Any] = []
    run: Any = SimpleNamespace(progress=states.append, lost=threading.Event())
    action: Any = SimpleNamespace(steps=())
    return last_look(Work(action, run, 1.0), cluster, SPEC, progress), states


NEW = (pod("a"), pod("b"))
OLD = pod("o", of="old", **GOING)


def test_what_was_still_ending_is_read_again_and_gone() -> None:
    last, states = looked(seen(*NEW, OLD), Cluster(*NEW))
    assert [each.name for each in last.pods] == ["a", "b"]
    assert [each["state"] for each in states[-1]["pods"]] == ["Running", "Running"]
    assert (last.ready, last.desired, last.old) == (2, 2, 0)


def test_pods_whose_watch_was_behind_are_read_again_so_that_figures_agree() -> None:
    late = seen(pod("a"), pod("b", ready=False))
    assert not agrees(late)
    last, _ = looked(late, Cluster(*NEW))
    assert agrees(last)


def test_nothing_is_read_where_all_agrees() -> None:
    cluster = Cluster(*NEW)
    last, states = looked(seen(*NEW), cluster)
    assert (cluster.asked, states) == (0, [])
    assert agrees(last)


@pytest.mark.parametrize("cluster", [Cluster(away=True), Cluster(*NEW, ready=1)])
def test_a_success_stays_one_whatever_the_last_look_finds(cluster: Any) -> None:
    before = seen(*NEW, OLD)
    assert looked(before, cluster) == (before, [])
