"""Where a rollback without a number goes, on revisions that Kubernetes itself has made.

On the sandbox's cluster and on a real control plane: `make test-cluster`.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.actions.action import State
from deploy.changes.kinds import ADOPT, RESTART, ROLLBACK, ROTATE, SCALE
from deploy.changes.rolling_back import rollback_request
from deploy.errors import Conflict, NotFound
from deploy.observed.history import asked_for, revisions
from deploy.observed.revision_differences import difference
from deploy.plans.requests import (
    DeployRequest,
    RestartRequest,
    RollbackRequest,
    RotateRequest,
    ScaleRequest,
)
from deploy.rendering.manifests import render, token_secret
from deploy.specs.options import Autoscaling
from deploy.tokens.rotation import Rotation
from deploy.tokens.token import Token
from tests.cluster.conftest import Target
from tests.cluster.rollout_bed import OTHER, Bed, rollout_bed
from tests.support.gateway_bed import INSTANCE, Mint
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("needs_controllers", "unhurried")


@pytest.fixture
def unhurried(request: pytest.FixtureRequest) -> None:
    """All of it takes minutes, so that `make test` leaves it out."""
    if request.config.getoption("--control-plane") != "required":
        pytest.skip("`make test-cluster` runs this")


@pytest.fixture
def bed(target: Target, ns: str, tmp_path: Path) -> Iterator[Bed]:
    with rollout_bed(target, ns, tmp_path) as made:
        yield made


def helm_token() -> Token:
    mint = Mint()
    return mint.generate_token(INSTANCE, "edge-1", "primary", mint.time(INSTANCE, "edge-1"))


def revision_of(bed: Bed, number: int | None = None) -> tuple[int, str]:
    """The revision that a rollback goes to, and its tag."""
    found = rollback_request(bed.cluster, bed.spec().ref, number)
    return found.revision, found.spec.tag


def deployed(bed: Bed, action: str, **changes: Any) -> None:
    assert bed.deploy(bed.spec(**changes), action).state is State.SUCCEEDED


def revised(bed: Bed, number: int) -> None:
    """Kubernetes' own controller numbers the revisions, a moment after each change."""

    def current() -> bool:
        live = bed.target.api.get(bed.path)
        known = revisions(live, bed.cluster.list("ReplicaSet", bed.ns))
        observed = live["status"].get("observedGeneration") == live["metadata"]["generation"]
        return observed and known[0].number == number and known[0].current

    until(current, f"revision {number}")


def test_after_restarts_and_a_rotation_it_goes_to_the_other_version_with_todays_pods_and_token(
    bed: Bed,
) -> None:
    ref = bed.spec().ref
    deployed(bed, "ABC231", tag="2.10.0")
    deployed(bed, "ABC232")
    assert bed.change(RESTART, RestartRequest(ref, "2026-12-01T00:00:00Z"), "ABC233").state is (
        State.SUCCEEDED
    )
    bed.kubectl("rollout", "restart", "deployment/edge-1")
    revised(bed, 4)
    assert bed.change(ROTATE, RotateRequest(ref, Rotation()), "ABC234").state is State.SUCCEEDED
    assert bed.change(SCALE, ScaleRequest(ref, 2), "ABC235").state is State.SUCCEEDED
    revised(bed, 5)
    token = asked_for(bed.target.api.get(bed.path)).token_secret
    back = rollback_request(bed.cluster, ref, None)
    assert (back.revision, back.target) == (1, "2.10.0 (revision 1)")
    assert bed.change(ROLLBACK, back, "ABC236").state is State.SUCCEEDED
    live = bed.target.api.get(bed.path)
    now = asked_for(live)
    assert now.image.endswith(":2.10.0")
    assert (live["spec"]["replicas"], now.token_secret) == (2, token)
    revised(bed, 6)
    sets = bed.cluster.list("ReplicaSet", bed.ns)
    known = revisions(live, sets)
    told = [difference(a, b) for b, a in itertools.pairwise(known)]
    assert [(each.image is not None, each.restart, each.token) for each in told] == [
        (True, False, False),
        (False, False, True),
        (False, True, False),
        (False, True, False),
        (True, False, False),
    ]


def test_a_plan_made_anew_goes_to_the_same_revision_with_the_pods_of_then(bed: Bed) -> None:
    ref = bed.spec().ref
    deployed(bed, "ABC231", tag="2.10.0")
    deployed(bed, "ABC232")
    back = rollback_request(bed.cluster, ref, None)
    first = bed.plan(ROLLBACK, back, "ABC236")
    # Meanwhile others scale it, and deploy a third version.
    assert bed.change(SCALE, ScaleRequest(ref, 2), "ABC233").state is State.SUCCEEDED
    deployed(bed, "ABC234", tag="2.6.0", replicas=2)
    stored = RollbackRequest.from_mapping(back.to_mapping())
    again = bed.plan(ROLLBACK, stored, "ABC237")
    assert again.digest != first.digest
    assert (again.spec.tag, again.spec.replicas, again.count) == ("2.10.0", 2, None)


def test_what_kubectl_undid_is_what_there_is_to_go_back_to(bed: Bed) -> None:
    deployed(bed, "ABC231", tag="2.10.0")
    deployed(bed, "ABC232")
    bed.kubectl("rollout", "undo", "deployment/edge-1")
    revised(bed, 3)
    assert revision_of(bed) == (2, "2.11.1")
    bed.kubectl("rollout", "restart", "deployment/edge-1")
    revised(bed, 4)
    assert revision_of(bed) == (2, "2.11.1")


def test_with_nothing_but_restarts_there_is_nothing_to_go_back_to(bed: Bed) -> None:
    deployed(bed, "ABC231")
    bed.kubectl("rollout", "restart", "deployment/edge-1")
    revised(bed, 2)
    with pytest.raises(NotFound, match="nothing to roll back to") as refused:
        revision_of(bed)
    assert "The cluster holds 2 (2.11.1), 1 (2.11.1)." in refused.value.meaning


def test_an_image_that_others_set_is_named_and_not_passed_over(bed: Bed) -> None:
    deployed(bed, "ABC231", tag="2.6.0")
    bed.image(OTHER)
    revised(bed, 2)
    # From what others made of it the bot's own version is the one to go back to.
    assert revision_of(bed) == (1, "2.6.0")
    plan = bed.planner.plan(bed.spec(), "ABC232", take_over=True)
    assert plan.digest
    assert bed.change("deploy", DeployRequest(bed.spec(), True), "ABC232").state is State.SUCCEEDED
    revised(bed, 3)
    with pytest.raises(Conflict, match="revision 2 of"):
        revision_of(bed)
    assert revision_of(bed, 1) == (1, "2.6.0")


def test_a_version_of_the_helm_chart_is_one_that_this_bot_cannot_bring_back(bed: Bed) -> None:
    """As a gateway is whose first revision a chart has made, and which was adopted since."""
    ref, objects = bed.spec().ref, render(bed.spec(tag="2.10.0"), "edge-1-helm")
    for item in objects:
        metadata = {k: v for k, v in item["metadata"].items() if k != "annotations"}
        bed.cluster.apply({**item, "metadata": metadata}, manager="helm")
    bed.cluster.create(token_secret(bed.spec(), "edge-1-helm", helm_token(), "HELM"))
    adopted = DeployRequest(bed.spec(), take_over=True)
    assert bed.change(ADOPT, adopted, "ABC232").state is State.SUCCEEDED
    revised(bed, 2)
    with pytest.raises(Conflict, match=f"revision 1 of {ref}") as refused:
        revision_of(bed)
    assert "It runs 2.10.0." in refused.value.meaning


def test_pods_that_an_autoscaler_counts_stay_its_own(bed: Bed) -> None:
    ref = bed.spec().ref
    deployed(bed, "ABC231", tag="2.10.0", replicas=2)
    deployed(bed, "ABC232", replicas=3, autoscaling=Autoscaling(1, 4))
    # The autoscaler, or whoever stands in for it, counts the pods from now on.
    bed.kubectl("scale", "deployment/edge-1", "--replicas=1")
    plan = bed.plan(ROLLBACK, rollback_request(bed.cluster, ref, None), "ABC236")
    assert (plan.spec.tag, plan.spec.autoscaling, plan.count) == (
        "2.10.0",
        Autoscaling(1, 4),
        None,
    )
    changed = {(c.kind, field.path) for c in plan.changes for field in c.fields}
    assert ("Deployment", "spec.replicas") not in changed
    assert not [c for c in plan.changes if c.kind == "HorizontalPodAutoscaler"]
