"""Which token Secrets are no longer needed."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deploy.kube.objects import Manifest
from deploy.rollouts.collecting import unneeded

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
REVISION = "deployment.kubernetes.io/revision"


def reading(secret: str) -> dict[str, Any]:
    source = {"secretKeyRef": {"name": secret, "key": "value"}}
    env = [{"name": "config.service.auth", "valueFrom": source}]
    return {"containers": [{"name": "gw", "env": env}]}


def deployment(secret: str) -> Manifest:
    return {"metadata": {"uid": "u"}, "spec": {"template": {"spec": reading(secret)}}}


def replica_set(secret: str, revision: int, replicas: int = 0, owner: str = "u") -> Manifest:
    return {
        "metadata": {
            "annotations": {REVISION: str(revision)},
            "ownerReferences": [{"uid": owner}],
        },
        "spec": {"replicas": replicas, "template": {"spec": reading(secret)}},
    }


def secret(name: str, *, ours: bool = True) -> Manifest:
    annotations = {"gateway-bot.io/token-expires-at": "2026-12-01T00:00:00Z"} if ours else {}
    return {"metadata": {"name": name, "annotations": annotations}}


def pod(name: str) -> Manifest:
    return {"metadata": {}, "spec": reading(name)}


def test_the_secret_in_use_and_the_newest_other_one_are_kept() -> None:
    sets = [replica_set("a", 1), replica_set("b", 2), replica_set("c", 3), replica_set("c", 4, 2)]
    secrets = [secret(name) for name in "abc"]
    assert unneeded(deployment("c"), sets, [pod("c")], secrets) == ("a",)


def test_a_pod_that_is_being_deleted_needs_no_secret_any_more() -> None:
    leaving = {**pod("b"), "metadata": {"deletionTimestamp": "2026-11-30T00:00:00Z"}}
    sets = [replica_set("b", 1), replica_set("c", 2), replica_set("e", 3, 2)]
    secrets = [secret("b"), secret("c"), secret("e")]
    assert unneeded(deployment("e"), sets, [leaving, pod("e")], secrets) == ("b",)


def test_what_a_pod_or_a_replica_set_with_pods_reads_is_kept() -> None:
    sets = [replica_set("a", 1, 1), replica_set("b", 2), replica_set("d", 3), replica_set("e", 4)]
    secrets = [secret(name) for name in "abcde"]
    assert unneeded(deployment("e"), sets, [pod("b")], secrets) == ("c",)


def test_secrets_of_others_are_left_alone_and_others_replica_sets_do_not_count() -> None:
    secrets = [secret("a", ours=False), secret("b"), secret("c")]
    sets = [replica_set("b", 9, 3, owner="somebody-else"), replica_set("c", 1, 1)]
    assert unneeded(deployment("c"), sets, [], secrets) == ("b",)


def test_a_gateway_without_a_token_keeps_its_last_one_as_the_way_back() -> None:
    bare: Manifest = {"metadata": {"uid": "u"}, "spec": {"template": {"spec": {}}}}
    sets = [replica_set("a", 1), replica_set("b", 2)]
    assert unneeded(bare, sets, [], [secret("a"), secret("b")]) == ("a",)


@given(
    NAMES,
    st.lists(st.tuples(NAMES, st.integers(1, 9), st.integers(0, 2)), max_size=6),
    st.lists(NAMES, max_size=4),
)
def test_nothing_that_runs_or_could_be_gone_back_to_is_ever_unneeded(
    current: str, sets: list[tuple[str, int, int]], pods: list[str]
) -> None:
    found = unneeded(
        deployment(current),
        [replica_set(*each) for each in sets],
        [pod(name) for name in pods],
        [secret(name) for name in "abcde"],
    )
    assert current not in found
    assert not set(pods) & set(found)
    assert not {name for name, _, replicas in sets if replicas} & set(found)
    others = [(revision, name) for name, revision, _ in sets if name != current]
    if others:
        newest = max(revision for revision, _ in others)
        assert {name for revision, name in others if revision == newest} - set(found)
