"""Plans that give a gateway of others a new token, whatever those others call it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.errors import Conflict
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster, connect
from deploy.observed.token_only import KeptToken
from deploy.plans.plan import Plan
from deploy.plans.token_only import Wanted, plan_token_only
from deploy.rendering.labels import selector
from deploy.tokens.rotation import Rotation
from tests.support.actions import as_stored
from tests.support.gateway_bed import INSTANCES, TIMEOUTS
from tests.support.kube_api import KubeApi
from tests.support.portal import portal
from tests.support.running_cluster import RunningCluster

LONG = "a-release-of-the-chart-azure-api-management-gateway"
"""As the official chart names it; this bot's own names are shorter."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    with RunningCluster(tmp_path_factory.mktemp("plans"), namespaces=("dev",)) as found:
        yield found


@pytest.fixture
def cluster(running: RunningCluster) -> Iterator[Cluster]:
    found = connect("west", kubeconfig=running.kubeconfig(), timeouts=TIMEOUTS)
    yield found
    found.close()


def install(running: RunningCluster, name: str, secret: str = "", **annotations: str) -> None:
    """A gateway that somebody has created by hand, so that nobody declares its reference unless
    `annotations` say so; `secret` is where it reads its token from, if not from its own."""
    api = KubeApi(running.kubeconfig())
    paths = {
        "Secret": "/api/v1/namespaces/dev/secrets",
        "ConfigMap": "/api/v1/namespaces/dev/configmaps",
        "Deployment": "/apis/apps/v1/namespaces/dev/deployments",
    }
    for item in portal("dev", name):
        if item["kind"] == "Deployment":
            item["metadata"]["annotations"] |= annotations
            (variable,) = item["spec"]["template"]["spec"]["containers"][0]["env"]
            variable["valueFrom"]["secretKeyRef"]["name"] = secret or f"{name}-token-old"
        api.create(paths[item["kind"]], item)


def planned(
    cluster: Cluster, name: str, gateway: str = "edge-1", action_id: str = "ABC234"
) -> Plan:
    wanted = Wanted(
        GatewayRef("west", "dev", name),
        KeptToken(name, "contoso", gateway),
        Rotation(),
        begins=True,
    )
    return plan_token_only(cluster, wanted, action_id, instances=INSTANCES, check=nothing)


def nothing(*_: Any, **__: Any) -> tuple[()]:
    return ()


@pytest.mark.parametrize(
    ("name", "gateway"),
    [(LONG, "edge-1"), ("apim.gateway", "edge-1"), ("gateway-1", "Edge_1 (old)")],
)
def test_a_gateway_with_a_name_that_this_bot_would_not_give_is_planned_stored_and_found_by_its_labels(
    running: RunningCluster, cluster: Cluster, name: str, gateway: str
) -> None:
    install(running, name)
    plan = planned(cluster, name, gateway)
    assert selector(plan.spec) == {"app": name}
    assert plan.spec.tag == "2.11.1"
    assert (plan.spec.ref.name, plan.spec.apim.gateway) == (name, gateway)
    assert as_stored(plan) == plan


@pytest.mark.parametrize("waits", [True, False])
def test_somebody_elses_secret_under_the_name_of_the_copy_is_found_in_the_plan(
    running: RunningCluster, cluster: Cluster, waits: bool
) -> None:
    """Else it would show only once a token was minted."""
    name = f"gateway-copy-{waits}".lower()
    secret = "" if waits else f"{name}-managed-token"
    applied = "kubectl.kubernetes.io/last-applied-configuration"
    install(running, name, secret, **{applied: last_applied(name)})
    metadata = {"name": f"{name}-managed-token-previous"}
    KubeApi(running.kubeconfig()).create(
        "/api/v1/namespaces/dev/secrets", {"metadata": metadata, "data": {}}
    )
    told = "would store the previous token .* in Secret .*-previous, but this bot did not"
    with pytest.raises(Conflict, match=told):
        planned(cluster, name)


def last_applied(name: str) -> str:
    variable = {"name": "config.service.auth", "valueFrom": {"secretKeyRef": {"name": "x"}}}
    containers = [{"name": "gateway", "env": [variable]}]
    return json.dumps({"spec": {"template": {"spec": {"containers": containers}}}})
