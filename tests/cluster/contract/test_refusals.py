"""What the server refuses, with which status, reason and field."""
# ruff: noqa: E501  # a table of causes is read by line

from typing import Any

import pytest

from tests.support.kube_api import JSON_PATCH, MERGE, KubeApi, Obj
from tests.support.waiting import until


def _maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


def _deployments(ns: str) -> str:
    return f"/apis/apps/v1/namespaces/{ns}/deployments"


def _changed(obj: Obj, path: str, value: Any) -> Obj:
    steps = path.split(".")
    here: Any = obj
    for step in steps[:-1]:
        here = here[int(step)] if step.isdigit() else here.setdefault(step, {})
    here[steps[-1]] = value
    return obj


@pytest.mark.parametrize(
    ("path", "value", "cause"),
    [
        ("spec.replicas", -1, ("FieldValueInvalid", "spec.replicas")),
        ("spec.selector.matchLabels", {"app": "x"}, ("FieldValueInvalid", "spec.template.metadata.labels")),
        ("spec.template.spec.containers.0.image", "", ("FieldValueRequired", "spec.template.spec.containers[0].image")),
        ("spec.template.spec.containers.0.name", "Bad_Name", ("FieldValueInvalid", "spec.template.spec.containers[0].name")),
        ("spec.template.spec.containers.0.imagePullPolicy", "Sometimes", ("FieldValueNotSupported", "spec.template.spec.containers[0].imagePullPolicy")),
        ("spec.template.spec.containers.0.ports", [{"containerPort": 70000}], ("FieldValueInvalid", "spec.template.spec.containers[0].ports[0].containerPort")),
        ("spec.template.spec.containers.0.env", [{"name": ""}], ("FieldValueRequired", "spec.template.spec.containers[0].env[0].name")),
        ("spec.template.spec.containers.0.volumeMounts", [{"name": "v", "mountPath": "/v"}], ("FieldValueNotFound", "spec.template.spec.containers[0].volumeMounts[0].name")),
        ("spec.template.spec.containers.0.resources", {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}, ("FieldValueInvalid", "spec.template.spec.containers[0].resources.requests")),
        ("spec.template.spec.containers.0.readinessProbe", {"httpGet": {"port": 8080}, "periodSeconds": -1}, ("FieldValueInvalid", "spec.template.spec.containers[0].readinessProbe.periodSeconds")),
        ("spec.template.spec.restartPolicy", "Never", ("FieldValueNotSupported", "spec.template.spec.restartPolicy")),
        ("spec.template.spec.dnsPolicy", "Mine", ("FieldValueNotSupported", "spec.template.spec.dnsPolicy")),
        ("spec.template.spec.tolerations", [{"key": "a", "operator": "Is"}], ("FieldValueNotSupported", "spec.template.spec.tolerations[0].operator")),
        ("spec.template.spec.tolerations", [{"operator": "Equal", "value": "x"}], ("FieldValueInvalid", "spec.template.spec.tolerations[0].operator")),
        ("spec.template.spec.tolerations", [{"key": "a", "operator": "Exists", "value": "x"}], ("FieldValueInvalid", "spec.template.spec.tolerations[0].operator")),
        ("spec.template.spec.topologySpreadConstraints", [{"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}], ("FieldValueInvalid", "spec.template.spec.topologySpreadConstraints[0].maxSkew")),
        ("spec.strategy", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}, ("FieldValueInvalid", "spec.strategy.rollingUpdate.maxUnavailable")),
        ("spec.strategy", {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}, ("FieldValueForbidden", "spec.strategy.rollingUpdate")),
        ("spec.progressDeadlineSeconds", 0, ("FieldValueInvalid", "spec.progressDeadlineSeconds")),
        ("spec.minReadySeconds", -1, ("FieldValueInvalid", "spec.minReadySeconds")),
        ("metadata.labels", {"app": "not valid!"}, ("FieldValueInvalid", "metadata.labels")),
        ("metadata.annotations", {"a b": "c"}, ("FieldValueInvalid", "metadata.annotations")),
    ],
)  # fmt: skip
def test_a_deployment_with_a_bad_value_is_refused_with_its_field(
    api: KubeApi, ns: str, deployment: Obj, path: str, value: Any, cause: tuple[str, str]
) -> None:
    deployment["spec"]["replicas"] = 0
    answer = api.try_apply(f"{_deployments(ns)}/gw", _changed(deployment, path, value))
    assert (answer.status, answer.reason) == (422, "Invalid"), answer.body
    assert cause in answer.causes, answer.causes


@pytest.mark.parametrize(
    ("kind", "spec", "cause"),
    [
        ("services", {"ports": []}, ("FieldValueRequired", "spec.ports")),
        ("services", {"ports": [{"port": 80}, {"port": 81}]}, ("FieldValueRequired", "spec.ports[0].name")),
        ("services", {"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 81}]}, ("FieldValueDuplicate", "spec.ports[1].name")),
        ("services", {"ports": [{"port": 0}]}, ("FieldValueInvalid", "spec.ports[0].port")),
        ("services", {"type": "Other", "ports": [{"port": 80}]}, ("FieldValueNotSupported", "spec.type")),
        ("services", {"externalTrafficPolicy": "Local", "ports": [{"port": 80}]}, ("FieldValueInvalid", "spec.externalTrafficPolicy")),
        ("services", {"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}, ("FieldValueInvalid", "spec.ports[0].nodePort")),
        ("services", {"type": "LoadBalancer", "loadBalancerSourceRanges": ["all"], "ports": [{"port": 80}]}, ("FieldValueInvalid", "spec.LoadBalancerSourceRanges[0]")),
        ("services", {"loadBalancerSourceRanges": ["10.0.0.0/8"], "ports": [{"port": 80}]}, ("FieldValueForbidden", "spec.LoadBalancerSourceRanges")),
        ("services", {"ports": [{"port": 80, "nodePort": 30080}]}, ("FieldValueForbidden", "spec.ports[0].nodePort")),
        ("persistentvolumeclaims", {"accessModes": ["ReadWriteOnce"]}, ("FieldValueRequired", "spec.resources[storage]")),
        ("persistentvolumeclaims", {"accessModes": ["ReadWriteOncePod", "ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}, ("FieldValueForbidden", "spec.accessModes")),
        ("persistentvolumeclaims", {"accessModes": ["Sometimes"], "resources": {"requests": {"storage": "1Gi"}}}, ("FieldValueNotSupported", "spec.accessModes")),
    ],
)  # fmt: skip
def test_other_core_objects_with_bad_values_are_refused_with_their_field(
    api: KubeApi, ns: str, kind: str, spec: Obj, cause: tuple[str, str]
) -> None:
    body = {"metadata": {"name": "x"}, "spec": spec}
    answer = api.request("POST", f"/api/v1/namespaces/{ns}/{kind}", body)
    assert (answer.status, answer.reason) == (422, "Invalid"), answer.body
    assert cause in answer.causes, answer.causes


@pytest.mark.parametrize(
    ("group", "kind", "spec", "cause"),
    [
        ("policy/v1", "poddisruptionbudgets", {"minAvailable": 1, "maxUnavailable": 1, "selector": {}}, ("FieldValueInvalid", "spec")),
        ("policy/v1", "poddisruptionbudgets", {"minAvailable": -1, "selector": {}}, ("FieldValueInvalid", "spec.minAvailable")),
        ("policy/v1", "poddisruptionbudgets", {"minAvailable": "200%", "selector": {}}, ("FieldValueInvalid", "spec.minAvailable")),
        ("autoscaling/v2", "horizontalpodautoscalers", {"minReplicas": 3, "maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "gw"}}, ("FieldValueInvalid", "spec.maxReplicas")),
        ("autoscaling/v2", "horizontalpodautoscalers", {"maxReplicas": 0, "scaleTargetRef": {"kind": "Deployment", "name": "gw"}}, ("FieldValueInvalid", "spec.maxReplicas")),
        ("autoscaling/v2", "horizontalpodautoscalers", {"maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment"}}, ("FieldValueRequired", "spec.scaleTargetRef.name")),
        ("coordination.k8s.io/v1", "leases", {"leaseDurationSeconds": 0}, ("FieldValueInvalid", "spec.leaseDurationSeconds")),
    ],
)  # fmt: skip
def test_objects_of_other_groups_with_bad_values_are_refused_with_their_field(
    api: KubeApi, ns: str, group: str, kind: str, spec: Obj, cause: tuple[str, str]
) -> None:
    body = {"metadata": {"name": "x"}, "spec": spec}
    answer = api.request("POST", f"/apis/{group}/namespaces/{ns}/{kind}", body)
    assert (answer.status, answer.reason) == (422, "Invalid"), answer.body
    assert cause in answer.causes, answer.causes


@pytest.mark.parametrize("name", ["Bad_Name", "a" * 254, "-a", "a..b"])
def test_a_bad_name_is_refused(api: KubeApi, ns: str, name: str) -> None:
    answer = api.request("POST", _maps(ns), {"metadata": {"name": name}})
    assert answer.status == 422
    assert set(answer.causes) == {("FieldValueInvalid", "metadata.name")}


def test_an_object_larger_than_a_mebibyte_is_refused(api: KubeApi, ns: str) -> None:
    body = {"metadata": {"name": "c"}, "data": {"k": "x" * (1024 * 1024 + 1)}}
    answer = api.request("POST", _maps(ns), body)
    assert answer.status == 422
    assert "may not be more than 1048576 bytes" in answer.message


def test_a_selector_cannot_be_changed(api: KubeApi, ns: str, deployment: Obj) -> None:
    deployment["spec"]["replicas"] = 0
    api.apply(f"{_deployments(ns)}/gw", deployment)
    deployment["spec"]["selector"]["matchLabels"] = {"app": "other"}
    deployment["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    answer = api.try_apply(f"{_deployments(ns)}/gw", deployment)
    assert answer.status == 422
    assert ("FieldValueInvalid", "spec.selector") in answer.causes
    assert "field is immutable" in answer.message


def test_an_immutable_secret_keeps_its_data_and_its_mark(api: KubeApi, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/secrets/s"
    secret: Obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    api.apply(path, {**secret, "data": {"a": "MQ=="}, "immutable": True})
    answer = api.try_apply(path, {**secret, "data": {"a": "Mg=="}, "immutable": True})
    assert (answer.status, answer.causes) == (422, [("FieldValueForbidden", "data")])
    assert "field is immutable when `immutable` is set" in answer.message
    answer = api.request("PATCH", path, {"immutable": False}, MERGE)
    assert (answer.status, answer.causes) == (422, [("FieldValueForbidden", "immutable")])
    noted = {**secret, "metadata": {"name": "s", "annotations": {"note": "1"}}}
    assert api.try_apply(path, {**noted, "data": {"a": "MQ=="}, "immutable": True}).body[
        "metadata"
    ]["annotations"] == {"note": "1"}


def test_a_claim_cannot_shrink(api: KubeApi, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
    api.create(path, {"metadata": {"name": "c"}, "spec": spec})
    smaller = {"spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    answer = api.request("PATCH", f"{path}/c", smaller, MERGE)
    assert answer.status in (403, 422), answer.body


def test_what_is_not_there_is_not_found(api: KubeApi, ns: str) -> None:
    answer = api.request("GET", f"{_maps(ns)}/missing")
    assert (answer.status, answer.reason) == (404, "NotFound")
    assert answer.message == 'configmaps "missing" not found'
    assert answer.body["details"] == {"name": "missing", "kind": "configmaps"}


def test_a_namespace_that_is_not_there_takes_nothing(api: KubeApi) -> None:
    answer = api.request("POST", _maps("no-such"), {"metadata": {"name": "c"}})
    assert (answer.status, answer.reason) == (404, "NotFound")
    assert answer.message == 'namespaces "no-such" not found'
    assert api.items(_maps("no-such")) == []


def test_an_unknown_path_is_no_status(api: KubeApi) -> None:
    answer = api.request("GET", "/apis/none.example.com/v1/things")
    assert (answer.status, answer.body) == (404, "404 page not found\n")


def test_making_a_thing_twice_says_it_exists(api: KubeApi, ns: str) -> None:
    api.create(_maps(ns), {"metadata": {"name": "c"}})
    answer = api.request("POST", _maps(ns), {"metadata": {"name": "c"}})
    assert (answer.status, answer.reason) == (409, "AlreadyExists")


def test_an_update_of_an_old_version_conflicts(api: KubeApi, ns: str) -> None:
    made = api.create(_maps(ns), {"metadata": {"name": "c"}})
    api.request("PATCH", f"{_maps(ns)}/c", {"data": {"a": "1"}}, MERGE)
    answer = api.request("PUT", f"{_maps(ns)}/c", {**made, "data": {"a": "2"}})
    assert (answer.status, answer.reason) == (409, "Conflict")
    assert "the object has been modified" in answer.message


def test_a_deletion_can_be_bound_to_a_uid(api: KubeApi, ns: str) -> None:
    made = api.create(_maps(ns), {"metadata": {"name": "c"}})
    wrong = {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}
    answer = api.request("DELETE", f"{_maps(ns)}/c", wrong)
    assert (answer.status, answer.reason) == (409, "Conflict")
    right = {"preconditions": {"uid": made["metadata"]["uid"]}}
    assert api.request("DELETE", f"{_maps(ns)}/c", right).status == 200


def test_a_json_patch_whose_test_fails_is_refused(api: KubeApi, ns: str) -> None:
    api.create(_maps(ns), {"metadata": {"name": "c"}, "data": {"a": "1"}})
    patch = [{"op": "test", "path": "/data/a", "value": "2"}]
    answer = api.request("PATCH", f"{_maps(ns)}/c", patch, JSON_PATCH)
    assert (answer.status, answer.reason) == (422, "Invalid")


@pytest.mark.parametrize(
    ("validation", "status", "warned"), [("Warn", 201, True), ("Ignore", 201, False), ("Strict", 400, False)]
)  # fmt: skip
def test_an_unknown_field_is_answered_as_asked(
    api: KubeApi, ns: str, validation: str, status: int, warned: bool
) -> None:
    body = {"metadata": {"name": "c"}, "dta": {"a": "1"}}
    answer = api.request("POST", f"{_maps(ns)}?fieldValidation={validation}", body)
    assert answer.status == status, answer.body
    assert ("Warning" in answer.headers) == warned
    if status == 400:
        assert 'unknown field "dta"' in answer.message


def test_text_that_is_no_object_is_a_bad_request(api: KubeApi, ns: str) -> None:
    answer = api.request("POST", _maps(ns), "{")
    assert (answer.status, answer.reason) == (400, "BadRequest")


def test_a_load_balancers_class_is_set_with_its_type_and_then_kept(api: KubeApi, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/services/s"
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"app": "gw"}}
    body: Obj = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    named = {**spec, "loadBalancerClass": "contoso.com/internal"}
    refused = api.try_apply(path, {**body, "spec": {**named, "type": "ClusterIP"}})
    assert refused.causes == [("FieldValueForbidden", "spec.loadBalancerClass")]
    api.apply(path, {**body, "spec": spec})
    for other in (named, {**named, "loadBalancerClass": "contoso.com/b"}):
        refused = api.try_apply(path, {**body, "spec": other})
        assert refused.causes == [("FieldValueInvalid", "spec.loadBalancerClass")]
    api.apply(path, {**body, "spec": {**spec, "type": "ClusterIP"}})
    api.apply(path, {**body, "spec": named})
    refused = api.try_apply(path, {**body, "spec": spec})
    assert refused.causes == [("FieldValueInvalid", "spec.loadBalancerClass")]


def test_an_unknown_content_type_is_not_supported(api: KubeApi, ns: str) -> None:
    api.create(_maps(ns), {"metadata": {"name": "c"}})
    answer = api.request("PATCH", f"{_maps(ns)}/c", {"data": {}}, "application/json")
    assert (answer.status, answer.reason) == (415, "UnsupportedMediaType")


def test_a_quota_refuses_what_is_beyond_it(api: KubeApi, ns: str, needs_controllers: None) -> None:
    quotas = f"/api/v1/namespaces/{ns}/resourcequotas"
    api.create(quotas, {"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "2"}}})
    until(lambda: api.get(f"{quotas}/q").get("status", {}).get("used"), "the quota's status")

    def refused() -> bool:
        answer = api.request("POST", _maps(ns), {"metadata": {"generateName": "c-"}})
        if answer.status == 201:
            return False
        assert (answer.status, answer.reason) == (403, "Forbidden")
        return "exceeded quota: q" in answer.message

    until(refused, "a refusal by quota")
