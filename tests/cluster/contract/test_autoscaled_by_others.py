"""An autoscaler, ours or anybody's, counts the pods: no change takes one from it or asks to."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.actions.action import State
from deploy.errors import Conflict
from deploy.observed.autoscalers import AUTOSCALER, autoscalers_of
from deploy.observed.installed import installed
from deploy.plans.adoption import counted_by, derive
from deploy.plans.requests import DeployRequest, ScaleRequest
from deploy.specs.gateway_spec import GatewaySpec
from tests.cluster.adoption_bed import DATA, PATHS, counters
from tests.cluster.conftest import Target
from tests.cluster.counting import CHANGES, sampled
from tests.cluster.rollout_bed import Bed, rollout_bed
from tests.support.gateway_bed import INSTANCE
from tests.support.tiny_configuration import TOKEN
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers")
_CASE = DATA / "adoption" / "cases" / "hpa-gw.yaml"


@pytest.fixture
def bed(target: Target, ns: str, tmp_path: Path) -> Iterator[Bed]:
    with rollout_bed(target, ns, tmp_path) as ready:
        assert ready.deploy(ready.spec(replicas=2)).state is State.SUCCEEDED
        yield ready


@pytest.mark.parametrize("what", list(CHANGES))
def test_an_autoscaler_that_has_never_scaled_is_no_hindrance(bed: Bed, what: str) -> None:
    autoscaler(bed, "edge-1")
    kind, asked, changes = CHANGES[what]
    with sampled(bed, bed.path) as seen:
        outcome = bed.change(kind, asked(bed), "ABC235", **changes)
    assert outcome.state is State.SUCCEEDED, outcome
    assert set(seen) == {2}
    plan = bed.planner.plan(installed(bed.cluster, bed.spec().ref).spec, "ABC236")
    assert plan.empty
    assert "HorizontalPodAutoscaler scaler sets the replicas. The current 2 stay." in {
        finding.what for finding in plan.findings
    }


def test_no_number_is_set_beside_an_autoscaler(bed: Bed) -> None:
    autoscaler(bed, "edge-1")
    with pytest.raises(Conflict, match="HorizontalPodAutoscaler scaler sets the replicas"):
        bed.change("scale", ScaleRequest(bed.spec().ref, 3), "ABC235")
    spec = dataclasses.replace(installed(bed.cluster, bed.spec().ref).spec, replicas=5)
    plan = bed.planner.plan(spec, "ABC236", counts=True)
    assert "spec.replicas" not in {f.path for c in plan.changes for f in c.fields}
    assert "so the plan does not set them to 5" in " ".join(
        finding.what for finding in plan.findings
    )


def autoscaler(bed: Bed, name: str) -> None:
    """Somebody's, with bounds that the gateway is within."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 9}
    path = PATHS[AUTOSCALER].format(bed.ns)
    bed.target.api.create(path, {"metadata": {"name": "scaler"}, "spec": spec})


def test_a_gateway_with_somebodys_autoscaler_is_adopted_and_changed_beside_it(
    target: Target, ns: str, tmp_path: Path
) -> None:
    path = f"{PATHS['Deployment'].format(ns)}/hpa-gw"
    with rollout_bed(target, ns, tmp_path) as bed:
        install(target, ns)
        until(lambda: target.api.get(path)["spec"]["replicas"] == 3, "the least pods", seconds=60)
        before = counters(target.api.get(path))
        with sampled(bed, path) as seen:
            spec = adopted(bed)
            assert bed.change("adopt", DeployRequest(spec, take_over=True), "ABC235").state is (
                State.SUCCEEDED
            )
            for number, (kind, request, more) in enumerate(CHANGES.values()):
                outcome = bed.change(kind, request(bed, "hpa-gw"), f"XYZ23{number}", **more)
                assert outcome.state is State.SUCCEEDED, outcome
        assert set(seen) == {3}
        assert counters(target.api.get(path)) == before
        plan = bed.planner.plan(installed(bed.cluster, spec.ref).spec, "ABC236")
        assert (plan.changes, plan.conflicts) == ((), ())


def install(target: Target, ns: str) -> None:
    """As somebody's `kubectl apply` does."""
    for body in yaml.safe_load_all(_CASE.read_text()):
        if body["kind"] == "Deployment":
            body["spec"]["template"]["spec"] |= target.placed
        if body["kind"] == "Secret":
            body["stringData"] = {"value": TOKEN}
        path = PATHS[body["kind"]].format(ns)
        target.api.create(f"{path}?fieldManager=kubectl-client-side-apply", body)


def adopted(bed: Bed) -> GatewaySpec:
    """The spec that `adopt` derives."""
    live = bed.target.api.get(f"{PATHS['Deployment'].format(bed.ns)}/hpa-gw")
    cluster, ns = bed.cluster, bed.ns
    adoption = derive(
        live,
        cluster.list("Service", ns),
        cluster.list("ConfigMap", ns),
        cluster.list("PodDisruptionBudget", ns),
        cluster.list("PersistentVolumeClaim", ns),
        cluster="west",
        instance=INSTANCE,
        gateway="edge-1",
    )
    counted = counted_by(adoption, autoscalers_of("hpa-gw", cluster.list(AUTOSCALER, ns)))
    assert counted.spec.replicas == "external"
    assert counted.notes[-1] == "HorizontalPodAutoscaler hpa-gw-scaler still sets the replicas."
    return counted.spec
