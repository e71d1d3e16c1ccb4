"""The pod status that containers add up to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.node.podstatus import ContainerRecord, PodFacts, build, qos_class

Json = dict[str, Any]
FACTS = PodFacts("127.0.0.1", "2026-01-01T00:00:00Z", "127.1.2.3", True)
RUNNING: Json = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
WAITING: Json = {"waiting": {"reason": "ContainerCreating"}}


def ended(code: int) -> Json:
    return {"terminated": {"exitCode": code, "reason": "Completed"}}


def pod(policy: str = "Always", **metadata: Any) -> Json:
    spec = {"containers": [{"name": "a"}], "restartPolicy": policy}
    return {"metadata": {"name": "p", **metadata}, "spec": spec}


def condition(status: Json, kind: str) -> Json:
    found: Json = next(c for c in status["conditions"] if c["type"] == kind)
    return found


@given(st.lists(st.booleans(), min_size=1, max_size=4))
def test_a_pod_is_ready_when_all_its_containers_are(ready: list[bool]) -> None:
    records = [
        ContainerRecord(f"c{n}", "image", state=RUNNING, ready=is_ready)
        for n, is_ready in enumerate(ready)
    ]
    status = build(pod(), FACTS, records, [], "now")
    for kind in ("Ready", "ContainersReady"):
        assert (condition(status, kind)["status"] == "True") == all(ready)


@pytest.mark.parametrize(
    ("policy", "state", "phase"),
    [
        ("Always", WAITING, "Pending"),
        ("Always", RUNNING, "Running"),
        ("Always", ended(1), "Running"),
        ("OnFailure", ended(0), "Succeeded"),
        ("OnFailure", ended(1), "Running"),
        ("Never", ended(1), "Failed"),
    ],
)
def test_the_phase_follows_state_and_restart_policy(policy: str, state: Json, phase: str) -> None:
    record = ContainerRecord("a", "image", state=state)
    assert build(pod(policy), FACTS, [record], [], "now")["phase"] == phase


def test_a_deleted_pod_ends_as_its_containers_did() -> None:
    for code, phase in ((0, "Succeeded"), (137, "Failed")):
        record = ContainerRecord("a", "image", state=ended(code))
        status = build(pod(deletionTimestamp="now"), FACTS, [record], [], "now")
        assert status["phase"] == phase


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_is_over_stays_so_whatever_its_containers_do(phase: str) -> None:
    record = ContainerRecord("a", "image", state=RUNNING, ready=False)
    over = {**pod(), "status": {"phase": phase, "reason": "Evicted"}}
    assert build(over, FACTS, [record], [], "now")["phase"] == phase


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    record = ContainerRecord("a", "image", state=RUNNING, ready=True)
    first = build(pod(), FACTS, [record], [], "first")
    unready = ContainerRecord("a", "image", state=RUNNING, ready=False)
    second = build({**pod(), "status": first}, FACTS, [unready], [], "second")
    assert condition(second, "Initialized")["lastTransitionTime"] == "first"
    ready = condition(second, "Ready")
    assert (ready["lastTransitionTime"], ready["reason"]) == ("second", "ContainersNotReady")
    assert ready["message"] == "containers with unready status: [a]"


def test_a_readiness_gate_holds_back_ready_only() -> None:
    gated = pod()
    gated["spec"]["readinessGates"] = [{"conditionType": "example.com/gate"}]
    record = ContainerRecord("a", "image", state=RUNNING, ready=True)
    status = build(gated, FACTS, [record], [], "now")
    assert condition(status, "Ready")["reason"] == "ReadinessGatesNotReady"
    assert condition(status, "ContainersReady")["status"] == "True"


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}}, "Burstable"),
    ],
)
def test_quality_of_service_follows_requests_and_limits(resources: Json, quality: str) -> None:
    spec = {"containers": [{"name": "a", "resources": resources}]}
    assert qos_class({"metadata": {}, "spec": spec}) == quality
