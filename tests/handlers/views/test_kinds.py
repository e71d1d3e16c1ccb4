"""The message of an action of every kind, and of every set of requirements."""

import dataclasses
import json
from typing import Any

import pytest

from deploy.actions.action import Action, Denial, Event, State, Vote
from deploy.policy import People, Policy, Requirement
from handlers.views import action as action_view
from handlers.views import approvals
from handlers.views.allowed import Allowed
from handlers.views.notes import notes
from tests.support.actions import REF, REQUESTS, plan_of
from tests.support.shown import check_blocks

BOTH = Policy(
    (
        Requirement("production", People(groups=("S1",)), 2),
        Requirement("staging", People(users=("U5",))),
    )
)


def action(kind: str = "scale", state: State = State.PENDING, **more: Any) -> Action:
    fields: dict[str, Any] = {
        "id": "7K3MAB", "kind": kind, "ref": REF, "state": state, "version": 1, "requester": "U1",
        "person": "ana", "policy": Policy(), "digest": "d1", "request": REQUESTS[kind],
        "plan": plan_of(), "origin": {"channel": "C1"}, "created_at": 0.0, "expires_at": 60.0,
        "updated_at": 1.0,
    }  # fmt: skip
    return Action(**(fields | more))


def shown(asked: Action) -> str:
    _, blocks = action_view.render(asked)
    check_blocks(blocks)
    return json.dumps(blocks, ensure_ascii=False)


@pytest.mark.parametrize("kind", sorted(REQUESTS))
@pytest.mark.parametrize("state", [State.PENDING, State.APPROVED, State.FAILED])
def test_an_action_of_every_kind_is_a_message_slack_takes(kind: str, state: State) -> None:
    said = shown(action(kind, state))
    assert "edge-1" in said
    assert "{" not in json.dumps(action_view.render(action(kind, state))[0])


def test_the_reason_a_denial_before_and_an_overridden_freeze_are_what_approvers_read_first() -> (
    None
):
    policy = dataclasses.replace(BOTH, break_glass="it is <down>")
    denied = Denial("U2", "not on a <Friday>", 0.0, "U4", "BBBBBB")
    said = shown(action(why="Black <Friday>", denied=denied, policy=policy))
    assert "Reason: Black &lt;Friday&gt;" in said
    assert "<@U2> denied <@U4>'s request `BBBBBB` to scale this" in said
    assert "not on a &lt;Friday&gt;" in said
    assert "it is &lt;down&gt;" in said


def test_each_requirement_says_how_many_of_whom_it_takes_and_has() -> None:
    said = shown(action(policy=BOTH))
    assert "Needs 2 approvals from <!subteam^S1> for production" in said
    assert "Needs 1 approval from <@U5> for staging" in said
    vote = Vote("U2", "ben", "approve", 1.0, "d1", serves=frozenset({"production"}))
    voted = shown(action(policy=BOTH, votes=(vote,)))
    assert "1 of 2 approvals for production, 0 of 1 approval for staging" in voted
    counted = Event(2, "approval", "U2", "d1", 1.0)
    (told,) = notes(action(policy=BOTH, votes=(vote,)), [counted], "C1")
    assert "it needs 2 approvals for production and 1 approval for staging" in told.text


def test_a_plan_begins_with_what_else_is_under_way_on_its_gateway() -> None:
    running = action("scale", State.RUNNING, id="BBBBBB", requester="U2")
    automatic = action("rotate", State.APPROVED, id="CCCCCC", automatic=True)
    _, blocks = action_view.render(action("restart"), beside=(running, automatic))
    check_blocks(blocks)
    first, second, *_ = blocks[1]["text"]["text"].splitlines()
    assert first == (":warning: `scale` by <@U2> is running on this gateway (action `BBBBBB`).")
    assert second == (
        ":warning: An automatic `rotate` is approved and runs first on this gateway "
        "(action `CCCCCC`)."
    )
    told = action_view.no_change(plan_of(changes=()), (running,)).blocks
    check_blocks(list(told))
    assert "Ask again when that ends." in told[0]["text"]["text"]
    assert "No change" in told[1]["text"]["text"]


def test_a_plan_names_what_is_pending_on_its_gateway_and_what_that_would_change() -> None:
    pending = action("scale", id="BBBBBB", requester="U2")
    automatic = action("rotate", id="CCCCCC", automatic=True)
    _, blocks = action_view.render(action("restart"), beside=(pending, automatic))
    check_blocks(blocks)
    first, second, meaning = blocks[1]["text"]["text"].splitlines()
    assert first == (
        ":warning: `scale` by <@U2> is pending on this gateway (action `BBBBBB`): replicas 1 → 2."
    )
    assert second.startswith(":warning: An automatic `rotate` is pending on this gateway")
    assert "When one of these plans has been carried out" in meaning
    running = action("deploy", State.RUNNING, id="DDDDDD")
    _, blocks = action_view.render(action("restart"), beside=(pending, running))
    first, second, meaning = blocks[1]["text"]["text"].splitlines()
    assert ("is running" in first, "is pending" in second) == (True, True)
    assert "When that ends, it is made anew" in meaning


def test_any_number_of_open_actions_on_a_gateway_fits_above_a_plan() -> None:
    others = [action("scale", id=f"AAAA{number:02}") for number in range(50)]
    _, blocks = action_view.render(action("restart"), beside=others)
    check_blocks(blocks)
    assert "… and 45 more actions of this gateway." in blocks[1]["text"]["text"]


def test_one_requirement_is_not_said_to_be_for_its_environment() -> None:
    alone = Policy(BOTH.requirements[:1])
    said = shown(action(policy=alone))
    assert "Needs 2 approvals from <!subteam^S1> by <!date^" in said
    assert "for production" not in said


def test_a_requirement_that_a_window_covers_asks_nobody() -> None:
    first, second = BOTH.requirements
    half = Policy((dataclasses.replace(first, quorum=1, window="w-1"), second))
    said = shown(action(policy=half))
    assert "production" not in said
    assert "Needs 1 approval from <@U5>" in said
    whole = Policy(half.requirements[:1])
    assert "Only <@U1> can confirm this within an approval window" in shown(action(policy=whole))


def test_what_cannot_be_read_is_named_in_the_list() -> None:
    empty = approvals.pending([], "U1", ("AAAAAA",))
    check_blocks(list(empty.blocks))
    assert "No requests are open." in empty.text
    assert "cannot read `AAAAAA`" in json.dumps(empty.blocks)
    listed = approvals.pending([(action(), Allowed(frozenset()))], "U1", ("AAAAAA", "BBBBBB"))
    assert "cannot read `AAAAAA`, `BBBBBB`" in json.dumps(listed.blocks)
