"""Pods that somebody adds while a gateway is changed stay, whoever counts them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.actions.action import State
from deploy.kube.cluster import FIELD_MANAGER
from deploy.plans.requests import ScaleRequest
from tests.cluster.adoption_bed import counters
from tests.cluster.conftest import Target
from tests.cluster.counting import CHANGES, sampled, scale
from tests.cluster.rollout_bed import Bed, rollout_bed
from tests.support.gateway_bed import RecordingRun

pytestmark = pytest.mark.usefixtures("needs_controllers")
MOMENTS = [
    *((what, "apply") for what in CHANGES),
    *((what, at) for what in ("deployed", "rotated") for at in ("plan", "follow")),
]
"""Each change at the moment that matters most; the others with the two that are carried out unlike."""


@pytest.fixture
def bed(target: Target, ns: str, tmp_path: Path) -> Iterator[Bed]:
    with rollout_bed(target, ns, tmp_path) as ready:
        assert ready.deploy(ready.spec(replicas=2)).state is State.SUCCEEDED
        yield ready


class Scales(RecordingRun):
    """At that step of the run somebody writes `scale`."""

    def __init__(self, bed: Bed, at: str) -> None:
        super().__init__()
        self._bed, self._at = bed, at

    def step(self, name: str, detail: str = "") -> None:
        super().step(name, detail)
        if name == self._at:
            scale(self._bed, 6)


@pytest.mark.parametrize(("what", "at"), MOMENTS)
def test_pods_that_are_added_while_it_is_changed_stay(bed: Bed, what: str, at: str) -> None:
    kind, asked, changes = CHANGES[what]
    with sampled(bed, bed.path) as seen:
        outcome = bed.change(kind, asked(bed), "ABC235", Scales(bed, at), **changes)
    assert outcome.state is State.SUCCEEDED, outcome
    assert set(seen) <= {2, 6}
    assert seen == sorted(seen), "they never fall"
    live = bed.target.api.get(bed.path)
    assert (live["spec"]["replicas"], counters(live)) == (6, {"autoscaler"})
    assert bed.look() == ""
    for number, (again, request, _) in enumerate(CHANGES.values()):
        plan = bed.plan(again, request(bed), f"XYZ23{number}")
        assert plan.digest
        assert plan.conflicts == ()


def test_a_number_that_somebody_asks_for_is_set_whoever_has_set_the_last_one(bed: Bed) -> None:
    scale(bed, 6)
    outcome = bed.change("scale", ScaleRequest(bed.spec().ref, 3), "ABC235")
    assert outcome.state is State.SUCCEEDED, outcome
    live = bed.target.api.get(bed.path)
    assert (live["spec"]["replicas"], counters(live)) == (3, {FIELD_MANAGER})
