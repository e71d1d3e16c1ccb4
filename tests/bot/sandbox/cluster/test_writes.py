"""Writes the server refuses or changes: validation, immutability, Secrets, owners of fields."""

from typing import Any

from tests.support.running_cluster import RunningCluster

Obj = dict[str, Any]

_CORE = "/api/v1/namespaces/gw"
_DEPLOYMENTS = "/apis/apps/v1/namespaces/gw/deployments"
_APPLY = "application/apply-patch+yaml"


def test_an_apply_without_change_keeps_the_version(
    cluster: RunningCluster, deployment: Obj
) -> None:
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"cpu": 1}}
    container["readinessProbe"] = {"httpGet": {"path": "/", "port": 8080}, "initialDelaySeconds": 0}
    deployment["spec"]["paused"] = True
    before = cluster.apply(f"{_DEPLOYMENTS}/gw", deployment)
    after = cluster.apply(f"{_DEPLOYMENTS}/gw", deployment)
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


def test_a_dry_run_changes_nothing(cluster: RunningCluster, deployment: Obj) -> None:
    version = cluster.get(_DEPLOYMENTS)["metadata"]["resourceVersion"]
    status, _, _ = cluster.request("POST", f"{_DEPLOYMENTS}?dryRun=All", deployment)
    assert status == 201
    assert cluster.get(_DEPLOYMENTS)["items"] == []
    assert cluster.get(_DEPLOYMENTS)["metadata"]["resourceVersion"] == version


def test_a_status_write_leaves_the_spec_alone(cluster: RunningCluster, deployment: Obj) -> None:
    deployment["spec"]["paused"] = True
    cluster.apply(f"{_DEPLOYMENTS}/gw", deployment)
    patch = {"spec": {"replicas": 9}, "status": {"collisionCount": 1}}
    status, found, _ = cluster.request(
        "PATCH", f"{_DEPLOYMENTS}/gw/status", patch, content_type="application/merge-patch+json"
    )
    assert status == 200
    assert found["spec"]["replicas"] == 2
    assert found["status"]["collisionCount"] == 1


def test_nobody_may_read_without_a_token_but_may_ask_for_the_version(
    cluster: RunningCluster,
) -> None:
    assert cluster.request("GET", "/version", token="")[0] == 200
    status, answer, _ = cluster.request("GET", f"{_CORE}/pods", token="")
    assert status == 403
    assert 'User "system:anonymous" cannot list resource "pods"' in answer["message"]
