"""The emulator against what a real Kubernetes 1.36 API server answered, request by request."""

import functools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.running_cluster import RunningCluster
from tests.support.waiting import until

_PAIRS = json.loads(Path("tests/data/kubernetes-1.36/pairs.json").read_text())
_DEPLOYMENT = "/apis/apps/v1/namespaces/gold/deployments/gw"
_BUDGET = "/apis/policy/v1/namespaces/gold/poddisruptionbudgets/gw"

_VOLATILE = frozenset(
    {
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "time",
        "lastUpdateTime",
        "lastTransitionTime",
        "clusterIP",
        "clusterIPs",
        "continue",
    }
)
# These were read a few milliseconds after a write, in between two steps of the real controllers;
# which step a reader sees is chance, so what controllers write is left out of the comparison.
_BETWEEN_STEPS = frozenset({"scale GET", "after scale GET", "roll back"})
_CONTROLLERS = "kube-controller-manager"
_AS = {"forbidden": "bot", "forbidden apply": "bot", "SSAR denied": "bot", "unauthorized": "nobody"}
# The recorded server keeps one ConfigMap more in each namespace, which upstream does not make.
_EXTRA_CONFIG_MAPS = 1


def _normal(value: Any, *, between: bool) -> Any:
    if isinstance(value, dict):
        left_out = _VOLATILE | ({"status", "annotations"} if between else frozenset())
        kept = {k: _normal(v, between=between) for k, v in value.items() if k not in left_out}
        if "managedFields" in kept:
            kept["managedFields"] = sorted(
                (
                    e
                    for e in kept["managedFields"]
                    if not (between and e["manager"] == _CONTROLLERS)
                ),
                key=lambda e: (e["manager"], e.get("subresource", "")),
            )
        return kept
    if isinstance(value, list):
        return [_normal(item, between=between) for item in value]
    if isinstance(value, str):
        value = re.sub(r"current: \d+", "current: N", value)
        return re.sub(r"\bgw-(?!config|keys)[a-z0-9]{5,10}(-[a-z0-9]{5})?\b", "gw-GENERATED", value)
    return value


def _settled(cluster: RunningCluster) -> bool:
    deployment = cluster.get(_DEPLOYMENT)
    wanted = deployment["spec"]["replicas"]
    status = deployment["status"]
    counts = [status.get(k) for k in ("replicas", "updatedReplicas", "availableReplicas")]
    budget = cluster.get(_BUDGET)["status"]
    return (
        counts == [wanted] * 3
        and status["observedGeneration"] == deployment["metadata"]["generation"]
        and status["terminatingReplicas"] == 0
        and {c["reason"] for c in status["conditions"]}
        == {"MinimumReplicasAvailable", "NewReplicaSetAvailable"}
        and budget.get("currentHealthy") == wanted
        and budget["expectedPods"] == wanted
    )


def _is_stuck(cluster: RunningCluster) -> bool:
    status = cluster.get(_DEPLOYMENT)["status"]
    counts = [status.get(k) for k in ("replicas", "updatedReplicas", "observedGeneration")]
    reasons = {c["reason"] for c in status["conditions"]}
    return counts == [3, 1, 4] and "ReplicaSetUpdated" in reasons


def _has_fourth_revision(cluster: RunningCluster) -> bool:
    annotations = cluster.get(_DEPLOYMENT)["metadata"]["annotations"]
    return bool(annotations["deployment.kubernetes.io/revision"] == "4")


# Where the recording waited for the controllers before its next request.
_AT_REST_AFTER: dict[str, Callable[[RunningCluster], bool]] = {
    "apply create HorizontalPodAutoscaler": _settled,
    "after scale GET": _settled,
    "force apply new image": _settled,
    "apply broken image": _is_stuck,
    "restart annotation (strategic merge)": _has_fourth_revision,
    "roll back": _settled,
}


def _first_pod(cluster: RunningCluster) -> str:
    name: str = cluster.get("/api/v1/namespaces/gold/pods")["items"][0]["metadata"]["name"]
    return name


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[int, Any, Any]]]:
    """The emulator's answers to all recorded requests, sent in order."""
    directory = tmp_path_factory.mktemp("recordings")
    found = []
    with RunningCluster(directory, namespaces=("gold",), version="v1.36.2") as cluster:
        for pair in _PAIRS:
            path = pair["path"]
            if "/log?" in path:
                path = re.sub(r"gw-[a-z0-9]+-[a-z0-9]+", _first_pod(cluster), path)
            token = _AS.get(pair["title"], "admin")
            found.append(
                cluster.request(
                    pair["method"],
                    path,
                    pair["body"],
                    content_type=pair["contentType"],
                    token=token,
                )
            )
            at_rest = _AT_REST_AFTER.get(pair["title"])
            if at_rest is not None:
                until(functools.partial(at_rest, cluster))
        yield found


@pytest.mark.parametrize("index", range(len(_PAIRS)), ids=[pair["title"] for pair in _PAIRS])
def test_it_answers_as_the_recorded_server_did(
    index: int, answers: list[tuple[int, Any, Any]]
) -> None:
    pair = _PAIRS[index]
    status, body, headers = answers[index]
    between = pair["title"] in _BETWEEN_STEPS
    expected = pair["response"]
    if pair["title"] == "list limit 1":
        remaining = expected["metadata"]["remainingItemCount"] - _EXTRA_CONFIG_MAPS
        metadata = {**expected["metadata"], "remainingItemCount": remaining}
        expected = {**expected, "metadata": metadata}
    assert status == pair["status"], body
    assert _normal(body, between=between) == _normal(expected, between=between)
    for name, value in pair["headers"].items():
        assert headers.get(name, "").split(";")[0] == value.split(";")[0]
