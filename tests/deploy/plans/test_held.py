"""Whose tokens a plan sends elsewhere: those in pods that run, whatever the next pods use."""

import dataclasses
from typing import Any

import pytest

from deploy.azure import ApimInstance
from deploy.kube.cluster import Cluster
from deploy.plans.plan import HeldToken, Plan
from deploy.plans.planning import Planner
from deploy.rendering.manifests import render
from deploy.specs.options import Auth
from tests.support.gateway_bed import INSTANCE, SPEC
from tests.support.portal import portal
from tests.support.waiting import until

EU = "eu.contoso.example"
CONTOSO = dataclasses.replace(INSTANCE, endpoints=(EU,))
FABRIKAM = ApimInstance("fabrikam", "sub", "group", "fabrikam", "fabrikam.example")
IDENTITY = Auth(kind="workloadIdentity", client_id="a", tenant_id="b")
ELSEWHERE = dataclasses.replace(SPEC.apim, configuration_endpoint=EU)
EITHER = (HeldToken("contoso", "edge-1"), HeldToken("fabrikam", "edge-1"))
OURS = '{"gateway": "edge-1", "apim": {"instance": "contoso"}}'
RENAMED = '{"gateway": "edge-1", "apim": {"instance": "old"}}'


@pytest.fixture
def planner(cluster: Cluster) -> Planner:
    instances = {each.name: each for each in (CONTOSO, FABRIKAM)}
    return Planner({"west": cluster}.__getitem__, list, instances=instances)


def signing_in(planner: Planner, **fields: Any) -> Plan:
    return planner.plan(
        dataclasses.replace(SPEC, auth=IDENTITY, **fields), "XYZ789", take_over=True
    )


@pytest.mark.parametrize(
    ("shape", "held"),
    [
        pytest.param({"spec": OURS}, (EITHER[0],), id="the spec it was deployed from says whose"),
        pytest.param({}, EITHER, id="nothing says of which service"),
        pytest.param({"spec": RENAMED}, (*EITHER, HeldToken("old", "edge-1")), id="renamed"),
        pytest.param({"spec": OURS, "token": None}, (EITHER[0],), id="its Secret is gone"),
        pytest.param({"token": "unreadable"}, EITHER, id="its text is not a token's"),
        pytest.param({"inline": True}, EITHER, id="it is in plain text"),
        pytest.param(
            {"spec": OURS, "gateway": "edge-2"},
            (EITHER[0], HeldToken("contoso", "edge-2")),
            id="it is of another gateway than the spec says",
        ),
        pytest.param({"token": "workloadIdentity", "inline": True}, (), id="it signs in"),
    ],
)
def test_a_token_is_held_whatever_the_next_pods_use(
    cluster: Cluster, planner: Planner, shape: dict[str, Any], held: tuple[HeldToken, ...]
) -> None:
    for item in portal("dev", "edge-1", **shape):
        cluster.create(item)
    fields = {"objects": dataclasses.replace(SPEC.objects, container="gateway")}
    assert signing_in(planner, apim=ELSEWHERE, **fields).held == held
    assert signing_in(planner, **fields).held == (), "it goes nowhere else"


def test_a_token_in_a_configmap_is_held(cluster: Cluster, planner: Planner) -> None:
    config_map, deployment = portal("dev", "edge-1", inline=True, spec=OURS)
    (variable,) = deployment["spec"]["template"]["spec"]["containers"][0].pop("env")
    config_map["data"][variable["name"]] = variable["value"]
    cluster.create(config_map)
    cluster.create(deployment)
    assert signing_in(planner, apim=ELSEWHERE).held == (EITHER[0],)


def test_an_earlier_version_that_has_no_pods_holds_no_token(
    cluster: Cluster, planner: Planner
) -> None:
    for item in render(dataclasses.replace(SPEC, replicas=0), "edge-1-token-a"):
        cluster.apply(item)
    assert signing_in(planner, apim=ELSEWHERE).held == (EITHER[0],)
    until(lambda: cluster.list("ReplicaSet", "dev"), "the first version")
    for item in render(dataclasses.replace(SPEC, auth=IDENTITY, replicas=0), None):
        cluster.apply(item, force=True)
    until(lambda: len(cluster.list("ReplicaSet", "dev")) == 2, "the next version")
    assert signing_in(planner, apim=ELSEWHERE).held == ()
