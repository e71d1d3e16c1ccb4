"""A request is told from every other one by a few lines: from what to what, who, since and until when,
and what it still needs."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.access import Environment
from deploy.actions.action import State, Vote
from deploy.observed.causes import Cause
from deploy.plans.binding import Observed, build_plan
from deploy.plans.plan import FieldChange, ObjectChange, Plan
from deploy.policy import People, Policy, Requirement
from deploy.rendering.manifests import render
from deploy.rules.finding import Finding
from deploy.specs.overlay import merged
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from deploy.tokens.token_plan import TokenPlan
from handlers.views.difference import difference
from handlers.views.request_line import needed, text_of
from tests.support.actions import plan_of
from tests.support.shown import PLAN, SPEC, shown_action

PRODUCTION = Environment("production", production=True)
STUCK = {"cause": Cause.PULL.value, "said": "ImagePullBackOff.", "since": 0.0, "until": None}
KEPT = TokenPlan("edge-1-token-a", mint=False, expires_at=None, reason="")


def changed(patch: Mapping[str, Any], token: TokenPlan = KEPT) -> Plan:
    """A plan that changes the rendered gateway like that."""
    wanted = spec_from_mapping(merged(spec_to_mapping(SPEC), patch))
    live = {(o["kind"], o["metadata"]["name"]): o for o in render(SPEC, "edge-1-token-a")}
    observed = [
        Observed(o, live.get((o["kind"], o["metadata"]["name"])), o)
        for o in render(wanted, token.secret)
    ]
    return build_plan(wanted, cluster_uid="u", observed=observed, token=token)


def test_going_back_behind_a_restart_is_not_said_to_be_one() -> None:
    restarted = FieldChange(
        'spec.template.metadata.annotations["gateway-bot.io/restarted-at"]',
        "2026-11-25",
        None,
        True,
    )
    image = FieldChange("spec.template.spec.containers[edge-1].image", "a:2", "a:1", True)
    plan = plan_of(changes=(ObjectChange("Deployment", "edge-1", "update", (restarted, image)),))
    assert "restarts" not in difference(plan)


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"image": {"tag": "2.12.1"}}, "image 2.11.1 → 2.12.1"),
        ({"image": {"tag": "2.12.1"}, "replicas": 5}, "image 2.11.1 → 2.12.1, replicas 3 → 5"),
        ({"logs": {"level": "debug"}}, "telemetry.logs.std.level info → debug"),
        ({"resources": {"cpu": "1"}}, "requests.cpu 2 → 1"),
        ({"service": {"type": "NodePort"}}, "spec.type LoadBalancer → NodePort"),
        ({"rollout": {"restartedAt": "2026-11-25T12:00:00Z"}}, "restarts the pods"),
        (
            {"autoscaling": {"minReplicas": 2, "maxReplicas": 5}},
            "replicas 3 → unset, new HorizontalPodAutoscaler",
        ),
        ({}, ""),
    ],
)
def test_a_change_is_said_from_what_to_what(patch: dict[str, Any], said: str) -> None:
    assert difference(changed(patch)) == said


def test_a_rotation_is_a_new_token_and_no_field() -> None:
    new = TokenPlan("edge-1-token-b", True, None, "asked for", "secondary", 86_400)
    assert difference(changed({}, new)) == "new token from the secondary key"
    both = difference(changed({"image": {"tag": "2.12.1"}}, new))
    assert both == "image 2.11.1 → 2.12.1, new token from the secondary key"


def test_another_registry_is_shown_whole() -> None:
    field = FieldChange("spec.template.spec.containers[g].image", "a.example/g:1", "b.example/g:1")
    plan = plan_of(changes=(ObjectChange("Deployment", "edge-1", "update", (field,)),))
    assert difference(plan) == "image a.example/g:1 → b.example/g:1"


def test_a_new_gateway_and_one_that_goes_say_what_they_are() -> None:
    assert difference(PLAN) == "new gateway: image 2.11.1, replicas 3"
    going = plan_of(
        changes=(
            ObjectChange("Deployment", "edge-1", "delete"),
            ObjectChange("Service", "a", "delete"),
        )
    )
    assert difference(going) == "image 2.11.1, replicas 2 → deleted (2 objects)"


@given(st.integers(0, 12))
def test_of_many_fields_three_are_named_and_the_others_counted(count: int) -> None:
    fields = tuple(FieldChange(f"spec.f{n}", n, n + 1) for n in range(count))
    said = difference(plan_of(changes=(ObjectChange("Service", "s", "update", fields),)))
    parts = said.split(", ") if said else []
    more = re.search(r"(\d+) more (changes?)$", said)
    left = int(more[1]) if more else 0
    assert len(parts) - bool(more) + left == count, said
    assert left != 1, "one more is named instead"
    assert len(parts) <= 4
    assert not more or more[2] == "changes"


VALUES = st.one_of(
    st.none(), st.integers(), st.text(max_size=2000), st.lists(st.text(), max_size=2)
)
FIELDS = st.builds(FieldChange, st.text(max_size=200), VALUES, VALUES, st.booleans())
CHANGES = st.builds(
    ObjectChange,
    st.sampled_from(["Deployment", "Service", "ConfigMap", "Secret"]),
    st.just("edge-1"),
    st.sampled_from(["create", "update", "delete"]),
    st.lists(FIELDS, max_size=6).map(tuple),
)


@given(st.lists(CHANGES, max_size=6))
def test_whatever_changes_is_said_on_one_short_line(changes: list[ObjectChange]) -> None:
    said = difference(plan_of(changes=tuple(changes)))
    assert "\n" not in said
    assert len(said) < 1200


def test_it_says_what_where_who_when_and_what_is_needed() -> None:
    policy = Policy((Requirement("production", People(groups=("S1",)), 2),))
    plan = changed({"image": {"tag": "2.12.1"}, "replicas": 5})
    asked = shown_action(State.PENDING, plan=plan, policy=policy)
    first, what, when, still = text_of(asked, PRODUCTION).split("\n")
    assert first == "*🔶 Deploy edge-1 to west/dev (production)*"
    assert what == "image 2.11.1 → 2.12.1, replicas 3 → 5"
    assert when.startswith("`7K3MAB` · asked by <@U1> <!date^")
    assert " · open until <!date^" in when
    assert still == "Needs 2 approvals from <!subteam^S1>."
    assert text_of(asked, PRODUCTION, "You can approve this.").endswith("\nYou can approve this.")


@given(st.integers(1, 5), st.integers(0, 5))
def test_what_is_still_needed_is_what_is_left_of_the_quorum(quorum: int, given_: int) -> None:
    policy = Policy((Requirement("production", People(groups=("S1",)), quorum),))
    votes = tuple(Vote(f"U{n}", f"p{n}", "approve", 1.0, "d") for n in range(given_))
    said = needed(shown_action(State.PENDING, policy=policy, votes=votes))
    left = quorum - given_
    if left < 1:
        assert said == "Has every approval that it needs."
        return
    found = re.fullmatch(r"Needs (\d+) (?:more )?(approvals?) from <!subteam\^S1>\.", said)
    assert found is not None, said
    assert int(found[1]) == left
    assert (found[2] == "approval") is (left == 1)


def test_each_environment_says_what_it_still_requires() -> None:
    policy = Policy(
        (
            Requirement("production", People(groups=("S1",)), 2),
            Requirement("staging", People(users=("U5",))),
        )
    )
    vote = Vote("U2", "ben", "approve", 1.0, "d1", serves=frozenset({"production"}))
    assert needed(shown_action(State.PENDING, policy=policy, votes=(vote,))) == (
        "Needs 1 more approval from <!subteam^S1> for production and 1 approval from <@U5> for staging."
    )


@pytest.mark.parametrize(
    ("state", "more", "said"),
    [
        (State.PENDING, {}, "Waiting for <@U1> to confirm."),
        (State.APPROVED, {"decided_by": "U1"}, "Confirmed by <@U1>. It has not started yet."),
        (State.RUNNING, {}, "Running."),
        (State.RUNNING, {"progress": {"ready": 0, "desired": 1}}, "Running: 0 of 1 pod ready."),
        (State.RUNNING, {"progress": {"ready": 1, "desired": 3}}, "Running: 1 of 3 pods ready."),
        (
            State.RUNNING,
            {"progress": {"ready": 0, "desired": 1, "stuck": STUCK}},
            ":warning: Stuck: the image cannot be pulled. 0 of 1 pod ready.",
        ),
        (State.RUNNING, {"stop_by": "U2"}, "<@U2> stopped it; it ends at the next safe point."),
        (State.EXPIRED, {}, "Expired."),
    ],
)
def test_a_request_that_needs_no_approver_says_how_it_stands(
    state: State, more: dict[str, Any], said: str
) -> None:
    assert needed(shown_action(state, **more)) == said


def test_what_the_rules_forbid_needs_nothing_that_somebody_could_give() -> None:
    plan = plan_of(
        findings=(Finding("privileged", "deny", "It is privileged.", "So it is.", "No."),)
    )
    assert "forbid" in needed(shown_action(State.PENDING, plan=plan))


def test_what_the_bot_asked_for_is_not_said_to_be_a_person_s() -> None:
    asked = dataclasses.replace(shown_action(State.PENDING), automatic=True)
    assert "asked by the bot" in text_of(asked, None)
