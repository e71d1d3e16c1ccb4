"""Defaults: what the server adds, and that an unchanged manifest therefore changes nothing."""

import copy
from typing import Any

import pytest

from deploy.gateway import ApimGateway, GatewayRef
from deploy.rendering.manifests import render
from deploy.specs.gateway_spec import GatewaySpec
from tests.support.kube_api import KubeApi, Obj

_KINDS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Service": "/api/v1/namespaces/{}/services",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
}


def _without_bookkeeping(obj: Obj) -> Obj:
    found = copy.deepcopy(obj)
    found.pop("status", None)
    for name in ("managedFields", "resourceVersion", "generation"):
        found["metadata"].pop(name, None)
    found["metadata"].get("annotations", {}).pop("deployment.kubernetes.io/revision", None)
    return found


def _gateway(ns: str, **changes: Any) -> list[tuple[str, Obj]]:
    spec = GatewaySpec(
        ref=GatewayRef("west", ns, "edge-1"),
        apim=ApimGateway("contoso", "edge-1", "contoso.configuration.azure-api.net"),
        tag="2.11.1",
        replicas=changes.pop("replicas", 0),
        **changes,
    )
    return [
        (f"{_KINDS[obj['kind']].format(ns)}/{obj['metadata']['name']}", obj)
        for obj in render(spec, "edge-1-token")
    ]


def test_a_deployment_gets_the_defaults_of_its_documentation(
    api: KubeApi, ns: str, deployment: Obj
) -> None:
    deployment["spec"]["replicas"] = 0
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["readinessProbe"] = {"httpGet": {"path": "/", "port": 8080}}
    container["ports"] = [{"containerPort": 8080}]
    deployment["spec"]["template"]["spec"].pop("terminationGracePeriodSeconds")
    spec = api.apply(f"/apis/apps/v1/namespaces/{ns}/deployments/gw", deployment)["spec"]
    assert spec["progressDeadlineSeconds"] == 600
    assert spec["revisionHistoryLimit"] == 10
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    pod = spec["template"]["spec"]
    assert (pod["dnsPolicy"], pod["restartPolicy"], pod["schedulerName"]) == (
        "ClusterFirst",
        "Always",
        "default-scheduler",
    )
    assert pod["terminationGracePeriodSeconds"] == 30
    (found,) = pod["containers"]
    assert found["imagePullPolicy"] == "IfNotPresent"
    assert found["ports"] == [{"containerPort": 8080, "protocol": "TCP"}]
    assert found["readinessProbe"] == {
        "httpGet": {"path": "/", "port": 8080, "scheme": "HTTP"},
        "failureThreshold": 3,
        "periodSeconds": 10,
        "successThreshold": 1,
        "timeoutSeconds": 1,
    }


@pytest.mark.parametrize("service_type", ["LoadBalancer", "NodePort", "ClusterIP"])
def test_a_gateway_applied_again_is_not_changed(api: KubeApi, ns: str, service_type: str) -> None:
    for path, body in _gateway(ns, service_type=service_type):
        first = api.apply(path, body)
        again = api.apply(path, body)
        assert _without_bookkeeping(again) == _without_bookkeeping(first), path
        assert again["metadata"].get("generation") == first["metadata"].get("generation")


def test_a_dry_run_of_an_unchanged_gateway_equals_what_is_live(api: KubeApi, ns: str) -> None:
    objects = _gateway(ns)
    for path, body in objects:
        api.apply(path, body)
    for path, body in objects:
        shown = api.apply(path, body, query="&dryRun=All")
        assert _without_bookkeeping(shown) == _without_bookkeeping(api.get(path)), path


def test_a_dry_run_of_a_changed_gateway_shows_only_that_change(api: KubeApi, ns: str) -> None:
    for path, body in _gateway(ns):
        api.apply(path, body)
    path, body = next(item for item in _gateway(ns, memory="3Gi") if "deployments" in item[0])
    before = _without_bookkeeping(api.get(path))
    after = _without_bookkeeping(api.apply(path, body, query="&dryRun=All"))
    for obj in (before, after):
        obj["metadata"]["annotations"].pop("gateway-bot.io/spec")
    container = before["spec"]["template"]["spec"]["containers"][0]
    container["resources"]["requests"]["memory"] = "3Gi"
    container["resources"]["limits"]["memory"] = "3Gi"
    assert after == before


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ({"cpu": "0.5", "memory": "1024Mi"}, {"cpu": "500m", "memory": "1Gi"}),
        ({"cpu": "1000m", "memory": "1500Mi"}, {"cpu": "1", "memory": "1500Mi"}),
        ({"cpu": 2, "memory": "2000M"}, {"cpu": "2", "memory": "2G"}),
    ],
)
def test_quantities_come_back_in_their_canonical_form(
    api: KubeApi, ns: str, deployment: Obj, written: Obj, kept: Obj
) -> None:
    deployment["spec"]["replicas"] = 0
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"requests": written}
    found = api.apply(f"/apis/apps/v1/namespaces/{ns}/deployments/gw", deployment)
    assert found["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"] == kept


def test_limits_alone_become_the_requests_of_a_pod_but_not_of_a_template(
    api: KubeApi, ns: str, deployment: Obj
) -> None:
    deployment["spec"]["replicas"] = 0
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"limits": {"memory": "1Gi"}}
    found = api.apply(f"/apis/apps/v1/namespaces/{ns}/deployments/gw", deployment)
    resources = found["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources == {"limits": {"memory": "1Gi"}}
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [container]}}
    made = api.create(f"/api/v1/namespaces/{ns}/pods?dryRun=All", pod)
    assert made["spec"]["containers"][0]["resources"] == {
        "limits": {"memory": "1Gi"},
        "requests": {"memory": "1Gi"},
    }


def test_a_service_keeps_its_addresses_and_ports_over_applies(api: KubeApi, ns: str) -> None:
    path, body = next(
        item for item in _gateway(ns, service_type="NodePort") if item[0].endswith("live-traffic")
    )
    first = api.apply(path, body)["spec"]
    assert first["clusterIP"] == first["clusterIPs"][0]
    assert (first["ipFamilyPolicy"], first["sessionAffinity"]) == ("SingleStack", "None")
    assert all(30000 <= port["nodePort"] <= 32767 for port in first["ports"])
    assert api.apply(path, body)["spec"] == first


def test_string_data_becomes_data_but_a_dropped_key_stays(api: KubeApi, ns: str) -> None:
    secret: Obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    path = f"/api/v1/namespaces/{ns}/secrets/s"
    found = api.apply(path, {**secret, "stringData": {"a": "1", "b": "2"}})
    assert found["data"] == {"a": "MQ==", "b": "Mg=="}
    assert "stringData" not in found
    assert set(api.apply(path, {**secret, "stringData": {"a": "1"}})["data"]) == {"a", "b"}
    whole = f"/api/v1/namespaces/{ns}/secrets/t"
    secret = {**secret, "metadata": {"name": "t"}}
    api.apply(whole, {**secret, "data": {"a": "MQ==", "b": "Mg=="}})
    assert set(api.apply(whole, {**secret, "data": {"a": "MQ=="}})["data"]) == {"a"}
