"""What follows by itself from objects: endpoints, budgets, autoscalers, claims, leases, namespaces."""

import pytest

from tests.cluster.conftest import Target
from tests.support.kube_api import MERGE, KubeApi, Obj
from tests.support.waiting import until

_APPS = "/apis/apps/v1/namespaces/{}/deployments"
_BUDGETS = "/apis/policy/v1/namespaces/{}/poddisruptionbudgets"
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
_SCALERS = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers"
_SLICES = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"


def _run(api: KubeApi, ns: str, deployment: Obj, count: int) -> list[Obj]:
    api.apply(f"{_APPS.format(ns)}/gw", deployment)
    until(
        lambda: api.get(f"{_APPS.format(ns)}/gw").get("status", {}).get("readyReplicas") == count,
        f"{count} ready pods",
    )
    return api.items(f"/api/v1/namespaces/{ns}/pods")


@pytest.mark.usefixtures("needs_controllers")
def test_a_service_has_the_ready_pods_as_endpoints(api: KubeApi, ns: str, deployment: Obj) -> None:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    spec = {"selector": {"app": "gw"}, "ports": ports}
    api.create(f"/api/v1/namespaces/{ns}/services", {"metadata": {"name": "gw"}, "spec": spec})
    pods = _run(api, ns, deployment, 2)

    def ready() -> set[str]:
        return {
            endpoint["addresses"][0]
            for each in api.items(_SLICES.format(ns))
            for endpoint in each.get("endpoints") or []
            if endpoint["conditions"]["ready"]
        }

    addresses = {pod["status"]["podIP"] for pod in pods}
    until(lambda: ready() == addresses, "both addresses")
    (found,) = api.items(_SLICES.format(ns))
    assert found["metadata"]["labels"]["kubernetes.io/service-name"] == "gw"
    assert found["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    api.delete(f"/api/v1/namespaces/{ns}/services/gw")
    until(lambda: not api.items(_SLICES.format(ns)), "the cleaning up")


@pytest.mark.usefixtures("needs_controllers")
def test_a_budget_refuses_the_eviction_that_would_break_it_and_allows_others(
    api: KubeApi, ns: str, deployment: Obj
) -> None:
    pods = _run(api, ns, deployment, 2)
    spec: Obj = {"minAvailable": 2, "selector": {"matchLabels": {"app": "gw"}}}
    budget = f"{_BUDGETS.format(ns)}/gw"
    api.create(_BUDGETS.format(ns), {"metadata": {"name": "gw"}, "spec": spec})
    until(lambda: api.get(budget).get("status", {}).get("currentHealthy") == 2, "the count")
    name = pods[0]["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    path = f"/api/v1/namespaces/{ns}/pods/{name}/eviction"
    answer = api.request("POST", path, eviction)
    assert (answer.status, answer.reason) == (429, "TooManyRequests")
    assert answer.message == "Cannot evict pod as it would violate the pod's disruption budget."
    assert answer.causes == [("DisruptionBudget", "")]
    assert api.request("PATCH", budget, {"spec": {"minAvailable": 1}}, MERGE).status == 200
    until(lambda: api.get(budget)["status"]["disruptionsAllowed"] == 1, "an allowance")
    assert api.request("POST", path, eviction).status == 201
    until(lambda: api.gone(f"/api/v1/namespaces/{ns}/pods/{name}"), "the eviction")
    until(
        lambda: api.get(f"{_APPS.format(ns)}/gw")["status"].get("readyReplicas") == 2,
        "a replacement",
    )


def test_a_new_budget_has_a_status_of_nothing(api: KubeApi, ns: str) -> None:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "none"}}}
    api.create(_BUDGETS.format(ns), {"metadata": {"name": "gw"}, "spec": spec})
    found = api.get(f"{_BUDGETS.format(ns)}/gw")
    assert found["spec"] == spec
    assert found["status"]["disruptionsAllowed"] == 0


@pytest.mark.usefixtures("needs_controllers")
def test_an_autoscaler_lifts_its_target_to_the_minimum(
    api: KubeApi, ns: str, deployment: Obj
) -> None:
    _run(api, ns, deployment, 2)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "gw"}
    spec = {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 5}
    api.create(_SCALERS.format(ns), {"metadata": {"name": "gw"}, "spec": spec})
    path = f"{_APPS.format(ns)}/gw"
    until(lambda: api.get(path)["spec"]["replicas"] == 3, "the new size", seconds=120)


def test_an_autoscaler_without_metrics_gets_those_of_its_documentation(
    api: KubeApi, ns: str
) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "gw"}
    spec = {"scaleTargetRef": target, "maxReplicas": 5}
    made = api.create(_SCALERS.format(ns), {"metadata": {"name": "gw"}, "spec": spec})
    assert made["spec"]["minReplicas"] == 1
    assert made["spec"]["metrics"] == [
        {
            "type": "Resource",
            "resource": {
                "name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 80},
            },
        }
    ]
    api.apply(
        f"{_SCALERS.format(ns)}/gw",
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
         "metadata": {"name": "gw"}, "spec": spec},
    )  # fmt: skip


def test_a_claim_waits_and_keeps_what_it_asked_for(api: KubeApi, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/persistentvolumeclaims"
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "no-such-class",
        "resources": {"requests": {"storage": "1024Mi"}},
    }
    made = api.create(path, {"metadata": {"name": "c"}, "spec": spec})
    assert made["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert made["spec"]["volumeMode"] == "Filesystem"
    assert made["status"] == {"phase": "Pending"}
    assert "kubernetes.io/pvc-protection" in made["metadata"]["finalizers"]
    answer = api.request("PATCH", f"{path}/c", {"spec": {"accessModes": ["ReadOnlyMany"]}}, MERGE)
    assert (answer.status, answer.causes) == (422, [("FieldValueForbidden", "spec")])


def _claim_and_user(api: KubeApi, ns: str, placed: Obj) -> tuple[str, str]:
    """A claim that nobody binds and a pod that asks for it, both made; their paths."""
    claims, pods = (
        f"/api/v1/namespaces/{ns}/{kind}" for kind in ("persistentvolumeclaims", "pods")
    )
    spec: Obj = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "no-such-class",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    api.create(claims, {"metadata": {"name": "c"}, "spec": spec})
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
    container = {"name": "main", "image": "example.com/app:1.0"}
    pod = {"containers": [container], "volumes": [volume], **placed}
    api.create(pods, {"metadata": {"name": "p"}, "spec": pod})
    return f"{claims}/c", f"{pods}/p"


@pytest.mark.usefixtures("needs_controllers")
def test_a_claim_that_is_deleted_stays_while_a_pod_on_a_node_uses_it(
    target: Target, api: KubeApi, ns: str
) -> None:
    placed = {"nodeName": target.node.names[0], **target.placed}
    claim, pod = _claim_and_user(api, ns, placed)
    api.delete(claim)
    assert "deletionTimestamp" in api.get(claim)["metadata"]
    api.request("DELETE", pod, {"gracePeriodSeconds": 0})
    until(lambda: api.gone(claim), "the deletion")


@pytest.mark.usefixtures("needs_controllers")
def test_a_claim_goes_though_a_pod_that_is_on_no_node_asks_for_it(api: KubeApi, ns: str) -> None:
    claim, pod = _claim_and_user(api, ns, {})
    api.delete(claim)
    until(lambda: api.gone(claim), "the deletion")
    assert "nodeName" not in api.get(pod)["spec"]


def test_a_lease_is_taken_over_only_from_the_version_that_was_read(api: KubeApi, ns: str) -> None:
    spec = {
        "holderIdentity": "one",
        "leaseDurationSeconds": 30,
        "leaseTransitions": 0,
        "renewTime": "2026-11-23T10:00:00.000000Z",
    }
    made = api.create(_LEASES.format(ns), {"metadata": {"name": "gw"}, "spec": spec})
    assert made["spec"] == spec
    mine = {**made, "spec": {**spec, "holderIdentity": "two", "leaseTransitions": 1}}
    theirs = {**made, "spec": {**spec, "holderIdentity": "three", "leaseTransitions": 1}}
    path = f"{_LEASES.format(ns)}/gw"
    assert api.request("PUT", path, mine).status == 200
    late = api.request("PUT", path, theirs)
    assert (late.status, late.reason) == (409, "Conflict")
    assert api.get(path)["spec"]["holderIdentity"] == "two"


@pytest.mark.usefixtures("needs_controllers")
def test_deleting_a_namespace_empties_it_first(api: KubeApi, ns: str, deployment: Obj) -> None:
    _run(api, ns, deployment, 2)
    answer = api.request("DELETE", f"/api/v1/namespaces/{ns}")
    assert answer.body["status"]["phase"] == "Terminating"
    maps, body = f"/api/v1/namespaces/{ns}/configmaps", {"metadata": {"generateName": "x-"}}
    # Of a deletion a real API server learns a moment later, by its own watch.
    late = until(lambda: (a := api.request("POST", maps, body)).status >= 400 and a, "a refusal")
    assert late.status in (403, 404)
    if late.status == 403:
        assert "because it is being terminated" in late.message
    until(lambda: api.gone(f"/api/v1/namespaces/{ns}"), "the deletion", 90)


@pytest.mark.usefixtures("needs_controllers")
def test_every_namespace_has_a_service_account_and_the_clusters_certificate(
    api: KubeApi, ns: str
) -> None:
    until(lambda: not api.gone(f"/api/v1/namespaces/{ns}/configmaps/kube-root-ca.crt"), "the map")
    assert not api.gone(f"/api/v1/namespaces/{ns}/serviceaccounts/default")


_SETS = "/apis/apps/v1/namespaces/{}/statefulsets"
_DAEMONS = "/apis/apps/v1/namespaces/{}/daemonsets"


@pytest.mark.usefixtures("needs_controllers")
def test_a_stateful_set_numbers_its_pods_and_takes_the_last_one_away_first(
    api: KubeApi, ns: str, deployment: Obj
) -> None:
    spec = {**deployment["spec"], "serviceName": "gw", "replicas": 2}
    made = api.create(_SETS.format(ns), {"metadata": {"name": "gw"}, "spec": spec})
    defaults = {
        "podManagementPolicy": "OrderedReady",
        "revisionHistoryLimit": 10,
        "updateStrategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"partition": 0, "maxUnavailable": 1},
        },
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    }
    assert {key: made["spec"].get(key) for key in defaults} == defaults
    path = f"{_SETS.format(ns)}/gw"

    def names() -> list[str]:
        pods = api.items(f"/api/v1/namespaces/{ns}/pods")
        return sorted(p["metadata"]["name"] for p in pods)

    counted = ("replicas", "readyReplicas", "availableReplicas")

    def counts() -> list[int]:
        status = api.get(path)["status"]
        return [status.get(name, 0) for name in counted]

    until(lambda: counts() == [2, 2, 2], "two ready pods", 90)
    assert names() == ["gw-0", "gw-1"]
    (owner,) = api.get(f"/api/v1/namespaces/{ns}/pods/gw-0")["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("StatefulSet", "gw", True)
    assert api.request("PATCH", path, {"spec": {"replicas": 1}}, MERGE).status == 200
    until(lambda: names() == ["gw-0"], "the last one gone", 60)


@pytest.mark.usefixtures("needs_controllers")
def test_a_daemon_set_has_a_pod_for_its_nodes(api: KubeApi, ns: str, deployment: Obj) -> None:
    spec = {key: deployment["spec"][key] for key in ("selector", "template")}
    made = api.create(_DAEMONS.format(ns), {"metadata": {"name": "gw"}, "spec": spec})
    rolling = {"maxUnavailable": 1, "maxSurge": 0}
    assert made["spec"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}
    path = f"{_DAEMONS.format(ns)}/gw"

    def whole() -> bool:
        status = api.get(path)["status"]
        counted = ("numberReady", "numberAvailable", "updatedNumberScheduled")
        counts = {status.get(name, 0) for name in (*counted, "desiredNumberScheduled")}
        return len(counts) == 1 and counts != {0}

    until(whole, "pods", 90)
    (owner, *_) = [
        pod["metadata"]["ownerReferences"][0] for pod in api.items(f"/api/v1/namespaces/{ns}/pods")
    ]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("DaemonSet", "gw", True)
