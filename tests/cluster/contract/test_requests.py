"""What a plan and an apply ask of a cluster, counted on the wire: time cannot be asserted, this can.

Each object is read once and tried once, all at the same time; an apply writes what differs.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.actions.action import Action
from deploy.actions.fencing import Fence, Fences
from deploy.errors import InvalidInput, Unavailable
from deploy.kube.api_errors import OwnershipConflicts
from deploy.kube.cluster import Cluster, connect
from deploy.plans.plan import Plan
from deploy.plans.planning import Planner
from deploy.rollouts.applying import Applier
from deploy.rollouts.minting import Minter
from deploy.rollouts.rollout import apply_plan
from deploy.rollouts.work import Work
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Autoscaling, Disruption
from tests.cluster.conftest import Target
from tests.cluster.contract.test_stuck import spec_for
from tests.support.custody import LocalCustody
from tests.support.gateway_bed import INSTANCES, PATIENT, Mint, RecordingRun, action_for
from tests.support.kube_api import MERGE, KubeApi
from tests.support.recording_proxy import Recording, recording
from tests.support.waiting import until

_SMALL = {"disruption": Disruption(enabled=False)}
_FULL = {
    "autoscaling": Autoscaling(least=1, most=3),
    # As a spec has it that says nothing of them.
    "replicas": 3,
    "labels": (("team", "edge"),),
}
_OBJECTS = {
    "small": Counter({"configmaps": 1, "services": 2, "deployments": 1}),
    "full": Counter(
        {
            "configmaps": 1,
            "services": 2,
            "poddisruptionbudgets": 1,
            "horizontalpodautoscalers": 1,
            "deployments": 1,
        }
    ),
}
_SPECS: dict[str, dict[str, Any]] = {"small": _SMALL, "full": _FULL}
_AROUND = ("get namespaces", "list horizontalpodautoscalers")
_PREFLIGHT = ("list resourcequotas", "list limitranges")
_PUT = ("get deployments", "get leases", "apply deployments")
"""The Deployment is written onto the version that was read before the look at the Lease."""
_BARRIER_SECONDS = 60.0


class Fenced(RecordingRun):
    """A run whose guard looks at the gateway's Lease before each write, as a bot's does."""

    def __init__(self, fence: Fence) -> None:
        super().__init__()
        self._fence = fence

    def guard(self) -> None:
        super().guard()
        self._fence.guard()


class Interrupted(Fenced):
    """A run whose cluster does not answer before its first write, while `meanwhile` happens."""

    def __init__(self, fence: Fence, meanwhile: Callable[[], object]) -> None:
        super().__init__(fence)
        self._meanwhile: Callable[[], object] | None = meanwhile

    def guard(self) -> None:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
            raise Unavailable("The cluster does not answer.")
        super().guard()


class Bed:
    """The parts of a bot that plan and apply, before a cluster whose requests are counted."""

    def __init__(self, target: Target, ns: str, recorded: Recording, cluster: Cluster) -> None:
        self._target, self._ns = target, ns
        self.recorded = recorded
        self.cluster = cluster
        clusters = {"west": cluster}
        self.planner = Planner(
            clusters.__getitem__, lambda: ("2.11.1", "2.10.0"), instances=INSTANCES
        )
        self._applier = Applier(clusters, Minter(Mint(), INSTANCES, LocalCustody()))

    def spec(self, name: str, **changes: Any) -> GatewaySpec:
        return spec_for(self._target, self._ns, **{**_SPECS[name], **changes})

    def warm(self) -> None:
        """As a bot that has planned something: what is read once a minute is known."""
        self.planner.plan(self.spec("small"), "WARM22")
        self.recorded.seen.clear()

    def apply(
        self, spec: GatewaySpec, action_id: str, run_of: Callable[[Fence], Fenced] = Fenced
    ) -> tuple[Plan, Counter[str]]:
        """Plan it and carry the plan out; what the second took, its Lease taken already."""
        plan = self.planner.plan(spec, action_id)
        assert plan.digest, (plan.findings, plan.conflicts)
        fence = Fences({"west": self.cluster}).take(spec.ref, action_id, "bot-1", _fence(), 60)
        run = run_of(fence)
        action: Action = action_for(plan, action_id)
        guarded = self.cluster.guarded(run.guard, run.unconfirmed)
        self.recorded.seen.clear()
        moved = self._applier.apply(
            Work(action, run, 5.0),
            guarded,
            lambda: self.planner.plan(spec, action_id),
            take_over=False,
        )
        assert moved is None
        return plan, self.recorded.counted


_fences = iter(range(1, 1_000))


def _fence() -> int:
    return next(_fences)


@pytest.fixture
def bed(target: Target, ns: str, tmp_path: Path) -> Iterator[Bed]:
    with recording(target.api, tmp_path) as recorded:
        cluster = connect("west", kubeconfig=recorded.kubeconfig, timeouts=PATIENT)
        try:
            made = Bed(target, ns, recorded, cluster)
            made.warm()
            yield made
        finally:
            cluster.close()


def planned(name: str, *more: str) -> Counter[str]:
    """The requests of a plan for such a spec."""
    objects = _OBJECTS[name]
    each = Counter({f"{verb} {kind}": n for verb in ("get", "try") for kind, n in objects.items()})
    return each + Counter((*_AROUND, *_PREFLIGHT, *more))


def once(asked: Counter[str]) -> Counter[str]:
    """As if nothing had written the Deployment between its read and its write: its controller writes
    its status at any time, and then all three are made again."""
    tries = asked["apply deployments"]
    return asked - Counter(_PUT * (tries - 1))


@pytest.mark.parametrize("name", ["small", "full"])
def test_a_plan_reads_each_object_once_and_tries_it_once(bed: Bed, name: str) -> None:
    bed.planner.plan(bed.spec(name), "ABC234")
    assert bed.recorded.counted == planned(name, "list cronjobs")


@pytest.mark.parametrize("name", ["small", "full"])
@pytest.mark.parametrize("tag", ["2.11.1", "2.10.0"], ids=["no change", "one field"])
def test_a_plan_for_what_runs_reads_its_token_beside(bed: Bed, name: str, tag: str) -> None:
    bed.apply(bed.spec(name), "ABC234")
    plan = bed.planner.plan(bed.spec(name, tag=tag), "ABC235")
    assert plan.empty == (tag == "2.11.1")
    assert bed.recorded.counted == planned(name, "get secrets")


@pytest.mark.parametrize("name", ["small", "full"])
def test_a_new_gateway_takes_a_write_for_each_object_and_a_look_at_its_lease_before_it(
    bed: Bed, name: str
) -> None:
    _, asked = bed.apply(bed.spec(name), "ABC234")
    objects = _OBJECTS[name]
    writes = Counter({f"apply {kind}": n for kind, n in objects.items()})
    minted = ["get secrets", "post secrets", "get leases", "get leases"]
    # Whether an earlier run has applied it, and beside the other writes what is there now.
    read = ["get deployments", "get deployments"]
    again = planned(name, "list cronjobs", *read, *minted)
    assert once(asked) == again + writes + Counter({"get leases": objects.total()})


@pytest.mark.parametrize("name", ["small", "full"])
def test_a_changed_field_is_one_write_and_one_look_at_the_lease(bed: Bed, name: str) -> None:
    bed.apply(bed.spec(name), "ABC234")
    _, asked = bed.apply(bed.spec(name, tag="2.10.0"), "ABC235")
    # It is written onto the version that the plan has read; the further look is whether an earlier
    # run has applied it.
    assert once(asked) == planned(name, "get secrets", *_PUT)


def test_an_object_that_differs_is_written_and_those_beside_it_are_not(bed: Bed) -> None:
    bed.apply(bed.spec("full"), "ABC234")
    plan, asked = bed.apply(bed.spec("full", http_port=8088), "ABC235")
    changed = {change.kind for change in plan.changes}
    assert changed == {"Service", "Deployment"}
    written = {name: n for name, n in once(asked).items() if name.startswith("apply ")}
    assert written == {"apply services": 1, "apply deployments": 1}


def test_fields_that_are_only_another_managers_are_applied_although_none_differs(
    bed: Bed, target: Target
) -> None:
    """Left alone, they would stay when a later spec no longer has them."""
    spec = bed.spec("small")
    bed.apply(spec, "ABC234")
    path = f"/api/v1/namespaces/{spec.ref.namespace}/configmaps/edge-1-env"
    live = target.api.get(path)
    named = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "edge-1-env"}}
    labelled = {"name": "edge-1-env", "labels": live["metadata"]["labels"]}
    target.api.apply(path, {**named, "metadata": labelled, "data": live["data"]}, "somebody")
    target.api.apply(path, named, "gateway-bot")
    plan, asked = bed.apply(bed.spec("small", tag="2.10.0"), "ABC235")
    assert [change.kind for change in plan.changes] == ["Deployment"]
    assert asked["apply configmaps"] == 1
    owners = target.api.get(path)["metadata"]["managedFields"]
    (ours,) = [each for each in owners if each["manager"] == "gateway-bot"]
    assert "f:data" in ours["fieldsV1"]


def scaled(api: KubeApi, path: str) -> None:
    assert api.request("PATCH", f"{path}/scale", {"spec": {"replicas": 2}}, MERGE).status == 200


def deleted(api: KubeApi, path: str) -> None:
    api.delete(path)
    until(lambda: api.gone(path), "the end of the Deployment")


@pytest.mark.parametrize(("meanwhile", "replicas"), [(scaled, 2), (deleted, 1)])
def test_what_happens_to_a_deployment_after_it_was_planned_is_seen_before_it_is_written(
    bed: Bed, target: Target, meanwhile: Callable[[KubeApi, str], None], replicas: int
) -> None:
    bed.apply(bed.spec("small"), "ABC234")
    spec = bed.spec("small", tag="2.10.0")
    path = f"/apis/apps/v1/namespaces/{spec.ref.namespace}/deployments/edge-1"
    plan = bed.planner.plan(spec, "ABC235")
    meanwhile(target.api, path)
    apply_plan(bed.cluster, plan, action_id="ABC235", requester="U1")
    live = target.api.get(path)["spec"]
    assert live["template"]["spec"]["containers"][0]["image"].endswith(":2.10.0")
    assert live["replicas"] == replicas


def test_what_was_settled_is_applied_all_the_same_once_the_cluster_did_not_answer(
    bed: Bed, target: Target
) -> None:
    """That may last, and somebody else may write it meanwhile: nobody decided on what that says."""
    bed.apply(bed.spec("small"), "ABC234")
    spec = bed.spec("small", tag="2.10.0")
    within = f"namespaces/{spec.ref.namespace}"
    settings = f"/api/v1/{within}/configmaps/edge-1-env?fieldManager=somebody"

    def edited() -> None:
        changes = {"data": {"telemetry.logs.std.level": "debug"}}
        assert target.api.request("PATCH", settings, changes, MERGE).status == 200

    with pytest.raises(OwnershipConflicts):
        bed.apply(spec, "ABC235", lambda fence: Interrupted(fence, edited))
    live = target.api.get(f"/apis/apps/v1/{within}/deployments/edge-1")["spec"]
    assert live["template"]["spec"]["containers"][0]["image"].endswith(":2.11.1")


@pytest.mark.parametrize("verb", ["get", "try"])
def test_all_objects_are_asked_about_at_the_same_time(bed: Bed, verb: str) -> None:
    """None is answered before the last of them has been sent."""
    objects = _OBJECTS["full"]
    together = threading.Barrier(objects.total())
    names = {f"{verb} {kind}" for kind in objects}

    def answered(request: str) -> None:
        if request in names:
            together.wait(_BARRIER_SECONDS)

    bed.recorded.answered = answered
    assert bed.planner.plan(bed.spec("full"), "ABC234").digest
    assert not together.broken


def test_of_several_refusals_the_first_objects_is_told_whichever_comes_first(bed: Bed) -> None:
    others = threading.Semaphore(0)

    def answered(request: str) -> None:
        if request == "try configmaps":
            assert all(others.acquire(timeout=_BARRIER_SECONDS) for _ in range(3))
        elif request.startswith("try "):
            others.release()

    bed.recorded.answered = answered
    wrong = bed.spec("small", labels=(("team", "no label at all!"),))
    with pytest.raises(InvalidInput) as refused:
        bed.planner.plan(wrong, "ABC234")
    assert "ConfigMap" in refused.value.happened


def test_plans_one_after_another_open_no_further_connections(bed: Bed) -> None:
    spec = bed.spec("full")
    bed.planner.plan(spec, "ABC234")
    before = bed.recorded.connections
    for _ in range(5):
        bed.planner.plan(spec, "ABC234")
    # At most as many requests as there are threads are under way at a time.
    assert bed.recorded.connections <= max(before, 16)
