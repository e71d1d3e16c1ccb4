"""How an action that could not be carried out is told."""

import dataclasses

import pytest

from deploy.actions.action import Outcome, State
from deploy.observed.pausing import Pause
from deploy.observed.progress import Progress
from deploy.plans.binding import Observed, build_plan
from deploy.rendering.manifests import render
from deploy.rollouts.verdicts import serving, superseded, unfinished, while_paused
from deploy.rules.finding import Finding
from deploy.tokens.token_plan import TokenPlan
from tests.support.gateway_bed import SPEC

PLAN = build_plan(
    SPEC,
    cluster_uid="u",
    observed=[Observed(o, None, o) for o in render(SPEC, "t")],
    token=TokenPlan("t", mint=True, expires_at=None, reason=""),
)


def test_a_plan_that_is_no_longer_the_one_shown_is_superseded() -> None:
    outcome = superseded(PLAN)
    assert outcome.state is State.SUPERSEDED
    assert "has changed on the cluster" in outcome.happened
    assert outcome.remedy == "The bot makes a new plan."


def test_a_rule_that_forbids_by_now_what_was_confirmed_is_named() -> None:
    denying = Finding("privileged", "deny", "It is privileged.", "", "Take it away.")
    outcome = superseded(dataclasses.replace(PLAN, findings=(denying,)))
    assert outcome.state is State.SUPERSEDED
    assert "It is privileged." in outcome.happened
    assert outcome.remedy == "Take it away."


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (1, 0, "1 pod of the previous version still serves traffic."),
        (2, 0, "2 pods of the previous version still serve traffic."),
        (0, 1, "1 pod of the new version serves traffic."),
        (0, 2, "2 pods of the new version serve traffic."),
        (1, 1, "1 pod of the previous version and 1 of the new one serve traffic."),
        (3, 1, "3 pods of the previous version and 1 of the new one serve traffic."),
        (0, 0, "No pod of this gateway serves traffic."),
    ],
)
def test_who_serves_is_said_in_the_right_number(old: int, new: int, said: str) -> None:
    progress = Progress(3, 1, new, old + new, old, complete=False, failed=False, serving=old)
    assert serving(progress) == said


def test_a_first_version_has_none_before_it_that_could_serve() -> None:
    stuck = Progress(3, 1, 0, 1, 0, complete=False, failed=False)
    said = unfinished(SPEC, stuck, 60.0, first=True).meaning
    assert said.endswith("Nothing serves traffic yet: this is its first version.")
    some = dataclasses.replace(stuck, ready=1)
    assert "1 pod of the new version serves" in unfinished(SPEC, some, 60.0, first=True).meaning
    assert "No pod of this gateway serves traffic." in unfinished(SPEC, stuck, 60.0).meaning


def test_a_success_whose_deployment_is_paused_still_says_what_else_is_to_be_done() -> None:
    done = Outcome(State.SUCCEEDED, "1 of 1 pods ready", "A Secret is left.", "Delete it.")
    told = while_paused(done, SPEC.ref, Pause(("kubectl-rollout",)))
    assert told.state is State.SUCCEEDED
    assert told.happened == "1 of 1 pods ready, but kubectl-rollout has paused the Deployment"
    assert told.meaning.endswith("A Secret is left.")
    assert told.remedy.endswith("or ask whoever paused it. Delete it.")
    assert while_paused(done, SPEC.ref, None) == done
