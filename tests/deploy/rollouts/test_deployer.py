"""Deployments carried out on a cluster whose nodes run stand-in gateways."""

import dataclasses
import datetime
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.actions.action import Outcome, State, Step
from deploy.errors import InvalidInput
from deploy.plans.plan import SETTINGS_ELSEWHERE, UNFINISHED
from deploy.plans.planning import Planner
from deploy.plans.requests import DeployRequest, RestartRequest, RollbackRequest, ScaleRequest
from deploy.rendering.manifests import token_secret
from deploy.retry import RunLost
from deploy.rollouts.applying import Applier
from deploy.rollouts.deployer import Deployer
from deploy.rollouts.minting import Minter
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.options import Auth, Placement, Rollout
from deploy.tokens.token import expiry_for
from handlers.views.action import no_change
from tests.support.actions import replanning, workings
from tests.support.custody import LocalCustody
from tests.support.gateway_bed import (
    HOST,
    INSTANCE,
    REF,
    SIGNATURE,
    SPEC,
    GatewayBed,
    Mint,
    RecordingRun,
    action_for,
    gateway_bed,
)
from tests.support.kubectl import Kubectl
from tests.support.waiting import until

GUID = "11111111-2222-3333-4444-555555555555"


class Bench:
    """A deployer on a bed, with shortcuts."""

    def __init__(self, bed: GatewayBed) -> None:
        self.bed = bed
        self.mint = Mint()
        self.planner = Planner(
            {"west": bed.cluster}.__getitem__, list, instances={"contoso": INSTANCE}
        )
        self.clusters = {"west": bed.cluster}
        self.applier = Applier(
            self.clusters, Minter(self.mint, {"contoso": INSTANCE}, LocalCustody())
        )
        self.deployer = Deployer(
            self.applier,
            replanning(self.planner, self.clusters),
            patience=1.0,
            # The shortest deadline a spec may have is 30 s; these tests give up after eight, by
            # which what keeps the pods from getting ready must have been seen.
            margin=-22.0,
        )

    def deploy(
        self,
        spec: GatewaySpec = SPEC,
        action_id: str = "ABC234",
        run: RecordingRun | None = None,
        **changes: Any,
    ) -> Outcome:
        plan = self.planner.plan(spec, action_id)
        return self.deployer.execute(action_for(plan, action_id, **changes), run or RecordingRun())

    def deployment(self) -> dict[str, Any]:
        found = self.bed.cluster.get("Deployment", REF.namespace, REF.name)
        assert found is not None
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with gateway_bed(tmp_path) as bed:
        yield Bench(bed)


def hasty(**changes: Any) -> GatewaySpec:
    return dataclasses.replace(SPEC, rollout=Rollout(progress_deadline=30), **changes)


def test_a_new_gateway_is_rolled_out_and_followed_to_the_end(bench: Bench) -> None:
    run = RecordingRun()
    outcome = bench.deploy(run=run)
    assert outcome.state is State.SUCCEEDED
    assert outcome.happened.startswith("2 of 2 pods ready after ")
    assert run.steps == ["plan", "token", "apply", "follow"]
    assert bench.mint.asked == ["edge-1"]
    last = run.states[-1]
    assert (last["desired"], last["ready"], last["old"], last["complete"]) == (2, 2, 0, True)
    assert [pod["ready"] for pod in last["pods"]] == [True, True]
    assert bench.deployment()["metadata"]["annotations"]["gateway-bot.io/action"] == "ABC234"


def test_the_last_frame_of_an_update_agrees_with_what_the_cluster_holds(bench: Bench) -> None:
    bench.deploy()
    run = RecordingRun()
    assert bench.deploy(hasty(tag="2.12.0"), "ABC235", run).state is State.SUCCEEDED
    last = run.states[-1]
    listed = bench.bed.cluster.list("Pod", REF.namespace)
    there = {pod["metadata"]["name"] for pod in listed}
    ready = {pod["name"] for pod in last["pods"] if pod["ready"]}
    assert len(ready) == last["ready"] == last["desired"] == 2
    assert ready <= there


def test_no_token_is_in_what_is_told(bench: Bench) -> None:
    run = RecordingRun()
    outcome = bench.deploy(run=run)
    assert SIGNATURE not in json.dumps([run.states, run.steps, dataclasses.asdict(outcome)])


def test_an_action_that_was_applied_already_is_only_followed(bench: Bench) -> None:
    plan = bench.planner.plan(SPEC, "ABC234")
    action = action_for(plan)
    bench.deployer.execute(action, RecordingRun())
    generation = bench.deployment()["metadata"]["generation"]
    run = RecordingRun()
    assert bench.deployer.execute(action, run).state is State.SUCCEEDED
    assert run.steps == ["reconcile", "follow"]
    assert len(bench.mint.asked) == 1
    assert bench.deployment()["metadata"]["generation"] == generation


def test_what_was_not_shown_is_not_applied(bench: Bench) -> None:
    outcome = bench.deploy(digest="0" * 64)
    assert outcome.state is State.SUPERSEDED
    assert "Nothing was changed" in outcome.meaning
    assert bench.bed.cluster.list("Secret", "dev") == []
    assert bench.mint.asked == []


def test_a_run_that_died_while_applying_is_finished_by_the_next(bench: Bench) -> None:
    plan = bench.planner.plan(SPEC, "ABC234")
    for manifest in plan.objects[:3]:
        bench.bed.cluster.apply(manifest)
    fresh = action_for(plan)
    assert bench.deployer.execute(fresh, RecordingRun()).state is State.SUPERSEDED
    begun = dataclasses.replace(fresh, steps=(Step("apply", 0.0),))
    assert bench.deployer.execute(begun, RecordingRun()).state is State.SUCCEEDED


def test_a_token_made_by_an_earlier_run_of_the_action_is_used(bench: Bench) -> None:
    plan = bench.planner.plan(SPEC, "ABC234")
    expiry = expiry_for(datetime.datetime.now(datetime.UTC))
    assert plan.token.secret is not None
    token = bench.mint.generate_token(INSTANCE, "edge-1", "primary", expiry)
    bench.bed.cluster.create(token_secret(SPEC, plan.token.secret, token, "ABC234"))
    assert bench.deployer.execute(action_for(plan), RecordingRun()).state is State.SUCCEEDED
    assert len(bench.mint.asked) == 1


def test_a_secret_of_somebody_else_is_not_used(bench: Bench) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "edge-1-token-abc234", "namespace": "dev"},
    }
    bench.bed.cluster.create(secret)
    outcome = bench.deploy()
    assert outcome.state is State.FAILED
    assert "this action did not create" in outcome.happened
    assert "Nothing was changed" in outcome.meaning


def test_an_image_that_cannot_be_pulled_says_which_pods_and_that_the_old_ones_serve(
    bench: Bench,
) -> None:
    assert bench.deploy().state is State.SUCCEEDED
    bench.bed.nodes("image_pull_fails", True)
    run = RecordingRun()
    outcome = bench.deploy(hasty(tag="2.11.0"), "XYZ789", run)
    assert outcome.state is State.FAILED
    assert outcome.happened.startswith("The rollout did not finish: 0 of 2 pods ready")
    assert "ImagePullBackOff" in outcome.meaning or "ErrImagePull" in outcome.meaning
    assert "2 pods of the previous version still serve traffic." in outcome.meaning
    assert "registry" in outcome.remedy
    (bad,) = [pod for pod in run.states[-1]["pods"] if not pod["ready"]]
    assert bad["trouble"]
    assert bad["event"]


def test_a_rollout_whose_endpoint_is_unreachable_names_it_and_is_no_change_afterwards(
    bench: Bench,
) -> None:
    gone = "gone.contoso.example"
    listed = dataclasses.replace(INSTANCE, endpoints=(gone,))
    bench.planner = Planner(
        {"west": bench.bed.cluster}.__getitem__, list, instances={"contoso": listed}
    )
    bench.deployer = Deployer(
        bench.applier, replanning(bench.planner, bench.clusters), patience=1.0, margin=-27.0
    )
    wanted = hasty(apim=dataclasses.replace(SPEC.apim, configuration_endpoint=gone))
    outcome = bench.deploy(wanted)
    assert outcome.state is State.FAILED
    told = f"The pods fetch their configuration from {gone}, set by ConfigMap edge-1-env."
    assert told in outcome.meaning
    plan = bench.planner.plan(wanted, "XYZ789")
    assert plan.empty
    (why,) = plan.unsettled
    assert "0 of 2 pods are available" in why.what
    assert told in why.fix
    assert "No change" not in no_change(plan).text


def test_a_rollout_whose_pods_get_an_older_endpoint_names_that_one(bench: Bench) -> None:
    assert bench.deploy().state is State.SUCCEEDED
    v1 = "https://contoso.management.azure-api.net/subscriptions/s/gateways/edge-1"
    container = {"name": "edge-1", "env": [{"name": "config.service.endpoint", "value": v1}]}
    path = "/apis/apps/v1/namespaces/dev/deployments/edge-1?fieldManager=kubectl"
    body = {"spec": {"template": {"spec": {"containers": [container]}}}}
    patched = "application/strategic-merge-patch+json"
    bench.bed.running.request("PATCH", path, body, content_type=patched)
    outcome = bench.deploy(hasty(log_level="warn"), "XYZ789")
    assert outcome.state is State.FAILED
    told = (
        f"The pods fetch their configuration from {v1}, set by a variable of the Deployment, "
        f"instead of {HOST} as in the spec. Microsoft retired that service on 2023-10-01."
    )
    assert told in outcome.meaning
    plan = bench.planner.plan(hasty(log_level="warn"), "XYZ790")
    assert plan.empty
    assert {finding.rule for finding in plan.unsettled} == {SETTINGS_ELSEWHERE, UNFINISHED}
    assert "No change" not in no_change(plan).text
    back = bench.planner.plan(hasty(log_level="warn"), "XYZ790", take_over=True)
    assert not back.empty, "taken over, the pods get what the spec says"


def test_a_crash_loop_shows_the_last_lines_of_the_crashed_run(bench: Bench) -> None:
    bench.bed.nodes("crash_loop", "all")
    run = RecordingRun()
    outcome = bench.deploy(hasty(), run=run)
    assert outcome.state is State.FAILED
    assert "Nothing serves traffic yet: this is its first version." in outcome.meaning
    logs = [pod["log"] for pod in run.states[-1]["pods"]]
    assert any("Unhandled exception" in log for log in logs)


def test_azure_away_before_anything_was_changed_says_so(bench: Bench) -> None:
    bench.mint.failing = True
    outcome = bench.deploy()
    assert outcome.state is State.FAILED
    assert outcome.happened == "Azure does not answer."
    assert outcome.meaning == "Nothing was changed."
    assert bench.bed.cluster.list("Deployment", "dev") == []


def test_a_cluster_away_before_anything_was_changed_says_so(bench: Bench) -> None:
    plan = bench.planner.plan(SPEC, "ABC234")
    bench.bed.api("api_down", True)
    outcome = bench.deployer.execute(action_for(plan), RecordingRun())
    assert outcome.state is State.FAILED
    assert "Cluster “west” does not answer" in outcome.happened
    assert outcome.meaning == "Nothing was changed."


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        ("deploy", "Deploy again once that is settled."),
        ("rollback", "Roll it back again once that is settled."),
        ("adopt", "Adopt it again once that is settled."),
        ("scale", "Scale it again once that is settled."),
        ("restart", "Restart it again once that is settled."),
    ],
)
def test_what_did_not_work_is_to_be_asked_for_again_by_its_own_verb(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str, remedy: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise InvalidInput("Azure does not take that.")

    plan = bench.planner.plan(SPEC, "ABC234")
    assert bench.deploy().state is State.SUCCEEDED
    monkeypatch.setattr(bench.planner, "plan", refuse)
    requests = {
        "scale": ScaleRequest(REF, 3),
        "restart": RestartRequest(REF, "2026-11-25"),
        "rollback": RollbackRequest(SPEC, revision=1),
    }
    request = requests.get(kind, DeployRequest(SPEC))
    table = workings(planner=bench.planner, clusters=bench.clusters, applier=bench.applier)
    asked = action_for(plan, "ABC235", kind=kind, request=request)
    assert table[kind].executor.execute(asked, RecordingRun()).remedy == remedy


def test_writes_that_are_forbidden_end_with_that(bench: Bench) -> None:
    plan = bench.planner.plan(SPEC, "ABC234")
    bench.bed.api("forbid_writes", True)
    outcome = bench.deployer.execute(action_for(plan), RecordingRun())
    assert outcome.state is State.FAILED
    assert "not allowed" in outcome.happened or "refused" in outcome.happened


def test_an_outage_during_the_rollout_is_outlasted(bench: Bench) -> None:
    bench.bed.nodes("not_ready", True)
    run = RecordingRun()
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(bench.deploy(run=run)))
    thread.start()
    until(lambda: len(run.states) > 0, "what is waited for")
    bench.bed.api("api_down", True)
    bench.bed.end_watches()
    until(lambda: run.states[-1]["stale_since"] is not None, "what is waited for")
    bench.bed.api("api_down", False)
    bench.bed.nodes("not_ready", False)
    thread.join(60)
    assert outcomes[0].state is State.SUCCEEDED
    assert run.states[-1]["stale_since"] is None


def test_a_run_that_is_lost_stops_at_once(bench: Bench) -> None:
    bench.bed.nodes("slow_start_seconds", 100_000)
    run = RecordingRun()
    lost: list[BaseException] = []

    def work() -> None:
        try:
            bench.deploy(run=run)
        except RunLost as error:
            lost.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: "follow" in run.steps, "what is waited for")
    run.lost.set()
    thread.join(60)
    assert not thread.is_alive()
    assert lost


@pytest.mark.parametrize(
    ("kind", "namespace", "name", "happened"),
    [
        (
            "Deployment",
            "dev",
            "edge-1",
            r"The Deployment “edge-1” is gone from west/dev\.",
        ),
        (
            "Namespace",
            None,
            "dev",
            r"Namespace “dev” on cluster “west” is being deleted\.|There is no namespace “dev”.*",
        ),
    ],
)
def test_a_deployment_deleted_meanwhile_is_said_and_whether_its_namespace_goes(
    bench: Bench, kind: str, namespace: str | None, name: str, happened: str
) -> None:
    bench.bed.nodes("slow_start_seconds", 100_000)
    run = RecordingRun()
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(bench.deploy(run=run)))
    thread.start()
    until(lambda: len(run.states) > 0, "what is waited for")
    bench.bed.cluster.delete(kind, namespace, name)
    thread.join(60)
    assert outcomes[0].state is State.FAILED
    assert re.fullmatch(happened, outcomes[0].happened)


def test_a_gateway_that_signs_in_to_entra_is_rolled_out_without_a_token(bench: Bench) -> None:
    identity = Auth("workloadIdentity", client_id=GUID, tenant_id=GUID)
    plan = bench.planner.plan(hasty(auth=identity), "ABC234")
    run = RecordingRun()
    bench.deployer.execute(action_for(plan), run)
    assert "token" not in run.steps
    assert bench.mint.asked == []
    assert bench.bed.cluster.get("ServiceAccount", REF.namespace, REF.name) is not None


@pytest.mark.parametrize("shown", [True, False])
def test_what_the_api_server_warns_of_and_no_plan_showed_is_said_at_the_end(
    bench: Bench, tmp_path: Path, shown: bool
) -> None:
    label = ("beta.kubernetes.io/os", "linux")
    Kubectl(bench.bed.running.kubeconfig(), tmp_path)("label", "nodes", "--all", "=".join(label))
    spec = dataclasses.replace(SPEC, placement=Placement(node_selector=(label,)))
    plan = bench.planner.plan(spec, "ABC234")
    run = RecordingRun()
    action = action_for(plan if shown else dataclasses.replace(plan, warnings=()))
    outcome = bench.deployer.execute(action, run)
    assert outcome.state is State.SUCCEEDED
    assert outcome.meaning.startswith("Kubernetes warns: spec.template.spec") != shown
    assert ("warned" in run.steps) != shown
