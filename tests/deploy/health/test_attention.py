"""What somebody should look at first, from a gateway's own objects."""

from typing import Any

import pytest

from deploy.health.attention import Sign, attention

_DEPLOYMENT = {
    "kind": "Deployment",
    "metadata": {"name": "edge-1", "annotations": {"deployment.kubernetes.io/revision": "2"}},
    "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "edge-1"}]}}},
    "status": {"readyReplicas": 2},
}
_READY = {"type": "Ready", "status": "True"}


def pod(name: str, **status: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "edge-1"}]},
        "status": {"phase": "Running", "conditions": [_READY], **status},
    }


def waiting(name: str, reason: str, message: str) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    statuses = [{"name": "edge-1", "ready": False, "restartCount": 0, "state": state}]
    return pod(name, phase="Pending", conditions=[], containerStatuses=statuses)


def found(*pods: dict[str, Any]) -> dict[Sign, str]:
    return {each.sign: each.text for each in attention(_DEPLOYMENT, pods, None, "edge-1", 0.0)}


def test_a_pod_that_cannot_pull_its_image_beside_healthy_ones_is_named_with_the_cause() -> None:
    stuck = waiting("c", "ImagePullBackOff", "Back-off pulling image 2.99.0")
    told = found(pod("a"), pod("b"), stuck)
    assert list(told) == [Sign.NOT_RUNNING]
    assert told[Sign.NOT_RUNNING].startswith("1 of 3 pods not running: ImagePullBackOff")
    assert "Back-off pulling image 2.99.0" in told[Sign.NOT_RUNNING]


def test_of_several_causes_that_of_most_pods_is_named() -> None:
    one = waiting("a", "ErrImagePull", "no such host")
    others = [waiting(name, "InvalidImageName", "no name") for name in ("b", "c")]
    told = found(one, *others)[Sign.NOT_RUNNING]
    assert told.startswith("3 of 3 pods not running: InvalidImageName")


def test_a_pod_that_is_only_being_deleted_is_neither_stuck_nor_one_of_those_that_should_run() -> (
    None
):
    stuck, leaving = (waiting(name, "ImagePullBackOff", "no such image") for name in ("c", "d"))
    leaving["metadata"]["deletionTimestamp"] = "2026-11-30T12:00:00Z"
    told = found(pod("a"), stuck, leaving)
    assert told[Sign.NOT_RUNNING].startswith("1 of 2 pods not running: ImagePullBackOff")
    assert found(pod("a"), pod("b"), leaving) == {}


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing", "CrashLoopBackOff"])
def test_a_pod_that_starts_or_crashes_is_not_said_to_be_stuck(reason: str) -> None:
    told = found(pod("a"), pod("b"), waiting("c", reason, "x"))
    assert Sign.NOT_RUNNING not in told
    assert (Sign.CRASHING in told) == (reason == "CrashLoopBackOff")
