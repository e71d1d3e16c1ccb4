"""A rollout that gets stuck and was asked to go back by itself."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.actions.action import State, Step
from deploy.annotations import SPEC_ANNOTATION
from deploy.observed.causes import Cause
from deploy.observed.installed import installed
from deploy.observed.progress import progress_of
from deploy.plans.binding import as_shown, bound, plan_from_mapping, plan_to_mapping
from deploy.plans.plan import WayBack
from deploy.plans.requests import DeployRequest
from deploy.retry import RunLost
from deploy.rollouts import deployer
from deploy.rollouts.going_back import Before
from deploy.rollouts.work import APPLY
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Autoscaling, Rollout
from deploy.tokens.rotation import Rotation
from tests.deploy.rollouts.test_deployer import Bench
from tests.support.gateway_bed import SPEC, RecordingRun, action_for, gateway_bed
from tests.support.waiting import until

_ROLLOUT = Rollout(progress_deadline=30, automatic_rollback=True)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with gateway_bed(tmp_path) as bed:
        yield Bench(bed)


def stuck(bench: Bench, **changes: Any) -> GatewaySpec:
    """A spec whose pods cannot start on the bench."""
    bench.bed.nodes("image_pull_fails", True)
    return dataclasses.replace(SPEC, **{"tag": "2.11.0", "rollout": _ROLLOUT, **changes})


def pods(bench: Bench) -> set[str]:
    return {pod["metadata"]["name"] for pod in bench.bed.cluster.list("Pod", "dev")}


def test_the_version_before_comes_back_whole_and_its_pods_never_stop(bench: Bench) -> None:
    assert bench.deploy().state is State.SUCCEEDED
    before, image = pods(bench), bench.deployment()["spec"]["template"]["spec"]
    scaled = Autoscaling(least=2, most=4, cpu=80)
    run = RecordingRun()
    asked = stuck(bench, log_level="warn", autoscaling=scaled, replicas=3)
    outcome = bench.deploy(asked, "XYZ789", run)
    assert outcome.state is State.FAILED
    assert outcome.happened.endswith("so 2.11.1 is back: 2 of 2 pods ready.")
    assert "ImagePull" in outcome.meaning
    assert "registry" in outcome.remedy
    assert Cause.REGISTRY in run.steps
    until(lambda: pods(bench) == before, "the pods of the other version to be gone")
    assert bench.deployment()["spec"]["template"]["spec"] == image
    assert bench.bed.cluster.list("HorizontalPodAutoscaler", "dev") == []
    config = bench.bed.cluster.get("ConfigMap", "dev", "edge-1-env")
    assert config is not None
    assert config["data"]["telemetry.logs.std.level"] == "info"
    assert bench.planner.plan(SPEC, "AAA222").empty


def rolled_out(bench: Bench) -> bool:
    live = bench.deployment()
    seen = live["status"].get("observedGeneration") == live["metadata"]["generation"]
    return seen and progress_of(live, (), ()).complete and len(pods(bench)) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("telemetry.logs.std.level", "debug"),
        ("observability.opentelemetry.collector.uri", "http://o:1"),
    ],
)
def test_a_variable_taken_over_is_as_it_was_when_the_version_before_is_back(
    bench: Bench, name: str, value: str
) -> None:
    assert bench.deploy().state is State.SUCCEEDED
    container = {"name": "edge-1", "env": [{"name": name, "value": value}]}
    bench.bed.running.request(
        "PATCH",
        "/apis/apps/v1/namespaces/dev/deployments/edge-1?fieldManager=kubectl",
        {"spec": {"template": {"spec": {"containers": [container]}}}},
        content_type="application/strategic-merge-patch+json",
    )
    until(lambda: rolled_out(bench), "the rollout of that variable")
    before, template = pods(bench), bench.deployment()["spec"]["template"]["spec"]
    metrics = dataclasses.replace(SPEC.metrics, collector="http://another:4317")
    asked = stuck(bench, log_level="warn", metrics=metrics)
    plan = bench.planner.plan(asked, "XYZ789", take_over=True)
    action = action_for(plan, "XYZ789", request=DeployRequest(asked, take_over=True))
    outcome = bench.deployer.execute(action, RecordingRun())
    assert outcome.happened.endswith("so 2.11.1 is back: 2 of 2 pods ready."), outcome
    until(lambda: pods(bench) == before, "the pods of the other version to be gone")
    assert bench.deployment()["spec"]["template"]["spec"] == template


def test_it_goes_back_only_when_asked(bench: Bench) -> None:
    assert bench.deploy().state is State.SUCCEEDED
    outcome = bench.deploy(stuck(bench, rollout=Rollout(progress_deadline=30)), "XYZ789")
    assert outcome.happened.startswith("The rollout did not finish: 0 of 2")
    assert json.loads(bench.deployment()["metadata"]["annotations"][SPEC_ANNOTATION])["image"][
        "tag"
    ] == "2.11.0"  # fmt: skip


def test_the_plan_says_what_a_failure_goes_back_to_and_its_digest_holds_it(bench: Bench) -> None:
    asked = dataclasses.replace(SPEC, tag="2.11.0", rollout=_ROLLOUT)
    assert bench.planner.plan(asked, "AAA222").on_failure is None
    bench.deploy()
    plan = bench.planner.plan(asked, "AAA222")
    assert plan.on_failure == WayBack(revision=1)
    assert plan_from_mapping(json.loads(json.dumps(plan_to_mapping(plan)))).on_failure == WayBack(1)
    other = dataclasses.replace(plan, on_failure=WayBack(2))
    assert as_shown(plan, other).digest != plan.digest
    manual = dataclasses.replace(asked, rollout=Rollout(progress_deadline=30))
    assert bench.planner.plan(manual, "AAA222").on_failure is None
    scaled = dataclasses.replace(SPEC, replicas=3, rollout=_ROLLOUT)
    assert bench.planner.plan(scaled, "AAA222").on_failure is None
    rotated = bench.planner.plan(SPEC, "AAA222", rotation=Rotation())
    assert rotated.on_failure == WayBack(secret="edge-1-token-abc234")


def test_a_plan_of_a_bot_that_has_other_words_for_it_is_the_same_plan(bench: Bench) -> None:
    bench.deploy()
    asked = dataclasses.replace(SPEC, tag="2.11.0", rollout=_ROLLOUT)
    plan = bench.planner.plan(asked, "XYZ789")
    worded = dataclasses.replace(plan.token, reason="In the words of another version.")
    theirs = bound(dataclasses.replace(plan, token=worded))
    assert theirs.digest != plan.digest
    bench.deployer.execute(action_for(theirs, "XYZ789"), run := RecordingRun())
    assert APPLY in run.steps


def test_a_revision_that_was_not_decided_on_is_not_gone_back_to(bench: Bench) -> None:
    bench.deploy()
    made = bench.planner.plan(stuck(bench), "XYZ789")
    plan = as_shown(made, dataclasses.replace(made, on_failure=WayBack(revision=7)))
    outcome = bench.deployer.execute(action_for(plan, "XYZ789"), RecordingRun())
    assert "There was no working previous version to roll back to." in outcome.meaning


def test_pods_that_are_not_ready_for_a_moment_supersede_no_plan(bench: Bench) -> None:
    bench.deploy()
    plan = bench.planner.plan(stuck(bench), "XYZ789")
    bench.bed.nodes("not_ready", True)
    until(lambda: not bench.deployment()["status"].get("readyReplicas"), "pods that are not ready")
    assert bench.planner.plan(plan.spec, "XYZ789").digest != plan.digest
    outcome = bench.deployer.execute(action_for(plan, "XYZ789"), RecordingRun())
    assert outcome.state is State.FAILED
    assert "There was no working previous version to roll back to." in outcome.meaning


def test_a_first_version_has_nothing_to_go_back_to(bench: Bench) -> None:
    run = RecordingRun()
    outcome = bench.deploy(stuck(bench), run=run)
    assert outcome.state is State.FAILED
    assert "no working previous version" in outcome.meaning
    assert not set(Cause) & set(run.steps)


class Killed(RecordingRun):
    """A run that is over once it says that it goes back."""

    def step(self, name: str, detail: str = "") -> None:
        """Record a step."""
        super().step(name, detail)
        if name in set(Cause):
            self.lost.set()


def test_going_back_that_was_killed_is_ended_by_another_bot(bench: Bench) -> None:
    assert bench.deploy().state is State.SUCCEEDED
    plan = bench.planner.plan(stuck(bench), "XYZ789")
    action = action_for(plan, "XYZ789")
    with pytest.raises(RunLost):
        bench.deployer.execute(action, Killed())
    begun = dataclasses.replace(action, steps=(Step(Cause.IMAGE, 0.0, "It has no image."),))
    for _ in range(2):
        outcome = bench.deployer.execute(begun, RecordingRun())
        assert outcome.happened.endswith("so 2.11.1 is back: 2 of 2 pods ready.")
        assert outcome.meaning.endswith("It has no image.")
        assert "a tag that exists" in outcome.remedy


def test_a_run_that_finds_itself_back_on_the_token_of_before_does_not_go_there_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench.deploy().state is State.SUCCEEDED
    plan = bench.planner.plan(SPEC, "XYZ789")
    renewed = dataclasses.replace(
        plan, token=dataclasses.replace(plan.token, secret="edge-1-token-xyz789")
    )
    begun = dataclasses.replace(
        action_for(renewed, "XYZ789"), steps=(Step(Cause.SCHEDULING, 0.0, "Unschedulable."),)
    )
    # One pod of the version that failed is ready still.
    failed = Before(bench_spec(bench), "edge-1-token-xyz789")
    monkeypatch.setattr(deployer, "version_before", lambda *_: failed)
    used = bench.deployment()["spec"]["template"]["spec"]
    outcome = bench.deployer.execute(begun, RecordingRun())
    assert outcome.happened.endswith("so 2.11.1 is back: 2 of 2 pods ready.")
    assert bench.deployment()["spec"]["template"]["spec"] == used


def bench_spec(bench: Bench) -> GatewaySpec:
    return installed(bench.bed.cluster, SPEC.ref).spec


def test_a_way_back_that_is_continued_once_the_new_version_is_ready_ends_as_done(
    bench: Bench,
) -> None:
    assert bench.deploy().state is State.SUCCEEDED
    newer = dataclasses.replace(SPEC, tag="2.12.0", rollout=_ROLLOUT)
    action = action_for(bench.planner.plan(newer, "ABC235"), "ABC235")
    assert bench.deployer.execute(action, RecordingRun()).state is State.SUCCEEDED
    until(lambda: len(pods(bench)) == 2, "the end of the old pods")
    # The run that noted the reason died, and the last pod became ready a moment later.
    steps = ("apply", "follow", Cause.OTHER.value)
    resumed = dataclasses.replace(action, steps=tuple(Step(each, 1.0, "late") for each in steps))
    outcome = bench.deployer.execute(resumed, RecordingRun())
    assert outcome.state is State.SUCCEEDED
    assert outcome.happened.startswith("2 of 2 pods ready")
