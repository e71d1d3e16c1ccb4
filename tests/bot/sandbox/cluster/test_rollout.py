"""Rollouts: the controllers against the recorded life of a Deployment, and its edge cases."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.support.running_cluster import RunningCluster
from tests.support.waiting import until

Obj = dict[str, Any]

_RECORDED = Path("tests/data/kubernetes-1.36")
_DEPLOYMENTS = "/apis/apps/v1/namespaces/gw/deployments"


def _scalings(events: list[Obj]) -> list[str]:
    """The Deployment's scaling messages, in order, with ReplicaSets numbered as they appear."""
    names: dict[str, str] = {}
    found = []
    for event in events:
        if event["reason"] != "ScalingReplicaSet":
            continue
        text = event["message"]
        name = re.findall(r"replica set (\S+)", text)[0]
        found.append(text.replace(name, names.setdefault(name, f"rs-{len(names)}")))
    return found


def _recorded_scalings() -> list[str]:
    lines = (_RECORDED / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    return _scalings(
        [e["object"] for e in events if e["kind"] == "Event" and e["type"] != "BOOKMARK"]
    )


def _status(cluster: RunningCluster) -> Obj:
    found: Obj = cluster.get(f"{_DEPLOYMENTS}/gw")
    return found


def _is_done(cluster: RunningCluster) -> bool:
    found = _status(cluster)
    wanted, status = found["spec"]["replicas"], found.get("status", {})
    return (
        status.get("observedGeneration") == found["metadata"]["generation"]
        and [status.get(k) for k in ("replicas", "updatedReplicas", "availableReplicas")]
        == [wanted] * 3
    )


def _condition(cluster: RunningCluster, kind: str) -> tuple[str, str]:
    for condition in _status(cluster)["status"].get("conditions", []):
        if condition["type"] == kind:
            return condition["status"], condition["reason"]
    return "", ""


def _manifest(image: str, replicas: int) -> Obj:
    text = (_RECORDED / "gw.yaml").read_text().replace("example/gateway:1.0", image)
    found: Obj = next(d for d in yaml.safe_load_all(text) if d["kind"] == "Deployment")
    found["spec"]["replicas"] = replicas
    return found


def test_a_deployment_lives_through_the_same_steps_as_the_recorded_one(tmp_path: Path) -> None:
    with RunningCluster(tmp_path, kubelet_seconds=0.05) as cluster:
        log = cluster.follow("/api/v1/namespaces/gw/events")
        path = f"{_DEPLOYMENTS}/gw"
        cluster.apply(path, _manifest("example/gateway:1.0", 2))
        until(lambda: _is_done(cluster))
        cluster.apply(path, _manifest("example/gateway:1.0", 3))
        until(lambda: _is_done(cluster))
        cluster.apply(path, _manifest("example/gateway:2.0", 2))
        until(lambda: _is_done(cluster))
        cluster.apply(path, _manifest("example/broken:9", 2))
        until(lambda: _status(cluster)["status"].get("updatedReplicas") == 1)
        until(lambda: _condition(cluster, "Available") == ("True", "MinimumReplicasAvailable"))
        until(lambda: _condition(cluster, "Progressing") == ("True", "ReplicaSetUpdated"))
        restarted = _manifest("example/gateway:1.0", 2)
        restarted["spec"]["template"]["metadata"]["annotations"] = {"restarted": "once"}
        cluster.apply(path, restarted)
        until(lambda: _is_done(cluster))
        until(lambda: _condition(cluster, "Progressing") == ("True", "NewReplicaSetAvailable"))
        recorded = _recorded_scalings()
        until(lambda: len(_scalings([e["object"] for e in log])) >= len(recorded))
        assert _scalings([e["object"] for e in log]) == recorded
