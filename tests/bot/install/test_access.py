"""The Roles are those of the configured namespaces, and bind the bot alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.install.access import namespaces_of, patterns_of, rights_on
from bot.install.installation import Installation
from bot.settings import Settings
from deploy.errors import InvalidInput
from deploy.kube.rights import BESIDE_CLUSTER_ROLE, IN_CLUSTER, IN_NAMESPACE, Rights, role
from tests.bot.install.settings_of import IMAGE, USUAL, Obj, installed, settings_of

HERE = Installation(IMAGE, namespace="ops")
WHOLE = [{"name": "west", "in_cluster": True}]
NAMED = [
    {"name": "test", "clusters": ["we*"], "namespaces": ["test", "test-*"]},
    {"name": "other", "clusters": ["east"], "namespaces": ["elsewhere"]},
]


def granted(rights: tuple[Rights, ...]) -> set[tuple[str, str, str]]:
    return {
        (r.group, resource, verb) for r in rights for resource in r.resources for verb in r.verbs
    }


def rights(settings: Settings, user: str | None = None, *more: str) -> list[Obj]:
    installation = Installation(IMAGE, namespace="ops", gateway_namespaces=more)
    return rights_on(settings.clusters[0], settings, installation, user)


@given(st.sets(st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True), min_size=1, max_size=5))
def test_listed_namespaces_have_a_role_each_and_nothing_is_of_the_whole_cluster(
    names: set[str],
) -> None:
    settings = settings_of(clusters=[{**WHOLE[0], "namespaces": sorted(names)}])
    objects = rights(settings)
    assert {each["kind"] for each in objects} == {"Role", "RoleBinding"}
    roles = [each for each in objects if each["kind"] == "Role"]
    assert roles == [role(name, name="gateway-bot-ops") for name in sorted(names)]
    for each in objects:
        if each["kind"] == "RoleBinding":
            account = {"kind": "ServiceAccount", "name": "gateway-bot", "namespace": "ops"}
            assert each["subjects"] == [account]
            assert each["roleRef"]["kind"] == "Role"


def test_a_whole_cluster_is_read_and_changed_only_where_the_settings_name_a_namespace() -> None:
    settings = settings_of(clusters=WHOLE, environments=NAMED)
    objects = rights(settings, None, "more")
    roles = {each["metadata"]["namespace"] for each in objects if each["kind"] == "Role"}
    assert roles == {"test", "more"}
    assert patterns_of(settings.clusters[0], settings) == ("test-*",)
    (everywhere,) = [each for each in objects if each["kind"] == "ClusterRole"]
    verbs = {verb for rule in everywhere["rules"] for verb in rule["verbs"]}
    assert verbs == {"get", "list", "watch"}
    assert not any("secrets" in rule["resources"] for rule in everywhere["rules"])


def test_both_ways_together_give_what_a_role_alone_does_and_never_twice() -> None:
    beside, everywhere = granted(BESIDE_CLUSTER_ROLE), granted(IN_CLUSTER)
    assert beside | everywhere >= granted(IN_NAMESPACE)
    assert beside <= granted(IN_NAMESPACE)
    assert not beside & everywhere


def test_namespaces_that_nobody_names_are_asked_for() -> None:
    settings = settings_of(clusters=WHOLE, environments=[{"name": "development"}])
    with pytest.raises(InvalidInput, match="Give each with --gateway-namespace"):
        rights(settings)
    assert namespaces_of(settings.clusters[0], settings, ["dev"]) == ("dev",)


def test_a_namespace_that_the_bot_does_not_look_at_gets_no_role() -> None:
    with pytest.raises(InvalidInput, match="not among the `namespaces` of cluster west"):
        rights(settings_of(), None, "elsewhere")


def test_another_cluster_can_know_the_bot_as_a_user() -> None:
    objects = rights(settings_of(), "9a8b")
    bindings = [each for each in objects if each["kind"] == "RoleBinding"]
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "9a8b"}
    assert [each["subjects"] for each in bindings] == [[user]] * 2


def test_no_role_is_for_the_namespace_that_the_bot_runs_in() -> None:
    objects = installed(HERE)
    roles = [each for each in objects if each["kind"] == "Role"]
    assert [each["metadata"]["namespace"] for each in roles] == USUAL["clusters"][0]["namespaces"]


@given(
    st.sampled_from(["gateway-bot", "ops", "ops-2"]),
    st.sampled_from(["gateway-bot", "ops", "ops-2"]),
    st.sampled_from([WHOLE, USUAL["clusters"]]),
    st.sampled_from([WHOLE, USUAL["clusters"]]),
)
def test_a_second_installation_replaces_nothing_of_the_first(
    first: str, second: str, its: list[Obj], others: list[Obj]
) -> None:
    def objects(namespace: str, clusters: list[Obj]) -> set[tuple[str, str, str]]:
        found = installed(Installation(IMAGE, namespace=namespace), clusters=clusters)
        return {
            (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"])
            for each in found
        }

    assert (first == second) == bool(objects(first, its) & objects(second, others))


def test_the_usual_installation_has_the_names_of_the_documentation() -> None:
    names = {each["metadata"]["name"] for each in installed(clusters=WHOLE)}
    assert names == {"gateway-bot"}
    bound = [each for each in installed(HERE, clusters=WHOLE) if "roleRef" in each]
    assert {each["roleRef"]["name"] for each in bound} == {"gateway-bot-ops"}
