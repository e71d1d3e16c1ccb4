"""No pod is given a gateway token but its own, at its own place, whatever a spec references."""

import base64
import dataclasses
import datetime
from typing import Any

import pytest

from bot.sandbox.rights import rights
from deploy.kube.cluster import Cluster, connect
from deploy.plans.plan import Plan
from deploy.plans.planning import Planner
from deploy.rendering.manifests import token_secret
from deploy.rollouts.rollout import apply_plan
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import CaSource
from deploy.specs.overlay import merged
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from deploy.tokens.token import expiry_for
from tests.support.gateway_bed import INSTANCE, INSTANCES, SPEC, TIMEOUTS, Mint
from tests.support.running_cluster import RunningCluster

RULE = "token-by-reference"
GUID = "00000000-0000-0000-0000-000000000001"
APP = {"type": "entraApp", "clientId": GUID, "tenantId": GUID}
OWN = "edge-1-token-abc234"
NAMED: dict[str, dict[str, Any]] = {
    "as a client secret": {"auth": {**APP, "clientSecret": {"name": "NAME", "key": "value"}}},
    "as a certificate": {"auth": {**APP, "certificate": {"name": "NAME", "key": "value"}}},
    "as a proxy": {"proxy": {"httpSecret": {"name": "NAME", "key": "value"}}},
    "as a proxy for HTTPS": {"proxy": {"httpsSecret": {"name": "NAME", "key": "value"}}},
    "as an authority": {"certificateAuthorities": [{"secret": "NAME", "key": "value"}]},
}


@pytest.fixture
def planner(cluster: Cluster) -> Planner:
    return planner_of(cluster)


def planner_of(cluster: Cluster) -> Planner:
    return Planner({"west": cluster}.__getitem__, list, instances=INSTANCES)


def deploy(cluster: Cluster) -> None:
    """edge-1 runs, with its token."""
    plan = planner_of(cluster).plan(SPEC, "ABC234")
    expiry = expiry_for(datetime.datetime.now(datetime.UTC))
    token = Mint().generate_token(INSTANCE, "edge-1", "primary", expiry)
    cluster.create(token_secret(SPEC, OWN, token, "ABC234"))
    apply_plan(cluster, plan, action_id="ABC234", requester="U1")


def spec_with(patch: dict[str, Any], name: str = OWN) -> GatewaySpec:
    """Another gateway in the same namespace, NAME replaced."""
    return spec_from_mapping(
        merged(spec_to_mapping(SPEC), {"name": "other", **_named(patch, name)})
    )


def _named(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _named(below, name) for key, below in value.items()}
    if isinstance(value, list):
        return [_named(each, name) for each in value]
    return name if value == "NAME" else value


def secret(cluster: Cluster, name: str, **data: str) -> None:
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    metadata = {"name": name, "namespace": "dev"}
    cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded})


def denied_by(plan: Plan) -> set[str]:
    assert plan.denied == (plan.digest == "")
    return {f.rule for f in plan.findings if f.severity == "deny"}


@pytest.mark.parametrize("patch", NAMED.values(), ids=NAMED.keys())
def test_the_token_of_another_gateway_is_given_to_no_pod(
    cluster: Cluster, planner: Planner, patch: dict[str, Any]
) -> None:
    deploy(cluster)
    plan = planner.plan(spec_with(patch), "XYZ789")
    assert denied_by(plan) == {RULE}
    (finding,) = [f for f in plan.findings if f.rule == RULE]
    assert finding.fix.endswith(f"Found: [{OWN}]")


@pytest.mark.parametrize("patch", NAMED.values(), ids=NAMED.keys())
def test_a_secret_without_a_token_is_given_to_the_pods(
    cluster: Cluster, planner: Planner, patch: dict[str, Any]
) -> None:
    secret(cluster, "own", value="a&b&c", more="http://proxy.example:3128")
    assert denied_by(planner.plan(spec_with(patch, "own"), "XYZ789")) == set()


@pytest.mark.parametrize(
    "text",
    ["edge-1&209912312359&c2lnbmF0dXJl", "GatewayKey edge-1&209912312359&c2lnbmF0dXJl\n"],
)
def test_a_token_that_something_else_wrote_is_recognised_under_any_key(
    cluster: Cluster, planner: Planner, text: str
) -> None:
    secret(cluster, "portals", harmless="x", **{"any.key": text})
    plan = planner.plan(spec_with(NAMED["as an authority"], "portals"), "XYZ789")
    assert denied_by(plan) == {RULE}
    assert "c2lnbmF0dXJl" not in str(plan), "no part of a token is in a plan"


def test_a_token_of_the_gateway_itself_is_given_to_its_pods_at_one_place_alone(
    cluster: Cluster, planner: Planner
) -> None:
    deploy(cluster)
    assert denied_by(planner.plan(SPEC, "XYZ789")) == set()
    again = dataclasses.replace(SPEC, authorities=(CaSource(key="value", secret=OWN),))
    plan = planner.plan(again, "XYZ789")
    assert plan.token.secret == OWN
    assert denied_by(plan) == {RULE}


def test_a_secret_that_does_not_exist_holds_no_token_unless_one_is_to_be_put_there(
    cluster: Cluster, planner: Planner
) -> None:
    patch = NAMED["as a client secret"]
    assert denied_by(planner.plan(spec_with(patch, "nothing"), "XYZ789")) == set()
    waiting = planner.plan(spec_with(patch, "edge-1-token-def567"), "XYZ789")
    assert denied_by(waiting) == {RULE}, "the name of an action's token, which may be minted yet"


def test_a_token_that_came_after_the_plan_is_found_when_it_is_planned_again(
    cluster: Cluster, planner: Planner
) -> None:
    spec = spec_with(NAMED["as a client secret"], "later")
    assert planner.plan(spec, "XYZ789").digest
    secret(cluster, "later", value="GatewayKey edge-1&209912312359&c2lnbmF0dXJl")
    assert denied_by(planner.plan(spec, "XYZ789")) == {RULE}


def test_a_secret_that_the_bot_may_not_read_may_hold_a_token(running: RunningCluster) -> None:
    items = rights(["dev"])
    for item in items:
        for rule in item.get("rules", ()):
            rule["resources"] = [each for each in rule["resources"] if each != "secrets"]
        for subject in item.get("subjects", ()):
            subject["name"] = "bot"
    running.wait(running.cluster.apply(items))
    cluster = connect("west", kubeconfig=running.kubeconfig("bot"), timeouts=TIMEOUTS)
    try:
        planner = planner_of(cluster)
        assert denied_by(planner.plan(SPEC, "XYZ789")) == set()
        plan = planner.plan(spec_with(NAMED["as an authority"], "hidden"), "XYZ789")
        assert denied_by(plan) == {RULE}
    finally:
        cluster.close()
