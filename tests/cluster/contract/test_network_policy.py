"""The NetworkPolicy that a spec asks for: beside others', taken away when left out, and deleted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.actions.action import State
from deploy.observed.installed import installed
from deploy.rendering.network_policy import network_policy
from deploy.rollouts.policies import widened
from deploy.rollouts.removal import removal_plan
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import NetworkPolicy
from tests.cluster.conftest import Target
from tests.cluster.rollout_bed import Bed, rollout_bed

pytestmark = pytest.mark.usefixtures("needs_controllers")
_ASKED = NetworkPolicy(enabled=True)


@pytest.fixture
def bed(target: Target, ns: str, tmp_path: Path) -> Iterator[Bed]:
    with rollout_bed(target, ns, tmp_path) as made:
        yield made


def spec_of(bed: Bed, policy: NetworkPolicy = _ASKED) -> GatewaySpec:
    return bed.spec(replicas=0, network_policy=policy)


def by_kubectl(bed: Bed, **changes: Any) -> None:
    """Somebody has made the policy before, with these changes of its spec."""
    made = network_policy(spec_of(bed))
    made = {**made, "spec": {**made["spec"], **changes}}
    path = f"/apis/networking.k8s.io/v1/namespaces/{bed.ns}/networkpolicies/edge-1"
    bed.target.api.apply(path, made, "kubectl")


def deploy(bed: Bed, spec: GatewaySpec, action_id: str) -> None:
    outcome = bed.deploy(spec, action_id)
    assert outcome.state is State.SUCCEEDED, outcome


def test_one_that_opens_the_same_is_used_and_goes_with_the_field(bed: Bed) -> None:
    by_kubectl(bed)
    spec = spec_of(bed)
    deploy(bed, spec, "ABC234")
    assert bed.planner.plan(spec, "ABC235").empty
    plain = spec_of(bed, NetworkPolicy())
    plan = bed.planner.plan(plain, "ABC236")
    assert [(c.kind, c.name) for c in plan.changes if c.change == "delete"] == [
        ("NetworkPolicy", "edge-1")
    ]
    deploy(bed, plain, "ABC236")
    assert bed.cluster.get("NetworkPolicy", bed.ns, "edge-1") is None
    assert bed.planner.plan(plain, "ABC237").empty


def test_one_that_changed_opens_what_is_asked_for_once_the_old_pods_are_gone(bed: Bed) -> None:
    first, second = (
        spec_of(bed, NetworkPolicy(enabled=True, egress=(f'{{"ports":[{{"port":{port}}}]}}',)))
        for port in (8443, 9443)
    )
    deploy(bed, first, "ABC234")
    (wanted,) = widened(bed.cluster, [network_policy(first)])
    assert wanted == network_policy(first), "what the API server completes is no other rule"
    (both,) = widened(bed.cluster, [network_policy(second)])
    assert len(both["spec"]["egress"]) == len(wanted["spec"]["egress"]) + 1
    deploy(bed, second, "ABC235")
    assert bed.planner.plan(second, "ABC236").empty


def test_one_that_opens_something_else_is_a_conflict(bed: Bed) -> None:
    by_kubectl(bed, egress=[{"ports": [{"port": 53, "protocol": "UDP"}]}])
    plan = bed.planner.plan(spec_of(bed), "ABC234")
    assert {(c.kind, c.manager) for c in plan.conflicts} == {("NetworkPolicy", "kubectl")}
    assert plan.digest == ""


def test_deleting_a_gateway_deletes_it(bed: Bed) -> None:
    spec = spec_of(bed)
    deploy(bed, spec, "ABC234")
    plan = removal_plan(bed.cluster, installed(bed.cluster, spec.ref), volumes=False)
    assert ("NetworkPolicy", "edge-1") in {(c.kind, c.name) for c in plan.changes}
