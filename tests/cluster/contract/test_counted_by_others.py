"""An autoscaler, ours or anybody's, counts the pods: no change takes one from it or asks to."""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.actions.action import ChangeRequest, State
from deploy.errors import Conflict
from deploy.kube.cluster import FIELD_MANAGER
from deploy.observed.autoscalers import AUTOSCALER, autoscalers_of
from deploy.observed.installed import installed
from deploy.plans.adoption import counted_by, derive
from deploy.plans.requests import DeployRequest, RestartRequest, RotateRequest, ScaleRequest
from deploy.specs.gateway_spec import GatewaySpec
from deploy.tokens.rotation import Rotation
from tests.cluster.adoption_bed import DATA, counters
from tests.cluster.conftest import Target
from tests.cluster.rollout_bed import Bed, rollout_bed
from tests.support.gateway_bed import INSTANCE, RecordingRun
from tests.support.kube_api import MERGE
from tests.support.tiny_configuration import TOKEN
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers")
_CASE = DATA / "adoption" / "cases" / "hpa-gw.yaml"
_PATHS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Service": "/api/v1/namespaces/{}/services",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    AUTOSCALER: "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
}


@pytest.fixture
def bed(target: Target, ns: str, tmp_path: Path) -> Iterator[Bed]:
    with rollout_bed(target, ns, tmp_path) as ready:
        assert ready.deploy(ready.spec(replicas=2)).state is State.SUCCEEDED
        yield ready


def tag(bed: Bed, name: str = "edge-1") -> ChangeRequest:
    ref = dataclasses.replace(bed.spec().ref, name=name)
    return DeployRequest(dataclasses.replace(installed(bed.cluster, ref).spec, tag="2.10.0"))


def restart(bed: Bed, name: str = "edge-1") -> ChangeRequest:
    ref = dataclasses.replace(bed.spec().ref, name=name)
    return RestartRequest(ref, "2026-11-29T12:00:00Z")


def rotate(bed: Bed, name: str = "edge-1") -> ChangeRequest:
    return RotateRequest(dataclasses.replace(bed.spec().ref, name=name), Rotation())


CHANGES: dict[str, tuple[str, Callable[..., ChangeRequest], dict[str, Any]]] = {
    "deployed": ("deploy", tag, {}),
    "restarted": ("restart", restart, {}),
    "rotated": ("rotate", rotate, {}),
    "rotated-automatically": ("rotate", rotate, {"automatic": True, "requester": "bot"}),
}
EVERY = pytest.mark.parametrize("what", list(CHANGES))
MOMENTS = [
    *((what, "apply") for what in CHANGES),
    *((what, at) for what in ("deployed", "rotated") for at in ("plan", "follow")),
]
"""Each change at the moment that matters most; the others with the two that are carried out unlike."""


class Scales(RecordingRun):
    """At that step of the run somebody writes `scale`."""

    def __init__(self, bed: Bed, at: str) -> None:
        super().__init__()
        self._bed, self._at = bed, at

    def step(self, name: str, detail: str = "") -> None:
        super().step(name, detail)
        if name == self._at:
            scale(self._bed, 6)


def scale(bed: Bed, replicas: int) -> None:
    """As an autoscaler does it."""
    query = "?fieldManager=autoscaler"
    wanted = {"spec": {"replicas": replicas}}
    answer = bed.target.api.request("PATCH", f"{bed.path}/scale{query}", wanted, MERGE)
    assert answer.status == 200, answer.body


@contextlib.contextmanager
def sampled(bed: Bed, path: str) -> Iterator[list[int]]:
    """The wanted pods, looked at all the time while the block runs."""
    seen: list[int] = []
    ended = threading.Event()

    def sample() -> None:
        while not ended.is_set():
            seen.append(int(bed.target.api.get(path)["spec"]["replicas"]))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize(("what", "at"), MOMENTS)
def test_pods_that_are_added_while_it_is_changed_stay(bed: Bed, what: str, at: str) -> None:
    kind, asked, changes = CHANGES[what]
    with sampled(bed, bed.path) as seen:
        outcome = bed.change(kind, asked(bed), "ABC235", Scales(bed, at), **changes)
    assert outcome.state is State.SUCCEEDED, outcome
    assert set(seen) <= {2, 6}
    assert seen == sorted(seen), "they never fall"
    live = bed.target.api.get(bed.path)
    assert (live["spec"]["replicas"], counters(live)) == (6, {"autoscaler"})
    assert bed.look() == ""
    for number, (again, request, _) in enumerate(CHANGES.values()):
        plan = bed.plan(again, request(bed), f"XYZ23{number}")
        assert plan.digest
        assert plan.conflicts == ()


@EVERY
def test_an_autoscaler_that_has_never_scaled_is_no_hindrance(bed: Bed, what: str) -> None:
    autoscaler(bed, "edge-1")
    kind, asked, changes = CHANGES[what]
    with sampled(bed, bed.path) as seen:
        outcome = bed.change(kind, asked(bed), "ABC235", **changes)
    assert outcome.state is State.SUCCEEDED, outcome
    assert set(seen) == {2}
    plan = bed.planner.plan(installed(bed.cluster, bed.spec().ref).spec, "ABC236")
    assert plan.empty
    assert "HorizontalPodAutoscaler scaler sets the replicas: 2 now, which stay." in {
        finding.what for finding in plan.findings
    }


def test_a_number_that_somebody_asks_for_is_set_whoever_has_set_the_last_one(bed: Bed) -> None:
    scale(bed, 6)
    outcome = bed.change("scale", ScaleRequest(bed.spec().ref, 3), "ABC235")
    assert outcome.state is State.SUCCEEDED, outcome
    live = bed.target.api.get(bed.path)
    assert (live["spec"]["replicas"], counters(live)) == (3, {FIELD_MANAGER})


def test_no_number_is_set_beside_an_autoscaler(bed: Bed) -> None:
    autoscaler(bed, "edge-1")
    with pytest.raises(Conflict, match="HorizontalPodAutoscaler scaler sets the replicas"):
        bed.change("scale", ScaleRequest(bed.spec().ref, 3), "ABC235")
    spec = dataclasses.replace(installed(bed.cluster, bed.spec().ref).spec, replicas=5)
    plan = bed.planner.plan(spec, "ABC236", counts=True)
    assert "spec.replicas" not in {f.path for c in plan.changes for f in c.fields}
    assert "so 5 are not set" in " ".join(finding.what for finding in plan.findings)


def autoscaler(bed: Bed, name: str) -> None:
    """Somebody's, with bounds that the gateway is within."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 9}
    path = _PATHS[AUTOSCALER].format(bed.ns)
    bed.target.api.create(path, {"metadata": {"name": "scaler"}, "spec": spec})


def test_a_gateway_with_somebodys_autoscaler_is_adopted_and_changed_beside_it(
    target: Target, ns: str, tmp_path: Path
) -> None:
    path = f"{_PATHS['Deployment'].format(ns)}/hpa-gw"
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
        path = _PATHS[body["kind"]].format(ns)
        target.api.create(f"{path}?fieldManager=kubectl-client-side-apply", body)


def adopted(bed: Bed) -> GatewaySpec:
    """The spec that `adopt` derives."""
    live = bed.target.api.get(f"{_PATHS['Deployment'].format(bed.ns)}/hpa-gw")
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
