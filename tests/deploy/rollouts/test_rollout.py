"""Following a rollout agrees with `kubectl rollout status`, and says what kubectl does not."""

import subprocess
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import NotFound
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.observed.progress import Progress
from deploy.observed.selecting import chosen_by
from deploy.rollouts.rollout import explain, follow
from tests.support.running_cluster import RunningCluster

REF = GatewayRef("west", "dev", "edge-1")
Manifest = dict[str, Any]


def deployment(
    image: str = "example/gateway:1.0", replicas: int = 2, deadline: int = 60
) -> Manifest:
    labels = {"app": "edge-1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "edge-1", "namespace": "dev", "labels": labels},
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": deadline,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "edge-1", "image": image}]},
            },
        },
    }


def followed(cluster: Cluster, deadline: float = 60) -> tuple[Progress, list[Progress]]:
    seen: list[Progress] = []
    end = follow(
        cluster,
        REF,
        chosen="app=edge-1",
        deadline=deadline,
        on_progress=seen.append,
        stop=threading.Event(),
    )
    return end, seen


def test_the_pods_of_a_gateway_with_labels_of_its_own_are_followed(cluster: Cluster) -> None:
    adopted = deployment(image="example/broken:9")
    labels = {"app.kubernetes.io/instance": "prod", "tier": "edge"}
    adopted["spec"]["selector"] = {"matchLabels": labels}
    adopted["spec"]["template"]["metadata"]["labels"] = labels
    cluster.apply(adopted)
    end = follow(
        cluster,
        REF,
        chosen=chosen_by(adopted),
        deadline=10,
        on_progress=lambda progress: None,
        stop=threading.Event(),
    )
    assert [pod.reason for pod in end.pods]
    assert end.trouble


def test_a_rollout_is_followed_until_every_pod_is_ready(cluster: Cluster) -> None:
    cluster.apply(deployment())
    end, seen = followed(cluster)
    assert (end.complete, end.ready, end.desired, end.old) == (True, 2, 2, 0)
    assert all(pod.ready and pod.state == "Running" and pod.node for pod in end.pods)
    assert seen[-1] == end
    assert all(before != after for before, after in pairwise(seen))


def test_the_end_is_what_kubectl_says(cluster: Cluster, running: RunningCluster) -> None:
    for image in ("example/gateway:1.0", "example/gateway:1.1"):
        cluster.apply(deployment(image, replicas=3))
        end, _ = followed(cluster)
        assert end.complete
        said = kubectl(running, "rollout", "status", "deployment/edge-1", "--watch=false")
        assert said == 'deployment "edge-1" successfully rolled out\n'


def test_pods_of_the_version_before_are_told_apart(cluster: Cluster) -> None:
    cluster.apply(deployment())
    followed(cluster)
    cluster.apply(deployment("example/broken:1", deadline=5))
    end, _ = followed(cluster)
    assert end.failed
    assert not end.complete
    assert (end.ready, end.serving) == (0, 2)
    (bad,) = [pod for pod in end.pods if pod.updated]
    assert bad.state == "ImagePullBackOff"
    assert end.trouble == ("ImagePullBackOff: not found.",)


def test_a_rollout_that_does_not_get_on_is_given_up(cluster: Cluster) -> None:
    cluster.apply(deployment("example/broken:1"))
    end, _ = followed(cluster, deadline=10)
    assert not end.complete
    assert not end.failed
    assert end.trouble


def test_quota_that_stops_pods_is_told(cluster: Cluster, running: RunningCluster) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small", "namespace": "dev"},
        "spec": {"hard": {"pods": "1"}},
    }
    running.apply("/api/v1/namespaces/dev/resourcequotas/small", quota)
    cluster.apply(deployment())
    end, _ = followed(cluster, deadline=10)
    assert "exceeded quota: small" in " ".join(end.trouble)


def test_the_newest_event_of_a_bad_pod_explains_it(
    cluster: Cluster, running: RunningCluster
) -> None:
    cluster.apply(deployment("example/broken:1", replicas=1))
    end, _ = followed(cluster, deadline=10)
    (pod,) = end.pods
    running.request("POST", "/api/v1/namespaces/dev/events", warning_about(pod.name))
    (told,) = explain(cluster, REF, end).pods
    assert told.event == "Failed: no token GatewayKey edge-1&203001010000&[hidden] here"


def warning_about(pod: str) -> Manifest:
    return {
        "metadata": {"name": "event-1", "namespace": "dev"},
        "involvedObject": {"kind": "Pod", "namespace": "dev", "name": pod},
        "type": "Warning",
        "reason": "Failed",
        "message": "no token GatewayKey edge-1&203001010000&c2lnbmF0dXJlCg== here",
        "lastTimestamp": "2030-01-01T00:00:00Z",
    }


def test_a_deployment_that_is_not_there_is_said(cluster: Cluster) -> None:
    with pytest.raises(NotFound, match="is gone from west/dev"):
        followed(cluster)


def kubectl(running: RunningCluster, *arguments: str) -> str:
    config: Path = running.kubeconfig(namespace="dev")
    return subprocess.run(
        ["kubectl", "--kubeconfig", str(config), *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=90,
    ).stdout
