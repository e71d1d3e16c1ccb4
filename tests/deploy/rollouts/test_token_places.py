"""The Secret that others refer to: written over only by the bot, the previous token kept beside it."""

import base64
import datetime
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.errors import Conflict
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster, connect
from deploy.observed.token_only import KeptToken
from deploy.rollouts.token_places import OneSecret
from deploy.tokens.token import KeyType, Token
from tests.support.gateway_bed import TIMEOUTS
from tests.support.kube_api import KubeApi
from tests.support.running_cluster import RunningCluster

REF = GatewayRef("west", "dev", "edge-1")
NAME, COPY, KEY = "edge-1-managed-token", "edge-1-managed-token-previous", "gateway-key"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    with RunningCluster(tmp_path_factory.mktemp("places"), namespaces=("dev",)) as found:
        yield found


@pytest.fixture
def cluster(running: RunningCluster) -> Iterator[Cluster]:
    found = connect("west", kubeconfig=running.kubeconfig(), timeouts=TIMEOUTS)
    for item in found.list("Secret", "dev"):
        found.delete("Secret", "dev", item["metadata"]["name"])
    yield found
    found.close()


@pytest.fixture
def place() -> OneSecret:
    return OneSecret(REF, NAME, COPY, KeptToken("edge-1", "contoso", "edge-1"), KEY)


def token(text: str, *, days: float = 10) -> Token:
    """A token that is told by the letters of its signature."""
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    return Token("edge-1", ends, f"edge-1&{ends:%Y%m%d%H%M}&{text}")


def held(cluster: Cluster, name: str) -> str:
    """The signature of the token in a Secret; empty where there is none."""
    secret = cluster.get("Secret", "dev", name)
    text = base64.b64decode(secret["data"][KEY]).decode() if secret else ""
    return text.rpartition("&")[2]


def write(
    place: OneSecret,
    cluster: Cluster,
    text: str,
    action: str,
    key: KeyType = "primary",
    **more: Any,
) -> None:
    place.write(cluster, token(text, **more), action, key)


def test_before_a_token_is_written_over_it_is_copied_and_the_copy_goes_once_it_is_verified(
    cluster: Cluster, place: OneSecret
) -> None:
    write(place, cluster, "one", "A1")
    assert (held(cluster, NAME), held(cluster, COPY)) == ("one", "")
    write(place, cluster, "two", "A2")
    assert (held(cluster, NAME), held(cluster, COPY)) == ("two", "one")
    assert place.written(cluster, "A2") is not None
    assert place.written(cluster, "A1") is None
    assert place.forget_copy(cluster)
    assert not place.forget_copy(cluster)
    assert (held(cluster, NAME), held(cluster, COPY)) == ("two", "")


def test_what_an_action_repeats_leaves_its_own_copy_as_it_is(
    cluster: Cluster, place: OneSecret
) -> None:
    write(place, cluster, "one", "A1")
    write(place, cluster, "two", "A2")
    write(place, cluster, "two-again", "A2")
    assert (held(cluster, NAME), held(cluster, COPY)) == ("two-again", "one")


def test_a_token_that_was_never_verified_does_not_take_the_place_of_the_verified_one(
    cluster: Cluster, place: OneSecret
) -> None:
    write(place, cluster, "verified", "A1")
    write(place, cluster, "unverified", "A2")
    write(place, cluster, "three", "A3")
    assert (held(cluster, NAME), held(cluster, COPY)) == ("three", "verified")
    assert place.restore(cluster, "A3")
    assert place.restore(cluster, "A3"), "it may be repeated"
    assert held(cluster, NAME) == "verified"


def test_a_copy_of_a_token_that_has_expired_is_replaced(cluster: Cluster, place: OneSecret) -> None:
    write(place, cluster, "expired", "A1", days=-1)
    write(place, cluster, "two", "A2")
    write(place, cluster, "three", "A3")
    assert (held(cluster, NAME), held(cluster, COPY)) == ("three", "two")


def test_without_a_copy_there_is_nothing_to_go_back_to(cluster: Cluster, place: OneSecret) -> None:
    assert not place.restore(cluster, "A1")
    write(place, cluster, "one", "A1")
    assert not place.restore(cluster, "A1")
    assert held(cluster, NAME) == "one"


@pytest.mark.parametrize("name", [NAME, COPY])
@pytest.mark.parametrize(
    ("labels", "owned", "whose"),
    [
        ({}, False, "This bot did not make it."),
        ({"app.kubernetes.io/managed-by": "gateway-bot"}, False, "This bot did not make it."),
        ({}, True, "It belongs to ConfigMap x."),
    ],
)
def test_a_secret_that_is_not_the_bots_is_neither_written_nor_copied_over(
    running: RunningCluster,
    cluster: Cluster,
    place: OneSecret,
    name: str,
    labels: dict[str, str],
    owned: bool,
    whose: str,
) -> None:
    if name == COPY:
        write(place, cluster, "one", "A1")
    api = KubeApi(running.kubeconfig())
    metadata: dict[str, Any] = {"name": name, "labels": labels}
    if owned:
        path = "/api/v1/namespaces/dev/configmaps"
        answer = api.request("POST", path, {"metadata": {"name": "x"}})
        assert answer.status in (201, 409)
        uid = api.get(f"{path}/x")["metadata"]["uid"]
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": uid}
        metadata["ownerReferences"] = [{**owner, "controller": True}]
    api.create("/api/v1/namespaces/dev/secrets", {"metadata": metadata, "data": {KEY: ""}})
    before = cluster.get("Secret", "dev", name)
    with pytest.raises(Conflict) as refused:
        write(place, cluster, "two", "A2")
    assert refused.value.meaning == whose
    assert cluster.get("Secret", "dev", name) == before


def test_the_secrets_have_no_label_by_which_others_know_their_own(
    cluster: Cluster, place: OneSecret
) -> None:
    write(place, cluster, "one", "A1")
    write(place, cluster, "two", "A2")
    for name in (NAME, COPY):
        secret = cluster.get("Secret", "dev", name)
        assert secret is not None
        assert secret["metadata"]["labels"] == {
            "app.kubernetes.io/managed-by": "gateway-bot",
            "gateway-bot.io/workload": "edge-1",
        }
