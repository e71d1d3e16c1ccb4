"""A webhook that sends images to a mirror: history, ways back and “is it mine” go by what was written."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.actions.action import State
from deploy.annotations import REWRITTEN_ANNOTATION
from deploy.observed.history import Revision, revisions
from deploy.observed.rewritten import is_image, rewriting
from deploy.plans.planning import Planner
from deploy.rendering.manifests import render
from deploy.rollouts.deployer import Deployer
from deploy.rollouts.reading_back import changed_since
from deploy.rollouts.rollout import IMAGES_MANAGER, note_rewriting
from deploy.specs.options import Rollout
from tests.deploy.rollouts.test_deployer import Bench
from tests.support.actions import replanning
from tests.support.gateway_bed import INSTANCE, REF, SPEC, RecordingRun, action_for, gateway_bed
from tests.support.kubectl import Kubectl
from tests.support.waiting import until

MIRRORED = "mirror.example/azure-api-management/gateway"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with gateway_bed(tmp_path) as bed:
        bed.api("image_mirror", True)
        made = Bench(bed)
        made.planner = Planner(
            made.clusters.__getitem__,
            list,
            instances={"contoso": INSTANCE},
            repositories=(SPEC.repository, MIRRORED),
        )
        replan = replanning(made.planner, made.clusters)
        made.deployer = Deployer(made.applier, replan, patience=1.0, margin=-22.0)
        yield made


def history(bench: Bench) -> list[Revision]:
    sets = bench.bed.cluster.list("ReplicaSet", REF.namespace)
    return list(revisions(bench.deployment(), sets))


def test_revisions_whose_image_was_rewritten_stay_the_bot_s_own(
    bench: Bench, tmp_path: Path
) -> None:
    assert bench.deploy(dataclasses.replace(SPEC, tag="2.10.1"), "ABC233").state is State.SUCCEEDED
    plan = bench.planner.plan(SPEC, "ABC234")
    assert not plan.denied, "the settings know the mirror"
    action = action_for(plan)
    assert bench.deployer.execute(action, RecordingRun()).state is State.SUCCEEDED
    newest, older = until(
        lambda: [r for r in history(bench) if r.spec is not None][1:] and history(bench), "both"
    )
    assert (newest.image, newest.action) == (f"{MIRRORED}:2.11.1", "ABC234")
    assert (older.image, older.action) == (f"{MIRRORED}:2.10.1", "ABC233")
    assert bench.planner.plan(SPEC, "ABC235").empty
    generation = bench.deployment()["metadata"]["generation"]
    # What the webhook makes of the same image may change, and nobody has changed the gateway then.
    bench.bed.api("image_mirror", False)
    cluster = bench.bed.cluster
    assert changed_since(cluster, plan.spec, plan.token.secret, action) is None
    assert bench.deployment()["metadata"]["generation"] == generation
    kubectl = Kubectl(bench.bed.running.kubeconfig(), tmp_path)
    kubectl("set", "image", "deployment/edge-1", f"edge-1={SPEC.repository}:2.9.2", "-n", "dev")
    newest = until(lambda: [r for r in history(bench) if r.number == 3], "its revision")[0]
    assert (newest.action, newest.spec) == ("", None)
    assert changed_since(cluster, plan.spec, plan.token.secret, action) is not None


def test_a_run_that_died_before_it_noted_what_was_made_of_the_image_is_completed(
    bench: Bench,
) -> None:
    action = action_for(bench.planner.plan(SPEC, "ABC234"))
    assert bench.deployer.execute(action, RecordingRun()).state is State.SUCCEEDED
    unnoted = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": REF.name, "namespace": REF.namespace},
    }
    bench.bed.cluster.apply(unnoted, manager=IMAGES_MANAGER)
    assert REWRITTEN_ANNOTATION not in bench.deployment()["metadata"]["annotations"]
    run = RecordingRun()
    assert bench.deployer.execute(action, run).state is State.SUCCEEDED
    assert run.steps == ["reconcile", "follow"]
    assert REWRITTEN_ANNOTATION in bench.deployment()["metadata"]["annotations"]


def test_a_deployment_that_is_gone_by_then_is_not_made_by_the_note(bench: Bench) -> None:
    (wanted,) = (o for o in render(SPEC, "x") if o["kind"] == "Deployment")
    admitted = bench.bed.cluster.apply(wanted, dry_run=True)
    note_rewriting(bench.bed.cluster, wanted, admitted)
    assert bench.bed.cluster.list("Deployment", REF.namespace) == []


def test_a_rollout_that_fails_goes_back_to_a_version_whose_image_was_rewritten(
    bench: Bench,
) -> None:
    assert bench.deploy(dataclasses.replace(SPEC, tag="2.10.1"), "ABC233").state is State.SUCCEEDED
    until(lambda: history(bench)[0].spec is not None, "the note")
    bench.bed.nodes("image_pull_fails", True)
    back = dataclasses.replace(SPEC, rollout=Rollout(progress_deadline=30, automatic_rollback=True))
    outcome = bench.deploy(back)
    assert outcome.happened == "The rollout did not finish, so 2.10.1 is back: 2 of 2 pods ready."


def test_where_nothing_rewrites_images_nothing_is_noted(bench: Bench) -> None:
    bench.bed.api("image_mirror", False)
    assert bench.deploy(SPEC).state is State.SUCCEEDED
    assert REWRITTEN_ANNOTATION not in bench.deployment()["metadata"]["annotations"]


def deployment(image: str, note: str = "") -> dict[str, object]:
    annotations = {REWRITTEN_ANNOTATION: note} if note else {}
    pod = {"containers": [{"name": "gw", "image": image}]}
    return {"metadata": {"annotations": annotations}, "spec": {"template": {"spec": pod}}}


@pytest.mark.parametrize(
    "made", [f"{MIRRORED}:2.11.1", f"{SPEC.image}@sha256:{'0' * 64}", f"x/y@sha256:{'1' * 64}"]
)
def test_mirror_and_digest_are_known_for_what_was_written_alone(made: str) -> None:
    note = rewriting(deployment(SPEC.image), deployment(made))
    assert json.loads(note) == {"written": SPEC.image, "admitted": made}
    noted = deployment(made, note)
    assert rewriting(deployment(SPEC.image), noted) == ""
    assert is_image(noted, SPEC.image, made)
    assert not is_image(noted, f"{SPEC.repository}:2.9.2", made)
    assert not is_image(noted, SPEC.image, f"{made}0")
    assert not is_image(deployment(made, "no JSON"), SPEC.image, made)
