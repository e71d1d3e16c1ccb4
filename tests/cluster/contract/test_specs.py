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
from tests.support.gateway_bed import INSTANCES, PATIENT

EXAMPLES = re.findall(
    r"```yaml\n(.*?)```", (Path(__file__).parents[3] / "docs/spec.md").read_text(), re.DOTALL
)
GUID = "11111111-2222-3333-4444-555555555555"
IDENTITY = {"type": "workloadIdentity", "clientId": GUID, "tenantId": GUID}


@pytest.fixture
def cluster(target: Target) -> Iterator[Cluster]:
    client = connect("west", kubeconfig=target.kubeconfig, context=target.context, timeouts=PATIENT)
    yield client
    client.close()


def spec_in(ns: str, example: str, **changes: Any) -> dict[str, Any]:
    return {**yaml.safe_load(example), "cluster": "west", "namespace": ns, **changes}


def deploy(cluster: Cluster, mapping: dict[str, Any], action_id: str) -> None:
    planner = Planner({"west": cluster}.__getitem__, list, instances=INSTANCES)
    plan = planner.plan(spec_from_mapping(mapping), action_id)
    apply_plan(cluster, plan, action_id=action_id, requester="U1")


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_documented_examples_are_taken_and_then_as_wanted(
    cluster: Cluster, ns: str, example: str
) -> None:
    mapping = spec_in(ns, example, auth=IDENTITY)
    deploy(cluster, mapping, "ABC234")
    plan = Planner({"west": cluster}.__getitem__, list, instances=INSTANCES).plan(
        spec_from_mapping(mapping), "XYZ789"
    )
    assert plan.changes == ()


def test_an_autoscaler_takes_over_the_pods_that_run(cluster: Cluster, ns: str) -> None:
    small = spec_in(ns, EXAMPLES[0], auth=IDENTITY)
    deploy(cluster, {**small, "replicas": 4}, "ABC234")
    deploy(cluster, {**small, "autoscaling": {"minReplicas": 2, "maxReplicas": 6}}, "XYZ789")
    live = cluster.get("Deployment", ns, "edge-1")
    assert live is not None
    assert live["spec"]["replicas"] == 4


def test_a_port_that_somebody_edited_is_a_conflict_and_is_taken_back(
    target: Target, cluster: Cluster, ns: str
) -> None:
    mapping = spec_in(ns, EXAMPLES[0], auth=IDENTITY, service={"type": "NodePort"})
    deploy(cluster, mapping, "ABC234")
    spec = spec_from_mapping(mapping)
    planner = Planner({"west": cluster}.__getitem__, list, instances=INSTANCES)
    path = f"/api/v1/namespaces/{ns}/services/edge-1-live-traffic"
    before = target.api.get(path)["spec"]["ports"]
    edited = target.api.get(path)
    edited["spec"]["ports"][0]["port"] = 9090
    answer = target.api.request("PUT", f"{path}?fieldManager=kubectl-edit", edited)
    assert answer.status == 200, answer.body

    plan = planner.plan(spec, "XYZ789")
    (conflict,) = plan.conflicts
    assert (conflict.manager, conflict.path) == ("kubectl-edit", "spec.ports[9090/TCP]")
    assert plan.digest == ""
    plan = planner.plan(spec, "XYZ789", take_over=True)
    (change,) = plan.changes
    assert [(f.path, f.old is None, f.new is None) for f in change.fields] == [
        ("spec.ports[9090/TCP]", False, True),
        (f"spec.ports[{before[0]['port']}/TCP]", True, False),
    ]
    assert change.fields[1].new == before[0], "its node port is kept"
    assert plan.cuts_connections
    assert planner.plan(spec, "XYZ789", take_over=True).digest == plan.digest

    apply_plan(cluster, plan, action_id="XYZ789", requester="U1", force=True)
    by_port = {port["port"]: port for port in target.api.get(path)["spec"]["ports"]}
    assert by_port == {port["port"]: port for port in before}
    after = planner.plan(spec, "XYZ790")
    assert (after.changes, after.conflicts) == ((), ())
    other = spec_from_mapping({**mapping, "service": {"type": "NodePort", "httpPort": 8088}})
    moved = planner.plan(other, "XYZ791")
    assert moved.conflicts == (), "its number is this bot's alone again"
    apply_plan(cluster, moved, action_id="XYZ791", requester="U1")
    assert 8088 in {port["port"] for port in target.api.get(path)["spec"]["ports"]}


@pytest.mark.parametrize("service_type", ["NodePort", "LoadBalancer"])
def test_ports_that_a_service_gets_when_it_is_applied_are_not_in_the_plan(
    cluster: Cluster, ns: str, service_type: str
) -> None:
    mapping = spec_in(ns, EXAMPLES[0], auth=IDENTITY)
    deploy(cluster, {**mapping, "service": {"type": "ClusterIP"}}, "ABC234")
    planner = Planner({"west": cluster}.__getitem__, list, instances=INSTANCES)
    spec = spec_from_mapping({**mapping, "service": {"type": service_type}})
    plan = planner.plan(spec, "XYZ789")
    assert planner.plan(spec, "XYZ789").digest == plan.digest
    (change,) = [change for change in plan.changes if change.kind == "Service"]
    assert not [field.path for field in change.fields if field.path.endswith("odePort")]
    apply_plan(cluster, plan, action_id="XYZ789", requester="U1")
    assert planner.plan(spec, "XYZ790").changes == ()
