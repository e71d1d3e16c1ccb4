"""Why a run goes back: told by Kubernetes' reasons, and found again in an action's steps."""

import pytest

from deploy.actions.action import Step
from deploy.observed.causes import Cause, cause_of
from deploy.observed.pods import PodProgress, pod_progress
from deploy.observed.progress import Progress
from deploy.rollouts.reasons import Reason, reason_of, recorded_reason
from deploy.rollouts.verdicts import came_back, unfinished
from tests.support.gateway_bed import SPEC

BACK = Progress(2, 2, 2, 2, 0, complete=True, failed=False)


def waiting(reason: str, message: str) -> PodProgress:
    state = {"waiting": {"reason": reason, "message": message}}
    status = {"phase": "Pending", "containerStatuses": [{"state": state}]}
    return pod_progress({"metadata": {"name": "p"}, "status": status})


def test_a_reason_is_read_from_its_field_and_not_from_the_words_beside_it() -> None:
    pod = waiting("CreateContainerConfigError", "Error: secret “OOMKilled” not found")
    failed = Progress(
        1,
        1,
        0,
        0,
        0,
        complete=False,
        failed=True,
        trouble=(pod.trouble,),
        causes=(cause_of(pod.reason, pod.trouble),),
    )
    assert reason_of(failed).cause is Cause.MISSING_OBJECT
    assert unfinished(SPEC, failed, 60.0).meaning.startswith("A Secret or ConfigMap that the pods")


def test_of_several_troubles_the_words_are_of_the_cause_that_is_named() -> None:
    failed = Progress(
        2,
        2,
        0,
        0,
        0,
        complete=False,
        failed=True,
        trouble=("Unschedulable: no node.", "FailedCreate: exceeded quota: q"),
        causes=(Cause.SCHEDULING, Cause.QUOTA),
    )
    found = reason_of(failed)
    assert found.cause is Cause.QUOTA
    assert found.text.startswith("FailedCreate: exceeded quota: q (1 more")


def test_a_volume_that_does_not_come_is_told_by_its_event() -> None:
    event = 'FailedAttachVolume: Multi-Attach error for volume "pvc-1" Volume is already used'
    pod = PodProgress("p", "ContainerCreating", False, event=event)
    found = reason_of(Progress(1, 1, 0, 0, 0, complete=False, failed=True, pods=(pod,)))
    assert (found.cause, found.text) == (Cause.ATTACHED, event)


@pytest.mark.parametrize("cause", list(Cause))
def test_the_cause_is_found_again_in_the_steps_of_a_run_that_died(cause: Cause) -> None:
    steps = [Step("follow", 0.0, "Following the rollout"), Step(str(cause), 1.0, "Why it went.")]
    assert recorded_reason(steps) == Reason(cause, "Why it went.")
    assert recorded_reason(steps[:1]) is None


def test_what_to_do_follows_the_cause_whatever_the_sentence_says() -> None:
    image = came_back(SPEC, BACK, Reason(Cause.IMAGE, "Something about OOMKilled pods."))
    assert "a tag that exists" in image.remedy
    old = came_back(SPEC, BACK, Reason(Cause("roll back"), "ErrImagePull: no such tag."))
    assert "kubectl describe" in old.remedy
