"""Which Secrets stay in which the bot kept the token of a gateway that it has adopted since."""

from collections.abc import Iterator
from typing import Any

import pytest

from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster, connect
from deploy.observed.token_only import KeptToken, stable_name
from deploy.rendering.token_only import own_secret
from deploy.rollouts.collecting import collect
from deploy.tokens.token import Token
from tests.support.actions import spec_of
from tests.support.gateway_bed import TIMEOUTS
from tests.support.kube_api import KubeApi
from tests.support.portal import portal
from tests.support.running_cluster import RunningCluster

NAME = "edge-1"
STABLE = stable_name(NAME)
SECRETS = "/api/v1/namespaces/dev/secrets"
SIDECAR = {
    "name": "exporter",
    "image": "exporter:1",
    "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": STABLE, "key": "value"}}}],
}


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    with RunningCluster(tmp_path_factory.mktemp("collecting"), namespaces=("dev",)) as found:
        yield found


@pytest.fixture
def cluster(running: RunningCluster) -> Iterator[Cluster]:
    found = connect("west", kubeconfig=running.kubeconfig(), timeouts=TIMEOUTS)
    yield found
    found.close()


def install(running: RunningCluster, cluster: Cluster, how: str) -> KubeApi:
    """A gateway with its token in a Secret of its own, that takes in the one of earlier besides."""
    api = KubeApi(running.kubeconfig())
    for item in portal("dev", NAME):
        if item["kind"] == "Deployment":
            pod: dict[str, Any] = item["spec"]["template"]["spec"]
            if how == "whole":
                pod["containers"][0]["envFrom"].append({"secretRef": {"name": STABLE}})
            elif how == "sidecar":
                pod["containers"].append(SIDECAR)
            api.create("/apis/apps/v1/namespaces/dev/deployments", item)
        elif item["kind"] == "Secret":
            api.create(SECRETS, item)
    token = Token.parse("GatewayKey edge-1&209912312359&c2lnbmF0dXJl")
    assert token is not None
    ref, kept = GatewayRef("west", "dev", NAME), KeptToken(NAME, "contoso", NAME)
    cluster.create(
        own_secret(ref, STABLE, kept, "value", token, "ABC111", "primary", now=0.0, immutable=False)
    )
    return api


@pytest.mark.parametrize("how", ["whole", "sidecar"])
def test_what_its_own_pods_are_given_besides_is_never_deleted(
    running: RunningCluster, cluster: Cluster, how: str
) -> None:
    api = install(running, cluster, how)
    found = collect(cluster, spec_of())
    assert (found.deleted, found.trouble) == ((), "")
    assert not api.gone(f"{SECRETS}/{STABLE}")


def test_what_nobody_is_given_goes(running: RunningCluster, cluster: Cluster) -> None:
    api = install(running, cluster, "")
    assert collect(cluster, spec_of()).deleted == (STABLE,)
    assert api.gone(f"{SECRETS}/{STABLE}")
