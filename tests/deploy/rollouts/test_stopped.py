"""What is said of a stopped action is what the cluster holds."""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.actions.action import Action, Outcome, State, Step
from deploy.plans.plan import Plan
from deploy.rendering.manifests import token_secret
from deploy.retry import RunLost
from deploy.rollouts.rollout import apply_partly
from deploy.rollouts.stopped import Leftovers, stopped
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Rollout
from deploy.tokens.rotation import Rotation
from tests.deploy.rollouts.test_deployer import Bench
from tests.support.gateway_bed import INSTANCE, SPEC, RecordingRun, action_for, gateway_bed
from tests.support.waiting import until

ID = "XYZ789"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with gateway_bed(tmp_path) as bed:
        yield Bench(bed)


def report(
    bench: Bench, action: Action, ended: Outcome | None = None, seconds: float = 10.0
) -> Outcome:
    outcome = stopped(Leftovers({"west": bench.bed.cluster}, seconds).of(action), ended)
    assert outcome.state is State.STOPPED
    return outcome


def mint(bench: Bench, plan: Plan) -> None:
    assert plan.token.secret is not None
    now = bench.mint.time(INSTANCE, "edge-1")
    token = bench.mint.generate_token(INSTANCE, "edge-1", "primary", now)
    bench.bed.cluster.create(token_secret(plan.spec, plan.token.secret, token, ID))


class Leaves(RecordingRun):
    """A run that is stopped as soon as it follows the rollout."""

    def step(self, name: str, detail: str = "") -> None:
        """Record a step."""
        super().step(name, detail)
        if name == "follow":
            self.lost.set()


def leave(bench: Bench, spec: GatewaySpec) -> Action:
    """Apply it and follow it no longer."""
    action = action_for(bench.planner.plan(spec, ID), ID)
    with pytest.raises(RunLost):
        bench.deployer.execute(action, Leaves())
    return action


def test_before_anything_was_written_nothing_is_said_to_be_there(bench: Bench) -> None:
    outcome = report(bench, action_for(bench.planner.plan(SPEC, ID), ID))
    assert outcome.happened == "Stopped before the Deployment was written."
    assert "There is no Deployment edge-1 in west/dev." in outcome.meaning
    assert "It has no running pods." in outcome.meaning
    assert "Changes not made: ConfigMap edge-1-env" in outcome.meaning
    assert "Changes made" not in outcome.meaning
    assert "No new token was put on the cluster." in outcome.meaning
    assert "`/gateway status west/dev/edge-1`" in outcome.remedy


def test_what_was_written_before_the_deployment_is_said_and_that_new_pods_read_it(
    bench: Bench,
) -> None:
    bench.deploy()
    spec = dataclasses.replace(SPEC, log_level="warn", tag="2.11.0")
    plan = bench.planner.plan(spec, ID)
    for manifest in plan.objects:
        if manifest["kind"] == "ConfigMap":
            bench.bed.cluster.apply(manifest)
    outcome = report(bench, action_for(plan, ID))
    assert outcome.happened == "Stopped before the Deployment was written."
    assert "Deployment edge-1 was not written by this action: 2 replicas of " in outcome.meaning
    assert (
        "Pods ready: 2 of 2 of the current version (2.11.1, Secret edge-1-token-abc234)."
        in outcome.meaning
    )
    assert "Changes made: ConfigMap edge-1-env." in outcome.meaning
    assert "Pods that start from now on read the changed ConfigMap." in outcome.meaning


def test_a_token_that_nothing_uses_is_named(bench: Bench) -> None:
    plan = bench.planner.plan(SPEC, ID)
    mint(bench, plan)
    outcome = report(bench, action_for(plan, ID))
    assert "Secret edge-1-token-xyz789 holds a new token that nothing uses" in outcome.meaning


def test_during_a_rollout_the_pods_of_each_version_are_counted(bench: Bench) -> None:
    bench.deploy()
    bench.bed.nodes("image_pull_fails", True)
    action = leave(bench, dataclasses.replace(SPEC, tag="2.11.0"))

    def pods() -> bool:
        return len(bench.bed.cluster.list("Pod", "dev")) == 3

    until(pods, "the new pod")
    outcome = report(bench, action)
    assert outcome.happened.startswith("Stopped during the rollout. The bot changes nothing more")
    assert "Deployment edge-1 was written by this action: 2 replicas of " in outcome.meaning
    assert (
        "Pods ready: 0 of 2 of the new version (2.11.0, Secret edge-1-token-abc234); "
        "2 of 2 of the previous version (2.11.1, Secret edge-1-token-abc234)." in outcome.meaning
    )


def test_new_pods_with_the_image_and_the_token_of_the_previous_ones_are_counted_apart(
    bench: Bench,
) -> None:
    bench.deploy()
    bench.bed.nodes("slow_start_seconds", 100_000.0)
    action = leave(
        bench, dataclasses.replace(SPEC, rollout=Rollout(restarted_at="2026-11-25T12:00:00Z"))
    )
    until(lambda: len(bench.bed.cluster.list("Pod", "dev")) == 3, "the new pod")
    shown = "(2.11.1, Secret edge-1-token-abc234)"
    assert (
        f"Pods ready: 0 of 2 of the new version {shown}; 2 of 2 of the previous version {shown}."
        in report(bench, action).meaning
    )


def test_a_rollout_that_kubernetes_has_finished_is_said_to_be_finished(bench: Bench) -> None:
    action = leave(bench, SPEC)
    until(lambda: bench.deployment()["status"].get("availableReplicas") == 2, "the rollout")
    outcome = report(bench, action)
    assert outcome.happened == "Stopped after the Deployment was rolled out."
    assert "Secret edge-1-token-xyz789." in outcome.meaning
    assert "nothing uses" not in outcome.meaning


def test_a_version_that_came_back_is_said_to_have_come_back(bench: Bench) -> None:
    bench.deploy()
    bench.bed.nodes("image_pull_fails", True)
    back = Rollout(progress_deadline=30, automatic_rollback=True)
    plan = bench.planner.plan(dataclasses.replace(SPEC, tag="2.11.0", rollout=back), ID)
    action = action_for(plan, ID)
    assert bench.deployer.execute(action, RecordingRun()).state is State.FAILED
    outcome = report(bench, action)
    assert "was written by this action to roll back after a failure: 2 replicas" in outcome.meaning
    assert "2.11.1, token" in outcome.meaning


def test_of_a_rotation_both_secrets_are_said(bench: Bench) -> None:
    bench.deploy()
    plan = bench.planner.plan(SPEC, ID, rotation=Rotation())
    action = action_for(plan, ID, kind="rotate")
    assert "Whether Azure" not in report(bench, action).meaning
    mint(bench, plan)
    apply_partly(bench.bed.cluster, SPEC, "edge-1-token-xyz789", action_id=ID, requester="U1")
    outcome = report(bench, action)
    assert "token from Secret edge-1-token-xyz789" in outcome.meaning
    assert "Secret edge-1-token-abc234 with the previous token is still there." in outcome.meaning
    assert "Whether Azure accepts the new token was not verified." in outcome.meaning


@pytest.mark.parametrize("fault", ["away", "slow", "another"])
def test_what_cannot_be_read_is_said_to_be_unknown_and_soon(bench: Bench, fault: str) -> None:
    action = action_for(bench.planner.plan(SPEC, ID), ID, steps=(Step("apply", 0.0, "Applying"),))
    if fault == "away":
        bench.bed.api("api_down", True)
    elif fault == "slow":
        bench.bed.api("api_slow_ms", 10_000)
    else:
        action = dataclasses.replace(
            action, plan=dataclasses.replace(action.plan, cluster_uid="other")
        )
    began = time.monotonic()
    outcome = report(bench, action, seconds=1.0 if fault == "slow" else 10.0)
    assert fault != "slow" or time.monotonic() - began < 9
    assert outcome.happened == "Stopped. Nothing more is written."
    assert "The state of the cluster is unknown: " in outcome.meaning
    assert outcome.meaning.endswith("The last recorded step: Applying.")


def test_what_a_run_came_to_as_it_was_stopped_is_not_lost(bench: Bench) -> None:
    action = action_for(bench.planner.plan(SPEC, ID), ID)
    done = Outcome(State.SUCCEEDED, "2 of 2 pods ready after 4 s", "Kept.", "Rest.")
    said = report(bench, action, done)
    assert said.happened == "Stopped after everything was done: 2 of 2 pods ready after 4 s"
    assert (said.meaning, said.remedy) == ("Kept.", "Rest.")
    failed = report(bench, action, Outcome(State.FAILED, "Quota exceeded."))
    assert failed.happened == "Stopped before the Deployment was written."
    assert failed.meaning.endswith("The run had just ended: Quota exceeded.")
