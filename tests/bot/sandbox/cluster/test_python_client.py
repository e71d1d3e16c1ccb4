"""The official Python client against the sandbox: typed, dynamic and watching."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes.client
import kubernetes.config
import kubernetes.dynamic
import kubernetes.watch
import pytest
from kubernetes.client.exceptions import ApiException

from tests.support.running_cluster import RunningCluster
from tests.support.waiting import until

Obj = dict[str, Any]

# The client takes dicts as well as models and has untyped helpers; its annotations say neither.
client: Any = kubernetes.client
config: Any = kubernetes.config
dynamic: Any = kubernetes.dynamic
watch: Any = kubernetes.watch


@pytest.fixture
def api(cluster: RunningCluster) -> Iterator[Any]:
    """An ApiClient of the admin."""
    with config.new_client_from_config(str(cluster.kubeconfig())) as found:
        yield found


def test_a_typed_server_side_apply_with_a_dry_run_changes_nothing(
    api: Any, deployment: Obj
) -> None:
    apps = client.AppsV1Api(api)
    answer = apps.patch_namespaced_deployment(
        "gw",
        "gw",
        deployment,
        field_manager="gateway-bot",
        force=False,
        dry_run="All",
        _content_type="application/apply-patch+yaml",
    )
    assert answer.spec.replicas == 2
    assert apps.list_namespaced_deployment("gw").items == []


def test_a_rollout_is_followed_by_a_typed_watch(api: Any, deployment: Obj) -> None:
    apps = client.AppsV1Api(api)
    apps.create_namespaced_deployment("gw", deployment)
    watcher = watch.Watch()
    for event in watcher.stream(apps.list_namespaced_deployment, "gw", timeout_seconds=60):
        if (event["object"].status.available_replicas or 0) == 2:
            watcher.stop()
    pods = client.CoreV1Api(api).list_namespaced_pod("gw", label_selector="app=gw").items
    assert [pod.status.phase for pod in pods] == ["Running", "Running"]


def test_the_dynamic_client_applies_reads_and_deletes(
    api: Any, tmp_path: Path, deployment: Obj
) -> None:
    found = dynamic.DynamicClient(api, cache_file=str(tmp_path / "discovery.json"))
    deployments = found.resources.get(api_version="apps/v1", kind="Deployment")
    deployments.server_side_apply(body=deployment, namespace="gw", field_manager="gateway-bot")
    assert deployments.get(name="gw", namespace="gw").spec.replicas == 2
    deployments.delete(name="gw", namespace="gw")
    pods = found.resources.get(api_version="v1", kind="Pod")
    until(lambda: not pods.get(namespace="gw").items)


def test_an_apply_conflict_carries_its_causes(api: Any, deployment: Obj) -> None:
    apps = client.AppsV1Api(api)
    apply = {"_content_type": "application/apply-patch+yaml"}
    apps.patch_namespaced_deployment("gw", "gw", deployment, field_manager="one", **apply)
    deployment["spec"]["replicas"] = 7
    with pytest.raises(ApiException) as failure:
        apps.patch_namespaced_deployment("gw", "gw", deployment, field_manager="two", **apply)
    assert failure.value.status == 409
    assert "FieldManagerConflict" in (failure.value.body or "")


def test_a_lease_is_taken_only_from_the_version_that_was_read(api: Any) -> None:
    leases = client.CoordinationV1Api(api)
    body = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}}
    lease = leases.create_namespaced_lease("gw", body)
    lease.spec.holder_identity = "b"
    leases.replace_namespaced_lease("l", "gw", lease)
    with pytest.raises(ApiException) as failure:
        leases.replace_namespaced_lease("l", "gw", lease)
    assert failure.value.status == 409


def test_a_plain_user_may_ask_what_it_may_do(cluster: RunningCluster) -> None:
    with config.new_client_from_config(str(cluster.kubeconfig("bot"))) as api:
        review = {"spec": {"resourceAttributes": {"verb": "list", "resource": "pods"}}}
        answer = client.AuthorizationV1Api(api).create_self_subject_access_review(review)
        assert answer.status.allowed is False


def test_an_apply_that_creates_needs_the_right_to_create(cluster: RunningCluster) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/gw"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}
    cluster.request("POST", f"{rbac}/roles", {"metadata": {"name": "r"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "r"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "bot"}],
    }
    cluster.request("POST", f"{rbac}/rolebindings", binding)
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    status, answer, _ = cluster.request(
        "PATCH",
        "/api/v1/namespaces/gw/configmaps/c?fieldManager=bot",
        body,
        content_type="application/apply-patch+yaml",
        token="bot",
    )
    assert status == 403
    assert 'cannot create resource "configmaps"' in answer["message"]
