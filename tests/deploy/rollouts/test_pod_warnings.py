"""What events say of pods whose fields tell nothing: the newest one, and only where it has a known cause."""

from types import SimpleNamespace
from typing import Any

import pytest

from deploy.errors import Unavailable
from deploy.kube.cluster import Cluster
from deploy.observed.causes import Cause
from deploy.observed.pods import PodProgress
from deploy.observed.progress import Progress
from deploy.rollouts.pod_warnings import warned_of
from tests.support.actions import REF

MULTI = "Multi-Attach error for volume pvc-1"
COMING = PodProgress("edge-1-a", "ContainerCreating", ready=False)


def event(kind: str, reason: str, message: str, at: str = "2026-01-01T00:00:05Z") -> dict[str, Any]:
    return {"type": kind, "reason": reason, "message": message, "lastTimestamp": at}


def asked(*events: dict[str, Any], pods: tuple[PodProgress, ...] = (COMING,)) -> Any:
    def listed(kind: str, namespace: str, *, field_selector: str) -> Any:
        assert (kind, namespace) == ("Event", REF.namespace)
        assert field_selector.endswith("involvedObject.name=edge-1-a")
        return events

    return warned(listed, pods)


def warned(listed: Any, pods: tuple[PodProgress, ...] = (COMING,)) -> Any:
    def begin(call: Any) -> Any:
        return SimpleNamespace(result=lambda seconds: call())

    cluster: Cluster = SimpleNamespace(name="west", begin=begin, list=listed)  # type: ignore[assignment]
    return warned_of(cluster, REF, Progress(1, 1, 0, 0, 0, False, False, pods=pods))


def test_a_volume_that_is_attached_elsewhere_is_told_by_an_event_alone() -> None:
    found = asked(event("Warning", "FailedAttachVolume", MULTI))
    assert found == {f"FailedAttachVolume: {MULTI}": Cause.ATTACHED}


@pytest.mark.parametrize("at", ["2026-01-01T00:00:05Z", "2026-01-01T00:00:06Z"])
def test_what_something_has_followed_since_is_over(at: str) -> None:
    pulling = event("Normal", "Pulling", "Pulling image", at)
    assert asked(event("Warning", "FailedAttachVolume", MULTI), pulling) == {}


def test_a_warning_that_comes_again_and_again_is_the_newest() -> None:
    again = event("Warning", "FailedAttachVolume", MULTI, "2026-01-01T00:00:01Z")
    again["series"] = {"lastObservedTime": "2026-01-01T00:00:09.123456Z"}
    assert asked(again, event("Normal", "Scheduled", "to n1"))


def test_what_the_scheduler_said_before_the_pod_had_a_node_is_no_cause() -> None:
    late = event("Warning", "FailedScheduling", "Insufficient cpu", "2026-01-01T00:00:09Z")
    assert asked(late) == {}
    assert asked(late, event("Warning", "FailedAttachVolume", MULTI))


def test_an_event_without_a_known_cause_is_no_reason_to_call_anything_stuck() -> None:
    assert asked(event("Warning", "Unhealthy", "Startup probe failed: 503")) == {}
    assert asked() == {}


@pytest.mark.parametrize(
    "pod",
    [
        PodProgress("edge-1-a", "Running", ready=True),
        PodProgress("edge-1-a", "Terminating", ready=False),
        PodProgress("edge-1-a", "Pending", ready=False, updated=False),
        PodProgress("edge-1-a", "ErrImagePull", ready=False, trouble="ErrImagePull: no."),
    ],
)
def test_nobody_is_asked_about_pods_that_need_no_explanation(pod: PodProgress) -> None:
    def listed(*_: Any, **__: Any) -> Any:
        raise AssertionError("it was asked")

    assert warned(listed, (pod,)) == {}


def test_a_cluster_that_does_not_answer_explains_nothing() -> None:
    def listed(*_: Any, **__: Any) -> Any:
        raise Unavailable("It does not answer.")

    assert warned(listed) == {}
