"""Success is read off the cluster: who changed a gateway while it rolled out, and to what."""

import dataclasses
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.actions.action import Action, Outcome, State
from deploy.rendering.manifests import render, with_action
from deploy.rollouts.reading_back import changed_since, pause_now
from deploy.rollouts.second_look import second_look
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Autoscaling, Rollout
from tests.deploy.rollouts.test_deployer import Bench, hasty
from tests.support.gateway_bed import SPEC, RecordingRun, action_for, gateway_bed
from tests.support.kubectl import Kubectl
from tests.support.waiting import until

OTHER = "mcr.microsoft.com/azure-api-management/gateway:2.9.2"
OLD = "mcr.microsoft.com/azure-api-management/gateway:2.10.1"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with gateway_bed(tmp_path) as bed:
        yield Bench(bed)


@pytest.fixture
def kubectl(bench: Bench, tmp_path: Path) -> Kubectl:
    return Kubectl(bench.bed.running.kubeconfig(), tmp_path)


def disturbed(
    bench: Bench, disturb: Callable[[], object], spec: GatewaySpec | None = None
) -> Outcome:
    """The outcome of a deployment during whose rollout somebody does that."""
    wanted = spec or SPEC
    bench.bed.nodes("slow_start_seconds", 100_000)
    run = RecordingRun()
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(bench.deploy(wanted, run=run)))
    thread.start()
    # Its pods never get ready, so it lasts until it is disturbed; those that start then are quick.
    until(lambda: run.states and starting(bench, wanted), "the rollout")
    bench.bed.nodes("slow_start_seconds", 0)
    disturb()
    thread.join(90)
    return outcomes[0]


def starting(bench: Bench, spec: GatewaySpec) -> bool:
    """Whether there are pods of that version and all of them have begun to start."""
    pods = [
        pod
        for pod in bench.bed.cluster.list("Pod", "dev")
        if pod["spec"]["containers"][0]["image"] == spec.image
    ]
    return bool(pods) and all(pod["status"].get("phase") == "Running" for pod in pods)


def test_another_image_set_meanwhile_is_no_success(bench: Bench, kubectl: Kubectl) -> None:
    outcome = disturbed(
        bench, lambda: kubectl("set", "image", "deployment/edge-1", f"edge-1={OLD}", "-n", "dev")
    )
    assert outcome.state is State.FAILED
    assert outcome.happened == (
        f"kubectl-set changed it during the rollout: image wanted {SPEC.repository}:{SPEC.tag}, "
        f"now {OLD}."
    )


def test_a_gateway_scaled_to_zero_meanwhile_is_no_success(bench: Bench, kubectl: Kubectl) -> None:
    outcome = disturbed(
        bench, lambda: kubectl("scale", "deployment/edge-1", "--replicas=0", "-n", "dev")
    )
    assert outcome.state is State.FAILED
    assert "replicas wanted 2, now 0" in outcome.happened


def test_a_rollout_undone_meanwhile_is_no_success(bench: Bench, kubectl: Kubectl) -> None:
    assert bench.deploy(dataclasses.replace(SPEC, tag="2.10.1"), "ABC233").state is State.SUCCEEDED

    def undone() -> None:
        # kubectl knows of no version before while the new one has no ReplicaSet.
        until(lambda: kubectl("get", "rs", "-n", "dev", "-o", "name").count("edge-1") > 1, "it")
        kubectl("rollout", "undo", "deployment/edge-1", "-n", "dev")

    outcome = disturbed(bench, undone)
    assert outcome.state is State.FAILED
    assert f"image wanted {SPEC.repository}:{SPEC.tag}, now {OLD}" in outcome.happened


def test_what_nobody_wrote_but_a_restart_by_hand_is_a_success(
    bench: Bench, kubectl: Kubectl
) -> None:
    outcome = disturbed(
        bench, lambda: kubectl("rollout", "restart", "deployment/edge-1", "-n", "dev")
    )
    assert outcome.state is State.SUCCEEDED


def test_a_version_that_came_back_and_was_changed_then_is_not_said_to_be_back(
    bench: Bench, kubectl: Kubectl
) -> None:
    class Disturbed(RecordingRun):
        def progress(self, state: Mapping[str, Any]) -> None:
            super().progress(state)
            if self.steps[-1].startswith("roll back") and not others:
                others.append(OTHER)
                bench.bed.nodes("image_pull_fails", False)
                kubectl("set", "image", "deployment/edge-1", f"edge-1={OTHER}", "-n", "dev")

    others: list[str] = []
    assert bench.deploy(dataclasses.replace(SPEC, tag="2.10.1"), "ABC233").state is State.SUCCEEDED
    bench.bed.nodes("image_pull_fails", True)
    back = Rollout(progress_deadline=30, automatic_rollback=True)
    outcome = bench.deploy(dataclasses.replace(SPEC, rollout=back), run=Disturbed())
    assert others
    assert outcome.happened == (
        f"kubectl-set changed it during the rollout: image wanted {OLD}, now {OTHER}."
    )


def test_a_paused_deployment_is_said_to_be_paused(bench: Bench, kubectl: Kubectl) -> None:
    assert bench.deploy(dataclasses.replace(SPEC, tag="2.10.1"), "ABC233").state is State.SUCCEEDED
    kubectl("rollout", "pause", "deployment/edge-1", "-n", "dev")
    outcome = bench.deploy(hasty())
    assert outcome.state is State.FAILED
    assert "0 of 2 pods ready" in outcome.happened
    assert "The Deployment is paused, so Kubernetes does not replace its pods." in outcome.meaning
    assert "2 pods of the previous version still serve traffic." in outcome.meaning


AUTOSCALED = dataclasses.replace(
    SPEC, replicas=GatewaySpec.replicas, autoscaling=Autoscaling(least=2, most=4)
)


def test_an_autoscaled_gateway_that_somebody_scaled_to_zero_is_no_success(
    bench: Bench, kubectl: Kubectl
) -> None:
    outcome = disturbed(
        bench,
        lambda: kubectl("scale", "deployment/edge-1", "--replicas=0", "-n", "dev"),
        AUTOSCALED,
    )
    assert outcome.state is State.FAILED
    assert outcome.happened == "Somebody changed it during the rollout: replicas wanted 2, now 0."


def test_an_autoscaled_gateway_that_was_at_zero_before_may_stay_there(
    bench: Bench, kubectl: Kubectl
) -> None:
    assert bench.deploy(AUTOSCALED, "ABC233").state is State.SUCCEEDED
    kubectl("scale", "deployment/edge-1", "--replicas=0", "-n", "dev")
    newer = dataclasses.replace(AUTOSCALED, tag="2.10.1")
    assert bench.deploy(newer).state is State.SUCCEEDED


def test_a_gateway_that_is_asked_to_have_no_pods_is_done_with_none(bench: Bench) -> None:
    asleep = dataclasses.replace(SPEC, replicas=0)
    assert bench.deploy(asleep, "ABC233").state is State.SUCCEEDED
    newer = bench.deploy(dataclasses.replace(asleep, tag="2.10.1"))
    assert newer.state is State.SUCCEEDED, newer


def test_what_another_version_of_the_bot_renders_otherwise_is_nobody_s_change(
    bench: Bench, kubectl: Kubectl
) -> None:
    plan = bench.planner.plan(SPEC, "ABC234")
    action = action_for(plan)
    assert bench.deployer.execute(action, RecordingRun()).state is State.SUCCEEDED
    as_by_another_version(bench, action)
    secret = plan.token.secret
    assert changed_since(bench.bed.cluster, plan.spec, secret, action) is None
    kubectl("set", "image", "deployment/edge-1", f"edge-1={OTHER}", "-n", "dev")
    kubectl("scale", "deployment/edge-1", "--replicas=0", "-n", "dev")
    found = changed_since(bench.bed.cluster, plan.spec, secret, action)
    assert found is not None
    assert found.by == ("kubectl-set",)
    image = "spec.template.spec.containers[edge-1].image"
    assert {field.path for field in found.fields} == {"spec.replicas", image}


def as_by_another_version(bench: Bench, action: Action) -> None:
    """The same action's Deployment as a bot writes it that renders one thing more and one less."""
    live = bench.deployment()
    (wanted,) = [
        o for o in render(action.plan.spec, action.plan.token.secret) if o["kind"] == "Deployment"
    ]
    wanted["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 17
    wanted["spec"]["template"]["metadata"]["annotations"]["gateway-bot.io/other"] = "yes"
    (written,) = with_action((wanted,), action.id, action.requester)
    assert live["spec"] != bench.bed.cluster.apply(written)["spec"]


LOOK = "This is no longer in effect. "


def test_a_second_look_finds_what_was_undone_and_by_whom(bench: Bench, kubectl: Kubectl) -> None:
    assert bench.deploy(dataclasses.replace(SPEC, tag="2.10.1"), "ABC233").state is State.SUCCEEDED
    action = action_for(bench.planner.plan(SPEC, "ABC234"))
    assert bench.deployer.execute(action, RecordingRun()).state is State.SUCCEEDED
    look = second_look({"west": bench.bed.cluster})
    assert look(action) == ""
    kubectl("scale", "deployment/edge-1", "--replicas=0", "-n", "dev")
    assert look(action).startswith(
        f"{LOOK}Somebody has changed it since: replicas wanted 2, now 0."
    )
    kubectl("scale", "deployment/edge-1", "--replicas=2", "-n", "dev")
    assert look(action) == ""
    kubectl("rollout", "undo", "deployment/edge-1", "-n", "dev")
    assert f"image wanted {SPEC.repository}:{SPEC.tag}, now {OLD}" in look(action)
    kubectl("delete", "deployment/edge-1", "-n", "dev")
    assert "The Deployment “edge-1” is gone from west/dev." in look(action)
    elsewhere = dataclasses.replace(action, plan=dataclasses.replace(action.plan, cluster_uid="u9"))
    assert look(elsewhere) == second_look({})(action) == ""


def test_a_gateway_of_which_no_pods_were_asked_for_is_as_it_was_asked_for(bench: Bench) -> None:
    assert bench.deploy(SPEC, "ABC233").state is State.SUCCEEDED
    stopped = bench.deploy(dataclasses.replace(SPEC, replicas=0))
    assert stopped.state is State.SUCCEEDED, stopped
    newer = bench.deploy(dataclasses.replace(SPEC, tag="2.10.1", replicas=0), "ABC235")
    assert newer.state is State.SUCCEEDED, newer


def test_a_cluster_that_is_gone_by_then_makes_no_success_unknown(bench: Bench) -> None:
    assert bench.deploy().state is State.SUCCEEDED
    faults = bench.bed.running.cluster.faults
    bench.bed.running.call(lambda: faults.set("api_down", True))
    assert pause_now(bench.bed.cluster, SPEC.ref) is None
    bench.bed.running.call(lambda: faults.set("api_down", False))
