"""Tokens rotated on a cluster whose gateways really ask an Azure with them."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.actions.action import Action, State, Step
from deploy.observed.causes import Cause
from deploy.retry import RunLost
from deploy.rollouts.applying import Applier
from deploy.rollouts.minting import Minter
from deploy.rollouts.verification import Observing
from deploy.specs.options import Autoscaling, Backup, Rollout
from deploy.tokens.rotation import Rotation
from deploy.tokens.token import EXPIRES_AT
from tests.support.custody import LocalCustody
from tests.support.gateway_bed import RecordingRun
from tests.support.rotation_bed import MARGIN, RotationBed, rotation_bed, spec_of
from tests.support.traffic import traffic
from tests.support.waiting import until

SERVICE = "edge-1-live-traffic"


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RotationBed]:
    with rotation_bed(tmp_path_factory.mktemp("rotation")) as ready:
        yield ready


@pytest.fixture(autouse=True)
def mended(bed: RotationBed) -> Iterator[None]:
    yield
    bed.mint_right()
    bed.nodes("slow_start_seconds", 0)


class Killed(RecordingRun):
    """A run that is over as soon as it has recorded a step."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.details: list[Step] = []
        self._at = at

    def step(self, name: str, detail: str = "") -> None:
        """Record a step."""
        super().step(name, detail)
        self.details.append(Step(name, 0.0, detail))
        if name == self._at:
            self.lost.set()


def test_a_rotation_takes_the_other_key_and_tells_what_shows_that_azure_takes_it(
    bed: RotationBed,
) -> None:
    before = bed.in_use()
    assert before.key == "primary"
    run = RecordingRun()
    outcome = bed.rotate(run=run)
    assert outcome.state is State.SUCCEEDED, outcome
    after = bed.in_use()
    assert after.key == "secondary"
    assert bed.azure.poll(bed.token(after.name)).status_code == 200
    assert outcome.happened.startswith("2 of 2 pods run with the new token after ")
    assert (
        "There is no sign that Azure refuses it: 2 of 2 pods: ready, its status path answers"
    ) in outcome.meaning
    assert "Made with the secondary key; it expires 20" in outcome.meaning
    assert bed.secrets() == {before.name, after.name}, "the way back is kept"
    assert run.steps == ["plan", "token", "apply", "follow", "verify", "collect"]
    signature = bed.token(after.name).rpartition("&")[2]
    told = json.dumps([run.states, run.steps, dataclasses.asdict(outcome)])
    assert signature not in told


def test_older_secrets_are_deleted_once_the_new_token_is_verified(bed: RotationBed) -> None:
    before = bed.in_use()
    outcome = bed.rotate(Rotation("primary"))
    assert outcome.state is State.SUCCEEDED, outcome
    after = bed.in_use()
    assert after.key == "primary"
    assert bed.secrets() == {before.name, after.name}
    assert "1 older Secret was deleted." in outcome.meaning


def test_a_deployment_deletes_token_secrets_that_nothing_needs(bed: RotationBed) -> None:
    before = bed.secrets()
    live = bed.cluster.get("Secret", "dev", bed.in_use().name)
    assert live is not None
    kept = {key: live["metadata"][key] for key in ("labels", "annotations", "namespace")}
    old = {**live, "metadata": {**kept, "name": "edge-1-token-old"}}
    bed.cluster.create(old)
    assert bed.deploy(dataclasses.replace(bed.spec, log_level="warn")).state is State.SUCCEEDED
    assert bed.secrets() == before


def test_a_token_that_azure_refuses_is_taken_back_and_no_request_is_dropped(
    bed: RotationBed,
) -> None:
    before, pods, secrets = bed.in_use(), bed.pods(), bed.secrets()
    bed.mint_elsewhere()
    run = RecordingRun()
    with traffic(bed.kubeconfig, bed.context, "dev", SERVICE) as told:
        outcome = bed.rotate(run=run)
    assert outcome.state is State.FAILED
    assert outcome.happened.startswith("The previous token is in use again: Azure refuses")
    assert "StatusCode: Forbidden" in outcome.happened
    assert f"2 of 2 pods are ready with Secret {before.name}" in outcome.meaning
    assert "was deleted" in outcome.meaning
    assert "another API Management instance" in outcome.remedy
    assert bed.in_use() == before
    assert bed.pods() == pods, "not one pod of before was replaced"
    assert bed.secrets() == secrets
    assert run.steps == ["plan", "token", "apply", "follow", Cause.TOKEN_REFUSED]
    assert told.dropped == []
    assert told.answered == told.sent > 0


def test_a_rollout_that_is_stuck_is_taken_back_and_the_old_pods_never_stop(
    bed: RotationBed,
) -> None:
    before, pods, secrets = bed.in_use(), bed.pods(), bed.secrets()
    bed.nodes("slow_start_seconds", 3600)
    outcome = bed.rotate()
    assert outcome.state is State.FAILED
    assert "Only 0 of 2 pods became ready with the new token" in outcome.happened
    assert (bed.in_use(), bed.pods(), bed.secrets()) == (before, pods, secrets)


@pytest.mark.parametrize("at", ["plan", "token", "apply", "follow", "verify", "collect"])
def test_a_rotation_that_was_killed_is_ended_by_another_bot(bed: RotationBed, at: str) -> None:
    before, action = bed.in_use(), bed.decided()
    resumed = killed(bed, action, at)
    outcome = bed.rotator.execute(resumed, RecordingRun())
    assert outcome.state is State.SUCCEEDED, outcome
    after = bed.in_use()
    assert after.name != before.name
    assert bed.secrets() == {before.name, after.name}
    assert outcome.meaning.count(before.name) == 1


@pytest.mark.parametrize("at", ["follow", Cause.TOKEN_REFUSED])
def test_going_back_that_was_killed_is_ended_by_another_bot(bed: RotationBed, at: str) -> None:
    before, secrets = bed.in_use(), bed.secrets()
    bed.mint_elsewhere()
    resumed = killed(bed, bed.decided(), at)
    bed.mint_right()
    outcome = bed.rotator.execute(resumed, RecordingRun())
    assert outcome.state is State.FAILED
    assert "Azure refuses the new token" in outcome.happened
    assert "another API Management instance" in outcome.remedy
    assert (bed.in_use(), bed.secrets()) == (before, secrets)


def left_going_back(action: Action) -> Action:
    """The action after a run that noted why to go back, and died."""
    names = ("token", "apply", "follow", Cause.OTHER.value)
    return dataclasses.replace(action, steps=tuple(Step(name, 1.0, "late") for name in names))


def test_going_back_is_not_continued_once_every_pod_has_the_new_token(bed: RotationBed) -> None:
    before, action = bed.in_use(), bed.decided()
    assert bed.rotator.execute(action, RecordingRun()).state is State.SUCCEEDED
    after = bed.in_use()
    outcome = bed.rotator.execute(left_going_back(action), RecordingRun())
    assert outcome.state is State.SUCCEEDED, outcome
    assert bed.in_use() == after != before


def killed(bed: RotationBed, action: Action, at: str) -> Action:
    """The action after a run of it that was killed at that step."""
    run = Killed(at)
    with pytest.raises(RunLost):
        bed.rotator.execute(action, run)
    return dataclasses.replace(action, steps=tuple(run.details))


def test_a_poll_that_succeeds_proves_it_where_the_log_level_shows_one(tmp_path: Path) -> None:
    with rotation_bed(tmp_path, spec_of(log_level="debug", replicas=1)) as bed:
        outcome = bed.rotate()
        assert outcome.state is State.SUCCEEDED
        assert "Azure accepts it: last successful configuration poll" in outcome.meaning


def test_pods_that_get_ready_on_a_backup_are_found_out_and_taken_back(tmp_path: Path) -> None:
    with rotation_bed(
        tmp_path, spec_of(backup=Backup(size="50Mi", storage_class="azurefile-csi"))
    ) as bed:
        before = bed.in_use()
        bed.mint_elsewhere()
        # A pod is ready before it has asked Azure, and silence must not count until it has.
        applier = Applier({"west": bed.cluster}, Minter(bed.arm, bed.instances, LocalCustody()))
        observing = Observing(quiet=60.0, patience=60.0, look=0.2)
        rotator = bed.rotating(applier, observing=observing, patience=1.0, margin=MARGIN)
        with traffic(bed.kubeconfig, bed.context, "dev", SERVICE) as told:
            outcome = rotator.execute(bed.decided(), RecordingRun())
        assert outcome.state is State.FAILED
        assert "Azure refuses the new token" in outcome.happened
        assert bed.in_use() == before
        assert told.dropped == []


def test_the_way_back_is_kept_where_no_revision_tells_of_it(tmp_path: Path) -> None:
    bare = spec_of(replicas=1, rollout=Rollout(progress_deadline=30, history_limit=0))
    with rotation_bed(tmp_path, bare) as bed:
        before = bed.in_use()
        assert bed.rotate().state is State.SUCCEEDED
        assert bed.secrets() == {before.name, bed.in_use().name}


def test_a_gateway_without_pods_gets_its_token_and_nothing_is_claimed(tmp_path: Path) -> None:
    scaled = spec_of(replicas=3, autoscaling=Autoscaling(least=1, most=3))
    with rotation_bed(tmp_path, scaled) as bed:
        before = bed.in_use()
        nobody = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "edge-1", "namespace": "dev"},
            "spec": {"replicas": 0},
        }
        bed.cluster.apply(nobody, manager="kubectl", force=True)
        until(lambda: not bed.pods(), "no pods")
        outcome = bed.rotate()
        assert outcome.state is State.SUCCEEDED
        assert "no pod is running to use it" in outcome.happened
        assert bed.secrets() == {before.name, bed.in_use().name}


def test_a_rollout_that_is_stuck_does_not_go_back_to_a_token_that_has_expired(
    tmp_path: Path,
) -> None:
    with rotation_bed(tmp_path) as bed:
        before = bed.in_use()
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": before.name,
                "namespace": "dev",
                "annotations": {EXPIRES_AT: "2020-01-01T00:00:00Z"},
            },
        }
        bed.cluster.apply(secret, manager="kubectl", force=True)
        bed.nodes("slow_start_seconds", 3600)
        outcome = bed.rotate()
        assert outcome.state is State.FAILED
        assert "Only 0 of 2 pods became ready with the new token" in outcome.happened
        assert "expired 2020-01-01 00:00 UTC, so nothing was rolled back" in outcome.happened
        assert bed.in_use().name != before.name
        assert bed.secrets() == {before.name, bed.in_use().name}
