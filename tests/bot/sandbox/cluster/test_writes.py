"""Writes the server refuses or changes: validation, immutability, Secrets, owners of fields."""

import base64
from typing import Any

import pytest

from tests.support.running_cluster import RunningCluster

Obj = dict[str, Any]

_CORE = "/api/v1/namespaces/gw"
_DEPLOYMENTS = "/apis/apps/v1/namespaces/gw/deployments"
_APPLY = "application/apply-patch+yaml"


def _secret(**text: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "data": {k: base64.b64encode(v.encode()).decode() for k, v in text.items()},
    }


def test_an_immutable_secret_keeps_its_data(cluster: RunningCluster) -> None:
    cluster.apply(f"{_CORE}/secrets/s", {**_secret(a="1"), "immutable": True})
    status, answer, _ = cluster.request(
        "PATCH",
        f"{_CORE}/secrets/s?fieldManager=test",
        {**_secret(a="2"), "immutable": True},
        content_type=_APPLY,
    )
    assert (status, answer["reason"]) == (422, "Invalid")
    assert answer["details"]["causes"] == [
        {
            "reason": "FieldValueForbidden",
            "message": "Forbidden: field is immutable when `immutable` is set",
            "field": "data",
        }
    ]


def test_a_key_dropped_from_data_is_removed_but_from_string_data_it_stays(
    cluster: RunningCluster,
) -> None:
    cluster.apply(f"{_CORE}/secrets/s", _secret(a="1", b="2"))
    assert set(cluster.apply(f"{_CORE}/secrets/s", _secret(a="1"))["data"]) == {"a"}
    text = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "t"}}
    cluster.apply(f"{_CORE}/secrets/t", {**text, "stringData": {"a": "1", "b": "2"}})
    left = cluster.apply(f"{_CORE}/secrets/t", {**text, "stringData": {"a": "1"}})
    assert set(left["data"]) == {"a", "b"}


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


def test_another_managers_fields_survive_an_apply(cluster: RunningCluster) -> None:
    base = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    cluster.apply(f"{_CORE}/configmaps/c", {**base, "data": {"a": "1", "x": "1"}}, "one")
    cluster.apply(f"{_CORE}/configmaps/c", {**base, "data": {"b": "2"}}, "two")
    found = cluster.apply(f"{_CORE}/configmaps/c", {**base, "data": {"a": "1"}}, "one")
    assert found["data"] == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Bad_Name"}, "metadata.name"),
        ({"labels": {"app": "not valid!"}}, "metadata.labels"),
    ],
)
def test_bad_metadata_is_refused_with_its_field(
    cluster: RunningCluster, change: Obj, field: str
) -> None:
    body = {"metadata": {"name": "c", **change}}
    status, answer, _ = cluster.request("POST", f"{_CORE}/configmaps", body)
    assert status == 422
    assert [cause["field"] for cause in answer["details"]["causes"]] == [field]


def test_duplicate_service_ports_are_refused(cluster: RunningCluster) -> None:
    ports = [{"name": "a", "port": 80}, {"name": "a", "port": 80}]
    body = {"metadata": {"name": "s"}, "spec": {"ports": ports}}
    status, answer, _ = cluster.request("POST", f"{_CORE}/services", body)
    assert status == 422
    assert {c["reason"] for c in answer["details"]["causes"]} == {"FieldValueDuplicate"}


def test_a_config_map_may_not_be_larger_than_a_mebibyte(cluster: RunningCluster) -> None:
    body = {"metadata": {"name": "c"}, "data": {"k": "x" * (1024 * 1024 + 1)}}
    status, answer, _ = cluster.request("POST", f"{_CORE}/configmaps", body)
    assert status == 422
    assert "may not be more than 1048576 bytes" in answer["message"]


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
