"""The NetworkPolicy while a rollout replaces pods: neither the old nor the new ones lose a port."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.actions.action import State, Step
from deploy.rendering.network_policy import network_policy
from deploy.rollouts.policies import widened
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Metrics, NetworkPolicy, Rollout
from tests.deploy.rollouts.test_deployer import Bench
from tests.support.gateway_bed import REF, SPEC, RecordingRun, action_for, gateway_bed

OLD, NEW = 8125, 9125
CLOSED = NetworkPolicy(enabled=True)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with gateway_bed(tmp_path) as bed:
        yield Bench(bed)


def sending(port: int, **changes: Any) -> GatewaySpec:
    """Pods that send metrics to that port, and reach little else."""
    metrics = Metrics(statsd=f"statsd.monitoring:{port}")
    return dataclasses.replace(SPEC, **{"network_policy": CLOSED, "metrics": metrics, **changes})


def opened(bench: Bench) -> set[int]:
    """Which of the ports the pods may reach."""
    live = bench.bed.cluster.get("NetworkPolicy", REF.namespace, REF.name)
    assert live is not None
    ports = {p["port"] for rule in live["spec"]["egress"] for p in rule.get("ports", ())}
    return ports & {OLD, NEW}


class Looking(RecordingRun):
    """A run that does something when it begins to follow the rollout."""

    def __init__(self, then: Callable[[], object]) -> None:
        super().__init__()
        self._then = then
        self.found: list[object] = []

    def step(self, name: str, detail: str = "") -> None:
        super().step(name, detail)
        if name == "follow":
            self.found.append(self._then())


def test_what_the_old_pods_reach_stays_open_until_they_are_gone(bench: Bench) -> None:
    assert bench.deploy(sending(OLD)).state is State.SUCCEEDED
    run = Looking(lambda: opened(bench))
    assert bench.deploy(sending(NEW), "XYZ789", run).state is State.SUCCEEDED
    assert run.found == [{OLD, NEW}]
    assert opened(bench) == {NEW}
    assert bench.planner.plan(sending(NEW), "AAA222").empty


def test_going_back_restores_what_the_version_before_opened(bench: Bench) -> None:
    assert bench.deploy(sending(OLD)).state is State.SUCCEEDED
    bench.bed.nodes("image_pull_fails", True)
    rollout = Rollout(progress_deadline=30, automatic_rollback=True)
    outcome = bench.deploy(sending(NEW, tag="2.11.0", rollout=rollout), "XYZ789")
    assert (outcome.state, "so 2.11.1 is back" in outcome.happened) == (State.FAILED, True)
    assert opened(bench) == {OLD}
    assert bench.planner.plan(sending(OLD), "AAA222").empty


def test_a_rollout_that_does_not_finish_leaves_open_what_both_versions_need(bench: Bench) -> None:
    assert bench.deploy(sending(OLD)).state is State.SUCCEEDED
    bench.bed.nodes("image_pull_fails", True)
    asked = sending(NEW, tag="2.11.0", rollout=Rollout(progress_deadline=30))
    assert bench.deploy(asked, "XYZ789").state is State.FAILED
    assert opened(bench) == {OLD, NEW}
    changes = bench.planner.plan(asked, "AAA222").changes
    assert [change.kind for change in changes] == ["NetworkPolicy"]
    other = sending(7125, tag="2.11.0", rollout=Rollout(progress_deadline=30))
    assert bench.deploy(other, "AAA333").state is State.FAILED
    assert opened(bench) == {OLD, NEW}, "the pods of the first version still serve"


def test_a_run_that_died_after_it_opened_both_is_finished_by_the_next(bench: Bench) -> None:
    assert bench.deploy(sending(OLD)).state is State.SUCCEEDED
    plan = bench.planner.plan(sending(NEW), "XYZ789")
    cluster = bench.bed.cluster
    before = [each for each in plan.objects if each["kind"] == "NetworkPolicy"]
    cluster.apply_all(widened(cluster, before))
    assert opened(bench) == {OLD, NEW}
    action = dataclasses.replace(action_for(plan, "XYZ789"), steps=(Step("apply", 0.0),))
    assert bench.deployer.execute(action, RecordingRun()).state is State.SUCCEEDED
    assert opened(bench) == {NEW}


def test_one_that_somebody_took_over_meanwhile_is_left_and_said(bench: Bench) -> None:
    assert bench.deploy(sending(OLD)).state is State.SUCCEEDED
    theirs = network_policy(sending(7125))

    def take() -> None:
        bench.bed.cluster.apply(theirs, force=True, manager="kubectl")

    outcome = bench.deploy(sending(NEW), "XYZ789", Looking(take))
    assert outcome.state is State.SUCCEEDED
    assert "The NetworkPolicy may still open what the other version needed" in outcome.meaning
    assert opened(bench) == set()


def test_where_nothing_more_is_open_the_policy_is_written_as_it_is_wanted(bench: Bench) -> None:
    backends = NetworkPolicy(enabled=True, egress=('{"ports":[{"port":8443}]}',))
    made = [network_policy(sending(NEW, network_policy=backends))]
    assert widened(bench.bed.cluster, made) == made
    bench.bed.cluster.apply_all(made)
    assert widened(bench.bed.cluster, made) == made
