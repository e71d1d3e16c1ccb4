"""A rotation that waiting does not bring on is taken back at once; one that it does is waited for.

On the sandbox's cluster and on a real control plane; `make test-cluster` runs it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.actions.action import State
from deploy.observed.causes import Cause, meaning_of
from deploy.observed.pods import token_secret_of
from deploy.plans.requests import RotateRequest
from deploy.specs.options import Rollout
from deploy.tokens.rotation import Rotation
from tests.cluster.conftest import Target
from tests.cluster.rollout_bed import ADMISSION, Bed, rollout_bed
from tests.cluster.test_lies_of_causes import (
    asked_for,
    limit_range,
    policy,
    quota,
    security_constraints,
    webhook_down,
)
from tests.support.gateway_bed import RecordingRun
from tests.support.waiting import until

__all__ = ["asked_for"]
pytestmark = [
    pytest.mark.usefixtures("needs_controllers", "asked_for"),
    pytest.mark.timeout(900),
]
DEADLINE = 1800
"""Of the rollout, in seconds: no test waits for it."""
SURELY = 300.0


class Struck(RecordingRun):
    """A run in which something happens right before the rollout begins, and once its progress says
    `words`."""

    def __init__(
        self,
        bed: Bed,
        strike: Callable[[Bed], None],
        words: str = "",
        then: Callable[[Bed], None] = lambda bed: None,
    ) -> None:
        super().__init__()
        self._bed, self._strike, self._words, self._then = bed, strike, words, then
        self.seen = False

    def step(self, name: str, detail: str = "") -> None:
        """Record a step."""
        super().step(name, detail)
        if name == "apply":
            self._strike(self._bed)

    def progress(self, state: Mapping[str, Any]) -> None:
        """Record progress."""
        super().progress(state)
        if not self.seen and self._words and self._words in " ".join(state["trouble"]):
            self.seen = True
            self._then(self._bed)


@pytest.fixture
def bed(target: Target, ns: str, tmp_path: Path) -> Iterator[Bed]:
    """A gateway of two pods, which are replaced one after the other."""
    with rollout_bed(target, ns, tmp_path) as made:
        rollout = Rollout(progress_deadline=DEADLINE, max_surge="1", termination_grace=240)
        outcome = made.deploy(made.spec(replicas=2, rollout=rollout))
        assert outcome.state is State.SUCCEEDED, outcome
        yield made


def secret_of(bed: Bed) -> str:
    found = token_secret_of(bed.target.api.get(bed.path)["spec"]["template"]["spec"])
    assert found is not None
    return found[0]


def pods_of(bed: Bed) -> set[str]:
    items = bed.target.api.get(f"/api/v1/namespaces/{bed.ns}/pods")["items"]
    return {i["metadata"]["name"] for i in items if not i["metadata"].get("deletionTimestamp")}


def secret_deleted(bed: Bed) -> None:
    """The Secret of the new token, before a pod reads it."""
    bed.target.api.delete(f"/api/v1/namespaces/{bed.ns}/secrets/edge-1-token-abc235")


def delete_quota(bed: Bed) -> None:
    bed.target.api.delete(f"/api/v1/namespaces/{bed.ns}/resourcequotas/q")


def mend_webhook(bed: Bed) -> None:
    bed.target.api.delete(f"{ADMISSION}/validatingwebhookconfigurations/down-{bed.ns}")


def rotate(bed: Bed, run: RecordingRun) -> Any:
    return bed.change("rotate", RotateRequest(bed.spec().ref, Rotation()), "ABC235", run)


@pytest.mark.parametrize(
    ("cause", "strike", "in_sandbox"),
    [
        (Cause.QUOTA, quota(pods="2"), True),
        (Cause.MISSING_OBJECT, secret_deleted, True),
        (Cause.POLICY, policy, False),
        (Cause.SECURITY_CONSTRAINT, security_constraints, False),
        (Cause.LIMIT_RANGE, limit_range, False),
        (Cause.WEBHOOK_DOWN, webhook_down, False),
    ],
)
def test_a_rotation_that_waiting_does_not_heal_is_taken_back_at_once_and_says_why(
    bed: Bed, cause: Cause, strike: Callable[[Bed], None], in_sandbox: bool
) -> None:
    if bed.target.sandbox is not None and not in_sandbox:
        pytest.skip("the sandbox's cluster has no such admission")
    before, pods, began = secret_of(bed), pods_of(bed), time.monotonic()
    outcome = rotate(bed, Struck(bed, strike))
    assert time.monotonic() - began < SURELY, "long before the rollout's deadline"
    assert outcome.state is State.FAILED
    assert outcome.happened.startswith(
        "The previous token is in use again: Only 0 of 2 pods became ready with the new token. "
        + meaning_of(cause)
    ), outcome
    assert f"2 of 2 pods are ready with Secret {before}" in outcome.meaning
    assert (secret_of(bed), pods_of(bed)) == (before, pods), "not one pod was replaced"


@pytest.mark.parametrize(
    ("strike", "words", "then", "in_sandbox"),
    [
        (quota(pods="2"), "exceeded quota", delete_quota, True),
        (webhook_down, "failed calling webhook", mend_webhook, False),
    ],
    ids=["quota", "webhook"],
)
def test_a_rotation_whose_cause_somebody_mends_within_moments_goes_on(
    bed: Bed,
    strike: Callable[[Bed], None],
    words: str,
    then: Callable[[Bed], None],
    in_sandbox: bool,
) -> None:
    if bed.target.sandbox is not None and not in_sandbox:
        pytest.skip("the sandbox's cluster has no such admission")
    run = Struck(bed, strike, words, then)
    outcome = rotate(bed, run)
    assert run.seen
    assert outcome.state is State.SUCCEEDED, outcome


def test_a_rotation_whose_pods_make_room_for_each_other_goes_on_under_a_quota(bed: Bed) -> None:
    before = pods_of(bed)
    # Ten seconds on this node: controllers that lag find the room taken as well.
    sleep = {"lifecycle": {"preStop": {"sleep": {"seconds": 200}}}}
    template = {"spec": {"containers": [{"name": "edge-1", **sleep}]}}
    bed.patch({"spec": {"template": template}}, form="application/strategic-merge-patch+json")
    until(lambda: not before & pods_of(bed) and settled(bed), "pods that end slowly", 180)
    run = Struck(bed, quota(pods="3"), "exceeded quota")
    outcome = rotate(bed, run)
    assert run.seen, "pods that were ending left no room"
    assert outcome.state is State.SUCCEEDED, outcome


def settled(bed: Bed) -> bool:
    """Whether two pods are all there are."""
    items = bed.target.api.get(f"/api/v1/namespaces/{bed.ns}/pods")["items"]
    return len(items) == 2
