"""Server-side apply: who owns a field, what conflicts, what force takes, what goes away."""

import pytest

from tests.support.kube_api import MERGE, Answer, KubeApi, Obj


def _map(**data: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


def _path(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps/c"


def _deployments(ns: str) -> str:
    return f"/apis/apps/v1/namespaces/{ns}/deployments"


def _managers(obj: Obj) -> set[tuple[str, str]]:
    return {(m["manager"], m["operation"]) for m in obj["metadata"]["managedFields"]}


def _conflicts(answer: Answer) -> list[tuple[str, str]]:
    assert (answer.status, answer.reason) == (409, "Conflict"), answer.body
    return [(c["message"], c["field"]) for c in answer.body["details"]["causes"]]


def test_an_apply_creates_what_is_not_there_and_its_manager_owns_it(api: KubeApi, ns: str) -> None:
    answer = api.try_apply(_path(ns), _map(a="1"))
    assert answer.status == 201
    (entry,) = answer.body["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("test", "Apply")
    assert entry["fieldsV1"] == {"f:data": {"f:a": {}}}
    assert api.try_apply(_path(ns), _map(a="1")).status == 200


def test_a_field_of_another_manager_conflicts_and_both_are_named(api: KubeApi, ns: str) -> None:
    api.apply(_path(ns), _map(a="1"), "one")
    answer = api.try_apply(_path(ns), _map(a="2"), "two")
    assert _conflicts(answer) == [('conflict with "one"', ".data.a")]
    assert api.get(_path(ns))["data"] == {"a": "1"}


def test_several_conflicts_are_told_one_by_one(api: KubeApi, ns: str) -> None:
    api.apply(_path(ns), _map(a="1", b="1"), "one")
    answer = api.try_apply(_path(ns), _map(a="2", b="2"), "two")
    assert sorted(_conflicts(answer)) == [
        ('conflict with "one"', ".data.a"),
        ('conflict with "one"', ".data.b"),
    ]


def test_force_takes_the_field_and_its_owner_loses_it(api: KubeApi, ns: str) -> None:
    api.apply(_path(ns), _map(a="1", b="1"), "one")
    taken = api.apply(_path(ns), _map(a="2"), "two", query="&force=true")
    assert taken["data"] == {"a": "2", "b": "1"}
    owned = {m["manager"]: m["fieldsV1"] for m in taken["metadata"]["managedFields"]}
    assert owned == {"one": {"f:data": {"f:b": {}}}, "two": {"f:data": {"f:a": {}}}}


def test_the_same_value_is_shared_without_a_conflict(api: KubeApi, ns: str) -> None:
    api.apply(_path(ns), _map(a="1"), "one")
    api.apply(_path(ns), _map(a="1"), "two")
    assert api.apply(_path(ns), _map(b="1"), "one")["data"] == {"a": "1", "b": "1"}


def test_a_field_left_out_of_the_next_apply_is_removed(api: KubeApi, ns: str) -> None:
    api.apply(_path(ns), _map(a="1", b="2"))
    assert api.apply(_path(ns), _map(a="1"))["data"] == {"a": "1"}


def test_another_managers_fields_survive_an_apply(api: KubeApi, ns: str) -> None:
    api.apply(_path(ns), _map(a="1", x="1"), "one")
    api.apply(_path(ns), _map(b="2"), "two")
    assert api.apply(_path(ns), _map(a="1"), "one")["data"] == {"a": "1", "b": "2"}


def test_an_object_made_without_apply_conflicts_with_its_maker(api: KubeApi, ns: str) -> None:
    body = _map(a="1")
    api.create(f"/api/v1/namespaces/{ns}/configmaps?fieldManager=portal", body)
    message, field = _conflicts(api.try_apply(_path(ns), _map(a="2")))[0]
    assert message.startswith('conflict with "portal" using v1')
    assert field == ".data.a"


def _scale(api: KubeApi, path: str, replicas: int) -> None:
    patch = {"spec": {"replicas": replicas}}
    answer = api.request("PATCH", f"{path}/scale?fieldManager=kubectl", patch, MERGE)
    assert answer.status == 200


def test_scaling_by_hand_makes_replicas_theirs_who_scaled(
    api: KubeApi, ns: str, deployment: Obj
) -> None:
    path = f"{_deployments(ns)}/gw"
    deployment["spec"]["paused"] = True
    api.apply(path, deployment)
    _scale(api, path, 1)
    assert _conflicts(api.try_apply(path, deployment)) == [
        ('conflict with "kubectl" with subresource "scale" using apps/v1', ".spec.replicas")
    ]
    deployment["spec"].pop("replicas")
    assert api.apply(path, deployment)["spec"]["replicas"] == 1


def test_scaling_to_nothing_leaves_replicas_without_an_owner(
    api: KubeApi, ns: str, deployment: Obj
) -> None:
    path = f"{_deployments(ns)}/gw"
    deployment["spec"]["paused"] = True
    api.apply(path, deployment)
    _scale(api, path, 0)
    _scale(api, path, 3)
    assert api.apply(path, deployment)["spec"]["replicas"] == 2


def test_list_entries_are_merged_by_their_key(api: KubeApi, ns: str, deployment: Obj) -> None:
    path = f"{_deployments(ns)}/gw"
    deployment["spec"]["replicas"] = 0
    api.apply(path, deployment)
    other: Obj = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "gw"},
        "spec": {
            "template": {
                "spec": {"containers": [{"name": "gw", "env": [{"name": "A", "value": "1"}]}]}
            }
        },
    }
    found = api.apply(path, other, "two")
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["env"]) == (
        "example.com/app:1.0",
        [{"name": "A", "value": "1"}],
    )
    assert (
        "env"
        not in api.apply(path, {**other, "spec": {}}, "two")["spec"]["template"]["spec"][
            "containers"
        ][0]
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"replcas": 2}, ".spec.replcas: field not declared in schema"),
        ({"replicas": "two"}, ".spec.replicas: expected numeric"),
    ],
)
def test_an_apply_that_does_not_fit_the_schema_is_an_error_of_the_server(
    api: KubeApi, ns: str, deployment: Obj, change: Obj, text: str
) -> None:
    deployment["spec"].update(change)
    answer = api.try_apply(f"{_deployments(ns)}/gw", deployment)
    assert answer.status == 500
    assert answer.reason == ""
    assert "failed to create typed patch object" in answer.message
    assert text in answer.message


@pytest.mark.parametrize(
    ("query", "body", "status", "reason"),
    [
        ("", {}, 422, "Invalid"),
        ("fieldManager=test", {"metadata": {"name": "other"}}, 400, "BadRequest"),
        ("fieldManager=test", {"metadata": {"namespace": "other"}}, 400, "BadRequest"),
        ("fieldManager=test", {"metadata": {"managedFields": [{}]}}, 400, "BadRequest"),
        ("fieldManager=test", {"metadata": {"resourceVersion": "1"}}, 409, "Conflict"),
        ("fieldManager=test&dryRun=Some", {}, 422, "Invalid"),
    ],
)
def test_a_bad_apply_is_refused(
    api: KubeApi, ns: str, query: str, body: Obj, status: int, reason: str
) -> None:
    api.apply(_path(ns), _map(a="1"))
    wanted = _map(a="2")
    wanted["metadata"] |= body.get("metadata", {})
    answer = api.request("PATCH", f"{_path(ns)}?{query}", wanted, "application/apply-patch+yaml")
    assert (answer.status, answer.reason) == (status, reason)


def test_a_stale_version_is_a_conflict_without_causes(api: KubeApi, ns: str) -> None:
    api.apply(_path(ns), _map(a="1"))
    wanted = _map(a="2")
    wanted["metadata"]["resourceVersion"] = "1"
    answer = api.try_apply(_path(ns), wanted)
    assert (answer.status, answer.reason, answer.causes) == (409, "Conflict", [])


def test_a_dry_run_shows_the_result_and_keeps_nothing(api: KubeApi, ns: str) -> None:
    made = api.apply(_path(ns), _map(a="1"))
    shown = api.apply(_path(ns), _map(a="2", b="1"), query="&dryRun=All")
    assert shown["data"] == {"a": "2", "b": "1"}
    found = api.get(_path(ns))
    assert found["data"] == {"a": "1"}
    assert found["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_a_dry_run_of_a_new_object_makes_none(api: KubeApi, ns: str) -> None:
    assert api.try_apply(_path(ns), _map(a="1"), query="&dryRun=All").status == 201
    assert api.gone(_path(ns))


def test_a_dry_run_tells_conflicts_as_the_apply_would(api: KubeApi, ns: str) -> None:
    api.apply(_path(ns), _map(a="1"), "one")
    assert _conflicts(api.try_apply(_path(ns), _map(a="2"), query="&dryRun=All"))


def test_an_update_by_put_is_owned_as_an_update(api: KubeApi, ns: str) -> None:
    made = api.apply(_path(ns), _map(a="1"))
    made["data"]["a"] = "2"
    answer = api.request("PUT", f"{_path(ns)}?fieldManager=editor", made)
    assert answer.status == 200
    assert ("editor", "Update") in _managers(answer.body)
    assert _conflicts(api.try_apply(_path(ns), _map(a="1"))) == [
        ('conflict with "editor" using v1', ".data.a")
    ]


def test_a_deprecated_label_of_nodes_is_warned_of_beside_the_answer(
    api: KubeApi, ns: str, deployment: Obj
) -> None:
    pod = deployment["spec"]["template"]["spec"]
    pod["nodeSelector"] = {"beta.kubernetes.io/os": "linux"}
    path = f"{_deployments(ns)}/gw"
    said = (
        '299 - "spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use '
        '\\"kubernetes.io/os\\" instead"'
    )
    tried = api.try_apply(path, deployment, query="&dryRun=All")
    assert (tried.status, tried.headers["Warning"]) == (201, said)
    assert api.try_apply(path, deployment).headers["Warning"] == said
    pod["terminationGracePeriodSeconds"] = 7
    assert api.try_apply(path, deployment).headers["Warning"] == said


def test_null_takes_away_what_is_owned_whole_and_nothing_that_is_merged(
    api: KubeApi, ns: str, deployment: Obj
) -> None:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    keyed = {"configMapKeyRef": {"name": "c", "key": "k"}}
    probe = {"tcpSocket": {"port": 80}}
    live = {**container, "livenessProbe": probe, "env": [{"name": "A", "valueFrom": keyed}]}
    deployment["spec"]["template"]["spec"]["containers"] = [live]
    path = f"{_deployments(ns)}/gw"
    api.apply(path, {"apiVersion": "apps/v1", "kind": "Deployment", **deployment}, "one")

    def apply(part: Obj) -> Answer:
        pod = {"containers": [{"name": container["name"], **part}]}
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "gw"}}
        spec = {"template": {"spec": pod}}
        return api.try_apply(path, {**body, "spec": spec}, "two", query="&force=true")

    other = {"secretKeyRef": {"name": "s", "key": "k"}, "configMapKeyRef": None}
    assert apply({"env": [{"name": "A", "valueFrom": other}]}).status == 200
    refused = apply({"livenessProbe": {"httpGet": {"port": 80}, "tcpSocket": None}})
    assert refused.status == 422
    assert "may not specify more than 1 handler type" in refused.body["message"]
