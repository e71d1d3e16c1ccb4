"""kubectl against the sandbox."""

from pathlib import Path

import pytest

from tests.support.kubectl import Kubectl
from tests.support.running_cluster import RunningCluster

_MANIFEST = Path("tests/data/kubernetes-1.36/gw.yaml")


@pytest.fixture
def kubectl(cluster: RunningCluster, tmp_path: Path) -> Kubectl:
    """kubectl as the admin."""
    return Kubectl(cluster.kubeconfig(), tmp_path)


def test_apply_server_side_rolls_out_and_diff_is_silent(kubectl: Kubectl) -> None:
    out = kubectl("apply", "--server-side", "-f", str(_MANIFEST))
    assert "deployment.apps/gw serverside-applied" in out
    kubectl("rollout", "status", "deployment/gw", "--timeout=60s")
    assert kubectl("diff", "--server-side", "-f", str(_MANIFEST)) == ""
    wide = kubectl("get", "deployments", "-o", "wide").splitlines()
    columns = "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR"
    assert wide[0].split() == columns.split()
    assert wide[1].split()[:4] == ["gw", "2/2", "2", "2"]
    described = kubectl("describe", "deployment", "gw")
    assert "Scaled up replica set" in described
    assert "ScalingReplicaSet" in kubectl("get", "events")


def test_client_side_apply_history_undo_restart_and_scale(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("apply", "-f", str(_MANIFEST))
    kubectl("rollout", "status", "deployment/gw", "--timeout=60s")
    changed = tmp_path / "changed.yaml"
    changed.write_text(_MANIFEST.read_text().replace("gateway:1.0", "gateway:2.0"))
    assert "gateway:2.0" in kubectl.run("diff", "-f", str(changed)).stdout
    assert "deployment.apps/gw configured" in kubectl("apply", "-f", str(changed))
    kubectl("rollout", "status", "deployment/gw", "--timeout=60s")
    kubectl("rollout", "undo", "deployment/gw")
    kubectl("rollout", "status", "deployment/gw", "--timeout=60s")
    history = kubectl("rollout", "history", "deployment/gw").split()
    assert [word for word in history if word.isdigit()] == ["2", "3"]
    image = kubectl("get", "deployment", "gw", "-o", "jsonpath={..image}")
    assert image == "example/gateway:1.0"
    kubectl("rollout", "restart", "deployment/gw")
    kubectl("scale", "deployment/gw", "--replicas=1")
    kubectl("rollout", "status", "deployment/gw", "--timeout=60s")
    conflict = kubectl("apply", "--server-side", "-f", str(_MANIFEST), check=False)
    assert (
        'conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas' in conflict
    )


def test_small_commands_work(kubectl: Kubectl, cluster: RunningCluster, tmp_path: Path) -> None:
    assert "Server Version: v1.36.0" in kubectl("version")
    assert kubectl("auth", "can-i", "create", "deployments").strip() == "yes"
    bot = Kubectl(cluster.kubeconfig("bot"), tmp_path)
    assert bot("auth", "can-i", "create", "deployments", check=False).startswith("no")
    kubectl("apply", "-f", str(_MANIFEST))
    kubectl("label", "deployment", "gw", "team=a")
    kubectl("patch", "deployment", "gw", "-p", '{"spec":{"minReadySeconds":1}}')
    assert kubectl("get", "deployment", "-l", "team=a", "-o", "name") == "deployment.apps/gw\n"
    assert "Metrics API not available" in kubectl("top", "pods", check=False)
    kubectl("delete", "-f", str(_MANIFEST))
    assert "No resources found" in kubectl("get", "deployments", check=False)


def test_objects_kubectl_sends_as_protobuf_are_created(kubectl: Kubectl) -> None:
    kubectl("create", "namespace", "extra")
    kubectl("create", "configmap", "c", "-n", "extra", "--from-literal=a=1")
    kubectl("create", "secret", "generic", "s", "-n", "extra", "--from-literal=b=two")
    assert kubectl("get", "configmap", "c", "-n", "extra", "-o", "jsonpath={.data.a}") == "1"
    assert kubectl("get", "secret", "s", "-n", "extra", "-o", "jsonpath={.data.b}") == "dHdv"
