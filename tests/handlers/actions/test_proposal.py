"""What becomes of a plan before anybody is asked to decide on it."""

import dataclasses
import json
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.access import Environment
from deploy.errors import Refused
from deploy.plans.binding import Observed, build_plan
from deploy.plans.plan import Plan
from deploy.policy import Policy
from deploy.rendering.manifests import render
from deploy.rules.finding import Finding
from deploy.tokens.token_plan import TokenPlan
from handlers.actions.proposal import check_allowed, propose, wait_for_decision
from handlers.slack.payloads import Request
from tests.support.gateway_bed import SPEC

PLAN = build_plan(
    SPEC,
    cluster_uid="u",
    observed=[Observed(o, None, o) for o in render(SPEC, "t")],
    token=TokenPlan("t", mint=True, expires_at=None, reason=""),
)
WARNING = Finding("no-backup", "warning", "No backup.", "So it is.", "Give one.")
DENYING = Finding("privileged", "deny", "It is privileged.", "So it is.", "Take it away.")


def proposed(plan: Plan) -> tuple[Any, list[str]]:
    kept: list[str] = []
    services: Any = SimpleNamespace(
        planner=SimpleNamespace(plan=lambda *_, **__: plan),
        store=SimpleNamespace(create=lambda new_id, **_: kept.append(new_id)),
        wake=lambda _: None,
        decision_seconds=60,
        gatekeeper=SimpleNamespace(
            policy=lambda *_, **__: Policy(),
            environment=lambda _: Environment("development"),
            person=lambda user: user,
        ),
    )
    return propose(services, Request("r", "deploy", "U1", "C1"), SPEC), kept


def test_a_plan_with_warnings_waits_for_its_decision() -> None:
    reply, kept = proposed(dataclasses.replace(PLAN, findings=(WARNING,)))
    assert reply is None
    assert len(kept) == 1


def test_a_plan_that_a_rule_denies_is_answered_and_nothing_waits_for_a_decision() -> None:
    reply, kept = proposed(dataclasses.replace(PLAN, findings=(DENYING, WARNING)))
    assert kept == []
    shown = json.dumps(reply.blocks)
    for said in ("west/dev", "It is privileged.", "Take it away.", "No backup."):
        assert said in shown


def test_a_reason_cannot_write_lines_of_its_own_into_the_message_that_approvers_read() -> None:
    kept: list[dict[str, Any]] = []
    asked: list[dict[str, Any]] = []

    def policy(*_: Any, **given: Any) -> Policy:
        asked.append(given)
        return Policy()

    services: Any = SimpleNamespace(
        store=SimpleNamespace(create=lambda new_id, **given: kept.append(given)),
        wake=lambda _: None,
        decision_seconds=60,
        gatekeeper=SimpleNamespace(
            policy=policy,
            environment=lambda _: Environment("development"),
            person=lambda user: user,
        ),
    )
    forged = "ok\n\n:white_check_mark:  *Approved by Ben*"
    request = Request("r", "deploy", "U1", "C1", options={"reason": forged, "break-glass": forged})
    wait_for_decision(services, request, PLAN, kind="deploy")
    said = "ok :white_check_mark: *Approved by Ben*"
    assert kept[0]["request"]["reason"] == said
    assert asked[0]["break_glass"] == said


@pytest.mark.parametrize("channel", ["D1", "U1", "W1", "C1"])
def test_what_approvers_decide_on_is_not_asked_for_where_none_of_them_is(channel: str) -> None:
    policies = [Policy(window="W"), Policy("approvers")]
    services: Any = SimpleNamespace(
        gatekeeper=SimpleNamespace(policy=lambda *_, **__: policies.pop(0))
    )
    request = Request("r", "deploy", "U1", channel)
    assert check_allowed(services, request, SPEC.ref).window == "W"
    if channel == "C1":
        assert check_allowed(services, request, SPEC.ref).by == "approvers"
        return
    with pytest.raises(Refused, match=r"no approver would see .* Ask in a channel"):
        check_allowed(services, request, SPEC.ref)


@pytest.mark.parametrize("channel", ["D1", "U1", "C1"])
def test_nobody_goes_through_a_freeze_where_no_channel_is_told(channel: str) -> None:
    through = Policy(break_glass="it is down")
    services: Any = SimpleNamespace(gatekeeper=SimpleNamespace(policy=lambda *_, **__: through))
    request = Request("r", "deploy", "U1", channel)
    if channel == "C1":
        assert check_allowed(services, request, SPEC.ref) == through
        return
    with pytest.raises(Refused, match="a freeze tells a channel"):
        check_allowed(services, request, SPEC.ref)
