"""Rights: what RBAC refuses and in which words, and what a user may ask about their own rights."""

from typing import Any

import pytest

from tests.support.kube_api import MERGE, KubeApi, Obj
from tests.support.waiting import until

_RBAC = "/apis/rbac.authorization.k8s.io/v1"


def _grant(api: KubeApi, ns: str, user: str, rules: list[Obj]) -> None:
    role = {"metadata": {"name": user}, "rules": rules}
    api.create(f"{_RBAC}/namespaces/{ns}/roles", role)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    binding = {"metadata": {"name": user}, "roleRef": reference, "subjects": [subject]}
    api.create(f"{_RBAC}/namespaces/{ns}/rolebindings", binding)


def _rule(resources: list[str], verbs: list[str], group: str = "", **more: Any) -> Obj:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs, **more}


def _may(api: KubeApi, **attributes: str) -> bool:
    body = {"spec": {"resourceAttributes": attributes}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    return bool(api.create(path, body)["status"]["allowed"])


def test_who_has_no_right_is_told_which_one(api: KubeApi, ns: str) -> None:
    answer = api.as_user("nobody").request("GET", f"/api/v1/namespaces/{ns}/secrets")
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.message == (
        f'secrets is forbidden: User "nobody" cannot list resource "secrets" '
        f'in API group "" in the namespace "{ns}"'
    )


def test_a_named_object_of_another_group_is_refused_in_the_same_words(
    api: KubeApi, ns: str
) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments/gw"
    answer = api.as_user("nobody").request("GET", path)
    assert answer.message == (
        'deployments.apps "gw" is forbidden: User "nobody" cannot get resource "deployments" '
        f'in API group "apps" in the namespace "{ns}"'
    )
    assert answer.body["details"] == {"name": "gw", "group": "apps", "kind": "deployments"}


def test_a_role_can_allow_to_read_the_namespace_that_it_is_in_and_no_other(
    api: KubeApi, ns: str
) -> None:
    bot = api.as_user(f"reader-{ns}")
    path = f"/api/v1/namespaces/{ns}"
    assert bot.request("GET", path).message.endswith(f'in API group "" in the namespace "{ns}"')
    _grant(api, ns, f"reader-{ns}", [_rule(["namespaces"], ["get"])])
    until(lambda: bot.request("GET", path).status == 200, "the Role")
    assert bot.request("GET", "/api/v1/namespaces/kube-system").status == 403
    assert bot.request("GET", "/api/v1/namespaces").status == 403
    assert _may(bot, verb="get", resource="namespaces", namespace=ns)


def test_a_cluster_wide_list_is_refused_at_the_cluster_scope(api: KubeApi) -> None:
    answer = api.as_user("nobody").request("GET", "/api/v1/pods")
    assert answer.message.endswith('in API group "" at the cluster scope')


def test_a_kind_that_is_not_served_is_refused_before_it_is_found_missing(
    api: KubeApi, ns: str
) -> None:
    root = "/apis/nowhere.example.com/v1"
    answer = api.as_user("nobody").request("GET", f"{root}/namespaces/{ns}/things")
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.message == (
        'things.nowhere.example.com is forbidden: User "nobody" cannot list resource "things" '
        f'in API group "nowhere.example.com" in the namespace "{ns}"'
    )
    somebody = api.as_user("somebody", "system:authenticated")
    for path in (root, f"{root}/things"):
        answer = api.request("GET", path)
        assert (answer.status, answer.body) == (404, "404 page not found\n")
    assert somebody.request("GET", root).status == 404


def test_a_role_gives_exactly_its_verbs(api: KubeApi, ns: str) -> None:
    _grant(api, ns, "reader", [_rule(["configmaps"], ["get", "list"])])
    reader = api.as_user("reader")
    path = f"/api/v1/namespaces/{ns}/configmaps"
    until(lambda: reader.request("GET", path).status == 200, "the right")
    assert reader.request("POST", path, {"metadata": {"name": "c"}}).status == 403
    assert reader.request("GET", "/api/v1/configmaps").status == 403
    assert reader.request("GET", f"/api/v1/namespaces/{ns}/pods").status == 403


def test_a_right_to_named_objects_is_none_to_others_or_to_lists(api: KubeApi, ns: str) -> None:
    _grant(api, ns, "one", [_rule(["secrets"], ["get", "list"], resourceNames=["mine"])])
    one = api.as_user("one")
    path = f"/api/v1/namespaces/{ns}/secrets"
    api.create(path, {"metadata": {"name": "mine"}})
    until(lambda: one.request("GET", f"{path}/mine").status == 200, "the right")
    assert one.request("GET", f"{path}/other").status == 403
    assert one.request("GET", path).status == 403
    assert one.request("GET", f"{path}?fieldSelector=metadata.name%3Dmine").status == 200


def test_an_apply_that_creates_needs_patch_and_create(api: KubeApi, ns: str) -> None:
    _grant(api, ns, "patcher", [_rule(["configmaps"], ["patch"])])
    patcher = api.as_user("patcher")
    path = f"/api/v1/namespaces/{ns}/configmaps/c"
    body: Obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}

    def answer() -> str:
        return patcher.try_apply(path, body).message

    until(lambda: 'cannot create resource "configmaps"' in answer(), "the refusal to create")
    api.create(f"/api/v1/namespaces/{ns}/configmaps", body)
    assert patcher.try_apply(path, body).status == 200


def test_a_subresource_is_a_right_of_its_own(api: KubeApi, ns: str, deployment: Obj) -> None:
    deployment["spec"]["replicas"] = 0
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    api.create(path, deployment)
    _grant(api, ns, "scaler", [_rule(["deployments/scale"], ["get", "patch"], "apps")])
    scaler = api.as_user("scaler")
    until(lambda: scaler.request("GET", f"{path}/gw/scale").status == 200, "the right")
    assert scaler.request("GET", f"{path}/gw").status == 403
    patch = {"spec": {"replicas": 0}}
    assert scaler.request("PATCH", f"{path}/gw/scale", patch, MERGE).status == 200


@pytest.mark.parametrize("path", ["/api", "/apis", "/version", "/apis/apps/v1"])
def test_discovery_is_open_to_everybody_who_is_known(api: KubeApi, path: str) -> None:
    somebody = api.as_user("somebody", "system:authenticated")
    assert somebody.request("GET", path).status == 200


def test_a_token_that_nobody_has_is_unauthorized(api: KubeApi, ns: str) -> None:
    answer = api.anonymous().request("GET", f"/api/v1/namespaces/{ns}/pods")
    assert (answer.status, answer.reason) == (401, "Unauthorized")


def test_one_may_ask_for_ones_own_rights(api: KubeApi, ns: str) -> None:
    _grant(api, ns, "asker", [_rule(["pods/log"], ["get"])])
    asker = api.as_user("asker", "system:authenticated")
    log = {"namespace": ns, "verb": "get", "resource": "pods", "subresource": "log"}
    until(lambda: _may(asker, **log), "the right")
    assert not _may(asker, namespace=ns, verb="get", resource="pods")
    assert not _may(asker, namespace=ns, verb="delete", resource="deployments", group="apps")
    assert _may(api, namespace=ns, verb="delete", resource="deployments", group="apps")


def test_a_service_account_is_who_its_token_says(api: KubeApi, ns: str) -> None:
    accounts = f"/api/v1/namespaces/{ns}/serviceaccounts"
    api.create(accounts, {"metadata": {"name": "bot"}})
    answer = api.request("POST", f"{accounts}/bot/token", {"spec": {"expirationSeconds": 600}})
    assert answer.status == 201
    assert answer.body["status"]["token"]
    refused = api.as_user(f"system:serviceaccount:{ns}:bot").request(
        "GET", f"/api/v1/namespaces/{ns}/pods"
    )
    assert f'User "system:serviceaccount:{ns}:bot"' in refused.message
