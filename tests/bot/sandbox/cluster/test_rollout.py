"""Rollouts: the controllers against the recorded life of a Deployment, and its edge cases."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.support.running_cluster import RunningCluster, eventually

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
        eventually(lambda: _is_done(cluster))
        cluster.apply(path, _manifest("example/gateway:1.0", 3))
        eventually(lambda: _is_done(cluster))
        cluster.apply(path, _manifest("example/gateway:2.0", 2))
        eventually(lambda: _is_done(cluster))
        cluster.apply(path, _manifest("example/broken:9", 2))
        eventually(lambda: _status(cluster)["status"].get("updatedReplicas") == 1)
        assert _condition(cluster, "Available") == ("True", "MinimumReplicasAvailable")
        assert _condition(cluster, "Progressing") == ("True", "ReplicaSetUpdated")
        restarted = _manifest("example/gateway:1.0", 2)
        restarted["spec"]["template"]["metadata"]["annotations"] = {"restarted": "once"}
        cluster.apply(path, restarted)
        eventually(lambda: _is_done(cluster))
        assert _condition(cluster, "Progressing") == ("True", "NewReplicaSetAvailable")
        recorded = _recorded_scalings()
        eventually(lambda: len(_scalings([e["object"] for e in log])) >= len(recorded))
        assert _scalings([e["object"] for e in log]) == recorded


def test_a_rollout_never_drops_below_the_minimum_nor_rises_above_the_surge(
    cluster: RunningCluster, deployment: Obj
) -> None:
    deployment["spec"]["replicas"] = 4
    cluster.apply(f"{_DEPLOYMENTS}/gw", deployment)
    eventually(lambda: _is_done(cluster))
    log = cluster.follow(_DEPLOYMENTS)
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "example/gateway:2.0"
    cluster.apply(f"{_DEPLOYMENTS}/gw", deployment)
    eventually(lambda: _is_done(cluster))
    statuses = [event["object"]["status"] for event in log]
    assert len(statuses) > 5
    assert min(status.get("availableReplicas", 0) for status in statuses) >= 3
    assert max(status["replicas"] for status in statuses) <= 5


def test_a_broken_image_runs_into_the_progress_deadline(
    cluster: RunningCluster, deployment: Obj
) -> None:
    deployment["spec"]["progressDeadlineSeconds"] = 1
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "example/broken:9"
    cluster.apply(f"{_DEPLOYMENTS}/gw", deployment)
    eventually(lambda: _condition(cluster, "Progressing") == ("False", "ProgressDeadlineExceeded"))
    assert _condition(cluster, "Available") == ("False", "MinimumReplicasUnavailable")


def test_recreate_ends_every_old_pod_before_a_new_one_starts(
    cluster: RunningCluster, deployment: Obj
) -> None:
    deployment["spec"]["strategy"] = {"type": "Recreate"}
    cluster.apply(f"{_DEPLOYMENTS}/gw", deployment)
    eventually(lambda: _is_done(cluster))
    log = cluster.follow("/api/v1/namespaces/gw/pods")
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "example/gateway:2.0"
    cluster.apply(f"{_DEPLOYMENTS}/gw", deployment)
    eventually(lambda: _is_done(cluster))
    steps = [(event["type"], event["object"]["spec"]["containers"][0]["image"]) for event in log]
    last_end = max(i for i, step in enumerate(steps) if step == ("DELETED", "example/gateway:1.0"))
    first_start = steps.index(("ADDED", "example/gateway:2.0"))
    assert last_end < first_start


def test_old_replica_sets_beyond_the_history_limit_are_removed(
    cluster: RunningCluster, deployment: Obj
) -> None:
    deployment["spec"]["revisionHistoryLimit"] = 1
    for version in ("1.0", "2.0", "3.0", "4.0"):
        image = f"example/gateway:{version}"
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = image
        cluster.apply(f"{_DEPLOYMENTS}/gw", deployment)
        eventually(lambda: _is_done(cluster))
    sets = "/apis/apps/v1/namespaces/gw/replicasets"
    eventually(lambda: len(cluster.get(sets)["items"]) == 2)


def test_a_paused_deployment_rolls_only_when_it_is_resumed(
    cluster: RunningCluster, deployment: Obj
) -> None:
    cluster.apply(f"{_DEPLOYMENTS}/gw", deployment)
    eventually(lambda: _is_done(cluster))
    deployment["spec"]["paused"] = True
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "example/gateway:2.0"
    cluster.apply(f"{_DEPLOYMENTS}/gw", deployment)
    eventually(lambda: _condition(cluster, "Progressing") == ("Unknown", "DeploymentPaused"))
    assert len(cluster.get("/apis/apps/v1/namespaces/gw/replicasets")["items"]) == 1
    deployment["spec"]["paused"] = False
    cluster.apply(f"{_DEPLOYMENTS}/gw", deployment)
    eventually(lambda: _is_done(cluster))


def test_min_ready_seconds_holds_a_pod_back_from_being_available(
    cluster: RunningCluster, deployment: Obj
) -> None:
    deployment["spec"]["minReadySeconds"] = 2
    cluster.apply(f"{_DEPLOYMENTS}/gw", deployment)
    eventually(lambda: _status(cluster)["status"].get("readyReplicas") == 2)
    assert _status(cluster)["status"].get("availableReplicas", 0) == 0
    eventually(lambda: _is_done(cluster))


def test_scaling_in_the_middle_of_a_rollout_shares_the_new_replicas(
    cluster: RunningCluster, deployment: Obj
) -> None:
    deployment["spec"]["replicas"] = 4
    cluster.apply(f"{_DEPLOYMENTS}/gw", deployment)
    eventually(lambda: _is_done(cluster))
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "example/broken:9"
    cluster.apply(f"{_DEPLOYMENTS}/gw", deployment)
    eventually(lambda: _status(cluster)["status"].get("updatedReplicas") == 2)
    deployment["spec"]["replicas"] = 8
    cluster.apply(f"{_DEPLOYMENTS}/gw", deployment)

    def sizes() -> list[int]:
        found = cluster.get("/apis/apps/v1/namespaces/gw/replicasets")["items"]
        return sorted(rs["spec"]["replicas"] for rs in found)

    eventually(lambda: sum(sizes()) == 10)
    assert sizes() == [4, 6]
