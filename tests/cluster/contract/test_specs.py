"""A gateway's whole spec on each cluster: taken, unchanged when asked again, handed over."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.kube.cluster import Cluster, connect
from deploy.plans.planning import Planner
from deploy.rollouts.rollout import apply_plan
from deploy.specs.spec import spec_from_mapping
from tests.cluster.conftest import Target

EXAMPLES = re.findall(
    r"```yaml\n(.*?)```", (Path(__file__).parents[3] / "docs/spec.md").read_text(), re.DOTALL
)
GUID = "11111111-2222-3333-4444-555555555555"
IDENTITY = {"type": "workloadIdentity", "clientId": GUID, "tenantId": GUID}


@pytest.fixture
def cluster(target: Target) -> Iterator[Cluster]:
    client = connect("west", kubeconfig=target.kubeconfig, context=target.context)
    yield client
    client.close()


def spec_in(ns: str, example: str, **changes: Any) -> dict[str, Any]:
    return {**yaml.safe_load(example), "cluster": "west", "namespace": ns, **changes}


def deploy(cluster: Cluster, mapping: dict[str, Any], action_id: str) -> None:
    planner = Planner({"west": cluster}.__getitem__, list)
    plan = planner.plan(spec_from_mapping(mapping), action_id)
    apply_plan(cluster, plan, action_id=action_id, requester="U1")


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_documented_examples_are_taken_and_then_as_wanted(
    cluster: Cluster, ns: str, example: str
) -> None:
    mapping = spec_in(ns, example, auth=IDENTITY)
    deploy(cluster, mapping, "ABC234")
    plan = Planner({"west": cluster}.__getitem__, list).plan(spec_from_mapping(mapping), "XYZ789")
    assert plan.changes == ()


def test_an_autoscaler_takes_over_the_pods_that_run(cluster: Cluster, ns: str) -> None:
    small = spec_in(ns, EXAMPLES[0], auth=IDENTITY)
    deploy(cluster, {**small, "replicas": 4}, "ABC234")
    deploy(cluster, {**small, "autoscaling": {"minReplicas": 2, "maxReplicas": 6}}, "XYZ789")
    live = cluster.get("Deployment", ns, "edge-1")
    assert live is not None
    assert live["spec"]["replicas"] == 4
