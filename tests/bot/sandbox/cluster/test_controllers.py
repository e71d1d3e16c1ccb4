"""What follows by itself from objects: addresses, volumes, budgets, quotas, cleaning up."""

from pathlib import Path
from typing import Any

from tests.support.running_cluster import RunningCluster
from tests.support.waiting import until

Obj = dict[str, Any]

_CORE = "/api/v1/namespaces/gw"
_APPS = "/apis/apps/v1/namespaces/gw"


def _service(kind: str) -> Obj:
    port = {"name": "http", "port": 80, "targetPort": 8080}
    spec = {"type": kind, "selector": {"app": "gw"}, "ports": [port]}
    return {"metadata": {"name": "gw"}, "spec": spec}


def _pods(cluster: RunningCluster) -> list[Obj]:
    found: list[Obj] = cluster.get(f"{_CORE}/pods")["items"]
    return found


def _ready(cluster: RunningCluster, count: int) -> bool:
    status = cluster.get(f"{_APPS}/deployments/gw").get("status", {})
    return bool(status.get("readyReplicas", 0) == count)


def _post(cluster: RunningCluster, path: str, body: Obj) -> Obj:
    status, answer, _ = cluster.request("POST", path, body)
    assert status == 201, answer
    found: Obj = answer
    return found


def test_a_load_balancer_gets_an_address_after_a_moment(cluster: RunningCluster) -> None:
    made = _post(cluster, f"{_CORE}/services", _service("LoadBalancer"))
    assert made["spec"]["ports"][0]["nodePort"] >= 30000
    assert made["status"] == {"loadBalancer": {}}
    until(lambda: cluster.get(f"{_CORE}/services/gw")["status"]["loadBalancer"].get("ingress"))


def test_no_load_balancer_keeps_a_service_pending_until_it_is_lifted(
    cluster: RunningCluster,
) -> None:
    cluster.call(lambda: cluster.cluster.faults.set("no_load_balancer", True))
    _post(cluster, f"{_CORE}/services", _service("LoadBalancer"))
    _post(cluster, f"{_CORE}/services", {**_service("ClusterIP"), "metadata": {"name": "b"}})
    cluster.call(lambda: cluster.cluster.faults.set("no_load_balancer", False))
    until(lambda: cluster.get(f"{_CORE}/services/gw")["status"]["loadBalancer"].get("ingress"))


def test_endpoints_hold_the_ready_pods_only(cluster: RunningCluster, deployment: Obj) -> None:
    _post(cluster, f"{_CORE}/services", _service("ClusterIP"))
    _post(cluster, f"{_APPS}/deployments", deployment)
    until(lambda: _ready(cluster, 2))

    def addresses() -> int:
        found = cluster.get(f"{_CORE}/endpoints/gw").get("subsets", [])
        return sum(len(subset.get("addresses", [])) for subset in found)

    until(lambda: addresses() == 2)

    def readiness() -> list[bool]:
        slices = cluster.get("/apis/discovery.k8s.io/v1/namespaces/gw/endpointslices")["items"]
        return [endpoint["conditions"]["ready"] for endpoint in slices[0]["endpoints"]]

    until(lambda: readiness() == [True, True])
    cluster.request("DELETE", f"{_CORE}/services/gw")
    until(lambda: cluster.request("GET", f"{_CORE}/endpoints/gw")[0] == 404)


def test_a_claim_is_bound_to_a_volume_of_the_default_class(cluster: RunningCluster) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}
    made = _post(
        cluster, f"{_CORE}/persistentvolumeclaims", {"metadata": {"name": "c"}, "spec": spec}
    )
    assert made["spec"]["storageClassName"] == "default"
    assert made["spec"]["resources"]["requests"]["storage"] == "1Gi"
    claim = f"{_CORE}/persistentvolumeclaims/c"
    until(lambda: cluster.get(claim)["status"]["phase"] == "Bound")


def test_an_autoscaler_lifts_its_target_to_the_minimum_and_says_it_has_no_metrics(
    tmp_path: Path, deployment: Obj
) -> None:
    with RunningCluster(tmp_path, hpa_sync_seconds=0.1) as cluster:
        _post(cluster, f"{_APPS}/deployments", deployment)
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "gw"}
        spec = {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 5}
        path = "/apis/autoscaling/v2/namespaces/gw/horizontalpodautoscalers"
        _post(cluster, path, {"metadata": {"name": "gw"}, "spec": spec})
        until(lambda: _ready(cluster, 3))

        def reasons() -> set[str]:
            conditions = cluster.get(f"{path}/gw")["status"].get("conditions", [])
            return {condition["reason"] for condition in conditions}

        until(lambda: "FailedGetResourceMetric" in reasons())


def test_pods_without_a_node_stay_pending_and_say_why(tmp_path: Path, deployment: Obj) -> None:
    with RunningCluster(tmp_path, with_kubelet=False) as cluster:
        _post(cluster, f"{_APPS}/deployments", deployment)

        def reasons() -> set[str]:
            events = cluster.get(f"{_CORE}/events")["items"]
            return {event["reason"] for event in events}

        until(lambda: "FailedScheduling" in reasons())

        def scheduled() -> tuple[str, str]:
            condition = _pods(cluster)[0]["status"]["conditions"][0]
            return condition["status"], condition["reason"]

        until(lambda: scheduled() == ("False", "Unschedulable"))
        name = _pods(cluster)[0]["metadata"]["name"]
        cluster.request("DELETE", f"{_APPS}/deployments/gw")
        until(lambda: cluster.request("GET", f"{_CORE}/pods/{name}")[0] == 404)


def test_a_silent_node_is_lost_and_its_pods_are_no_longer_ready(
    tmp_path: Path, deployment: Obj
) -> None:
    with RunningCluster(tmp_path, node_grace_seconds=1.0) as cluster:
        _post(cluster, f"{_APPS}/deployments", deployment)
        until(lambda: cluster.get(f"{_APPS}/deployments/gw")["status"].get("replicas") == 2)

        def node() -> tuple[str, list[str]]:
            found = cluster.get("/api/v1/nodes/node-0")
            taints = [taint["key"] for taint in found["spec"].get("taints", [])]
            return found["status"]["conditions"][0]["status"], taints

        until(lambda: node()[0] == "Unknown")
        assert "node.kubernetes.io/unreachable" in until(lambda: node()[1])
        until(lambda: _ready(cluster, 0))
