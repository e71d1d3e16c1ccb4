"""How each gateway on a cluster signs in, where its token is, and when that expires."""

import base64
import datetime
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.sandbox.rights import rights
from deploy.deadline import Deadline
from deploy.expiry.scanner import Rules, facts_of
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from deploy.health.status import GatewaySummary, summaries
from deploy.kube.cluster import Cluster, connect
from handlers.views import status as view
from tests.support.gateway_bed import TIMEOUTS
from tests.support.running_cluster import RunningCluster
from tests.support.waiting import until

DATA = Path(__file__).parents[2] / "data"
SIGNATURE = "c2lnbmF0dXJlLW9mLWEtdG9rZW4="
TOKEN = f"GatewayKey edge-1&203012010000&{SIGNATURE}"
EXPIRES = datetime.datetime(2030, 12, 1, tzinfo=datetime.UTC).timestamp()
RULES = Rules("development", (7 * 86_400.0, 0.0), ())
AUTH = "config.service.auth"
IMAGE = "mcr.microsoft.com/azure-api-management/gateway:2.11.1"
Manifest = dict[str, Any]


@pytest.fixture
def cache(cluster: Cluster) -> Iterator[ClusterCache]:
    found = ClusterCache(cluster, silence=10)
    yield found
    found.stop(Deadline.after(5))


def install(running: RunningCluster, *objects: Manifest) -> None:
    for item in objects:
        item["metadata"]["namespace"] = "dev"
    running.wait(running.cluster.apply(list(objects)))


def case(name: str) -> list[Manifest]:
    """A case with a token that outlives this test."""
    places = (DATA / "settings", DATA / "adoption" / "relatives")
    text = next(p for each in places if (p := each / f"{name}.yaml").exists()).read_text()
    items = list(yaml.safe_load_all(re.sub("202612010000&A+=*", f"203012010000&{SIGNATURE}", text)))
    for item in items:
        if item["kind"] == "Secret":
            told = item.pop("stringData")
            item["data"] = {k: base64.b64encode(v.encode()).decode() for k, v in told.items()}
        if item["kind"] == "Deployment":
            item["spec"]["replicas"] = 0
    return items


def gateway(name: str, *env: Manifest, sources: tuple[Manifest, ...] = ()) -> Manifest:
    container = {"name": "gw", "image": IMAGE, "env": list(env), "envFrom": list(sources)}
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def holding(kind: str, name: str, **data: str) -> Manifest:
    if kind == "Secret":
        data = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": data}


def seen(cache: ClusterCache, name: str) -> GatewaySummary:
    found = {each.ref.name: each for each in summaries(cache.read(), 0.0)}
    return found[name]


def test_a_token_in_the_deployment_itself_has_an_expiry_and_a_place(
    running: RunningCluster, cache: ClusterCache
) -> None:
    install(running, *case("token-inline-in-env"))
    found = seen(cache, "inline")
    assert (found.token_source, found.token_expires_at) == ("token", EXPIRES)
    assert (found.gateway, found.token_secret) == ("inline", "")
    assert facts_of(found, RULES).expires_at == EXPIRES
    assert "in plain text in the Deployment itself" in view._token(found, 0.0)
    kept = pickle.dumps(
        [
            cache.read(),
            cache._sources._read,
            cache._sources._alone,
            cache._kinds["Deployment", None].items,
        ]
    )
    assert SIGNATURE.encode() not in kept


def test_a_token_under_another_key_of_a_whole_secret_has_an_expiry(
    running: RunningCluster, cache: ClusterCache
) -> None:
    install(running, *case("token-whole-secret-other-key"))
    found = seen(cache, "apim-gateway")
    assert (found.token_secret, found.token_expires_at) == ("apim-access-token", EXPIRES)
    assert facts_of(found, RULES).source == "token"
    kept = pickle.dumps(
        [cache.read(), cache._sources._read, cache._sources._alone, cache._tokens._known]
    )
    assert SIGNATURE.encode() not in kept
    assert base64.b64encode(SIGNATURE.encode()) not in kept


@pytest.mark.parametrize(
    ("name", "gateway_name"),
    [
        ("entra-app-secret-in-configmap", "mygw"),
        ("entra-certificate-in-env", "certified"),
        ("entra-app-secret-by-key", "app"),
        ("workload-identity-docs-2026", "apim-gateway"),
        ("workload-identity-in-env", "federated"),
        ("workload-identity-in-a-secret", "sealed"),
    ],
)
def test_a_gateway_that_signs_in_to_entra_has_no_token_that_could_be_missing(
    running: RunningCluster, cache: ClusterCache, name: str, gateway_name: str
) -> None:
    install(running, *case(name))
    found = seen(cache, gateway_name)
    assert (found.token_source, found.token_secret) == ("none", "")
    assert facts_of(found, RULES).why == ""
    assert "token" not in " ".join(found.attention)
    assert b"not-a-secret" not in pickle.dumps(
        [cache.read(), cache._sources._read, cache._sources._alone]
    )


@pytest.mark.parametrize(
    ("env", "sources", "beside", "secret", "where"),
    [
        pytest.param(
            ({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
             {"name": AUTH, "value": "GatewayKey $(TOKEN)"}),
            (), (holding("Secret", "s", k=TOKEN.removeprefix("GatewayKey ")),), "s", "",
            id="behind another variable",
        ),
        pytest.param(
            (), ({"configMapRef": {"name": "m"}},), (holding("ConfigMap", "m", **{AUTH: TOKEN}),),
            "", "ConfigMap m", id="in a ConfigMap",
        ),
        pytest.param(
            (), ({"configMapRef": {"name": "m"}}, {"secretRef": {"name": "t"}}, {"secretRef": {"name": "r"}}),
            (holding("ConfigMap", "m", **{AUTH: "key"}), holding("Secret", "t", **{f"{AUTH}.key": TOKEN}),
             holding("Secret", "r", password="p")),
            "t", "", id="in one of several whole Secrets",
        ),
        pytest.param(
            ({"name": AUTH, "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},), (),
            (holding("ConfigMap", "m", k=TOKEN),), "", "ConfigMap m", id="under a key of a ConfigMap",
        ),
        pytest.param(
            ({"name": "TOKEN", "value": TOKEN}, {"name": AUTH, "value": "$(TOKEN)"}), (), (),
            "", "the Deployment itself", id="in plain text behind another variable",
        ),
        pytest.param(
            (), ({"prefix": "config.service.", "secretRef": {"name": "t"}},),
            (holding("Secret", "t", auth=TOKEN),), "t", "", id="by a prefix",
        ),
        pytest.param(
            ({"name": AUTH, "value": TOKEN},), ({"configMapRef": {"name": "m"}},),
            (holding("ConfigMap", "m", **{AUTH: "workloadIdentity"}),),
            "", "the Deployment itself", id="in a variable that wins over its ConfigMap",
        ),
    ],
)  # fmt: skip
def test_wherever_a_token_stands_its_expiry_is_known(
    running: RunningCluster,
    cache: ClusterCache,
    env: tuple[Manifest, ...],
    sources: tuple[Manifest, ...],
    beside: tuple[Manifest, ...],
    secret: str,
    where: str,
) -> None:
    install(running, *beside, gateway("edge-1", *env, sources=sources))
    found = seen(cache, "edge-1")
    assert (found.token_secret, found.token_where) == (secret, where)
    assert (found.token_expires_at, found.gateway) == (EXPIRES, "edge-1")


def test_what_may_not_be_read_is_named_not_missed(running: RunningCluster) -> None:
    for item in rights(()):
        for subject in item.get("subjects", ()):
            subject["name"] = "bot"
        running.wait(running.cluster.apply([item]))
    install(running, *case("token-whole-secret-other-key"))
    client = connect("west", kubeconfig=running.kubeconfig("bot"), timeouts=TIMEOUTS)
    cache = ClusterCache(client)
    try:
        found = seen(cache, "apim-gateway")
        assert found.token_expires_at is None
        assert "not allowed to" in facts_of(found, RULES).why
    finally:
        cache.stop(Deadline.after(5))
        client.close()


def test_a_gateway_that_is_given_nothing_to_sign_in_with_is_said_to_be(
    running: RunningCluster, cache: ClusterCache
) -> None:
    install(running, gateway("edge-1"))
    why = facts_of(seen(cache, "edge-1"), RULES).why
    assert "Secret" not in why
    assert "sets config.service.auth" in why


def test_a_configmap_that_turns_to_entra_is_noticed_without_a_restart_of_the_bot(
    running: RunningCluster, cache: ClusterCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.health.sources.AGAIN_SECONDS", 0.0)
    sources = ({"configMapRef": {"name": "m"}},)
    live = gateway("edge-1", sources=sources)
    install(running, holding("ConfigMap", "m", **{AUTH: TOKEN}), live)
    assert seen(cache, "edge-1").token_where == "ConfigMap m"
    install(running, holding("ConfigMap", "m", **{AUTH: "workloadIdentity"}))
    live["metadata"]["annotations"] = {"touched": "yes"}
    install(running, live)
    until(lambda: seen(cache, "edge-1").token_source == "none", "the other way of signing in")
    assert cache.read().find(GatewayRef("west", "dev", "edge-1")) is not None
