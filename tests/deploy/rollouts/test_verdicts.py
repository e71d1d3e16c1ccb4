"""How an action that could not be carried out is told."""

import dataclasses

from deploy.actions.action import State
from deploy.plans.binding import Observed, build_plan
from deploy.rendering.manifests import render
from deploy.rollouts.verdicts import superseded
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
    assert outcome.remedy == "It is planned again."


def test_a_rule_that_forbids_by_now_what_was_confirmed_is_named() -> None:
    denying = Finding("privileged", "deny", "It is privileged.", "", "Take it away.")
    outcome = superseded(dataclasses.replace(PLAN, findings=(denying,)))
    assert outcome.state is State.SUPERSEDED
    assert "It is privileged." in outcome.happened
    assert outcome.remedy == "Take it away."
