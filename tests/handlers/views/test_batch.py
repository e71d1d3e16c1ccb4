"""The message of a batch says who asks for what, how each gateway stands, and what happens next."""

import dataclasses
import json
from typing import Any

import pytest

from deploy.actions.action import Action, Outcome, State, Vote
from deploy.actions.batches import Batch, BatchMember, Selection, Unplanned
from deploy.changes.kinds import KINDS
from deploy.gateway import GatewayRef
from deploy.plans.plan import FieldChange, ObjectChange
from deploy.plans.requests import RestartRequest
from deploy.policy import People, Policy, Requirement
from handlers.views import batch as view
from handlers.views import batch_lines
from handlers.views.batch_state import BatchState, Row
from handlers.views.fitting import BLOCKS, fitted
from handlers.views.text import SECTION_LIMIT
from tests.support.actions import REQUESTS, by_approvers, plan_of

ANA = "U0ANA"


def row(name: str, state: State = State.PENDING, *, prod: bool = False, **more: Any) -> Row:
    """One gateway whose action is in that state; approvers decide in production."""
    ref = GatewayRef("west", "prod" if prod else "dev", name)
    plan = plan_of(ref, f"plan of {name}")
    fields: dict[str, Any] = {
        "id": f"ID{name}",
        "kind": "restart",
        "ref": ref,
        "state": state,
        "version": 3,
        "requester": ANA,
        "person": ANA,
        "policy": by_approvers() if prod else Policy(),
        "digest": plan.digest,
        "request": RestartRequest(ref, ""),
        "plan": plan,
        "origin": {"channel": "C1"},
        "created_at": 100.0,
        "expires_at": 1000.0,
        "updated_at": 200.0,
        "batch": "BATCH2",
    }
    return Row(ref, "production-west" if prod else "development", prod, Action(**(fields | more)))


def long_names(count: int) -> list[str]:
    """As long as a gateway's name may be."""
    return [f"{number:03}-{'long-name-' * 4}"[:43] for number in range(count)]


def failed(name: str, happened: str, **more: Any) -> Row:
    return row(name, State.FAILED, outcome=Outcome(State.FAILED, happened, "m", "r"), **more)


UNFINISHED_BUSINESS = Outcome(
    State.SUCCEEDED, "2 of 2 pods ready, but kubectl has paused it", "m", "Resume it."
)


def state_of(
    *rows: Row, planned: bool = True, unplanned: tuple[Unplanned, ...] = (), **more: Any
) -> BatchState:
    fields: dict[str, Any] = {"kind": "restart", "chosen": {}, "requester": ANA, "channel": "C1"}
    members = tuple(BatchMember(r.ref, (r.action.id if r.action else "NEW",)) for r in rows)
    selection = Selection(**(fields | more))
    return BatchState(Batch("BATCH2", selection, members, unplanned, planned, 1, 100.0), rows)


def shown(state: BatchState) -> str:
    """All that people read of the message."""
    text, blocks = view.message(state)
    return f"{text}\n{json.dumps(blocks, ensure_ascii=False)}"


def buttons(state: BatchState) -> list[str]:
    blocks = view.message(state)[1]
    found = [e for b in blocks if b["type"] == "actions" for e in b["elements"]]
    return [each["text"]["text"] for each in found]


def test_it_says_who_asks_for_what_where_and_how_many_are_in_which_state() -> None:
    state = state_of(row("edge-1"), row("edge-2", prod=True), why="new nodes")
    assert view.summary(state) == (
        f"<@{ANA}> asks to restart 2 gateways on west/dev (development) and "
        "west/prod (🔶 production-west): 1 waiting for approval, 1 waiting for confirmation."
    )
    said = shown(state)
    assert "Reason: new nodes" in said
    assert "Nothing has changed yet." in said
    assert "*west/prod (🔶 production-west)*\\n:raised_hand: *edge-2* waits for approval" in said
    assert "Approvers can decide until" in said
    assert f"<@{ANA}> can confirm 1 plan until" in said


def test_it_says_what_becomes_of_pods_and_connections_before_anything_is_confirmed() -> None:
    restarting = plan_of(
        changes=(
            ObjectChange(
                "Deployment", "edge", "update", (FieldChange("spec.x", 1, 2, restarts_pods=True),)
            ),
        )
    )
    cutting = dataclasses.replace(
        restarting, changes=(*restarting.changes, ObjectChange("Service", "edge", "delete", ()))
    )
    calm, restarts, cuts = row("a"), row("b", plan=restarting), row("c", plan=cutting)
    for rows, said in (
        ((calm,), "No pod is restarted; no connection is cut."),
        ((restarts,), "the pods of each gateway are replaced, one after another; no connection"),
        ((calm, restarts, cuts), "the pods of 2 of 3 gateways are replaced, one after another. "),
        ((calm, cuts), "*Open connections of 1 gateway are cut.*"),
    ):
        assert said in shown(state_of(*rows))
    assert "are replaced" not in shown(state_of(restarts, planned=False))
    assert "are replaced" not in shown(state_of(row("b", State.RUNNING, plan=restarting)))


def test_the_line_of_each_gateway_follows_its_action() -> None:
    said = shown(
        state_of(
            row("a", State.SUCCEEDED),
            row("i", State.SUCCEEDED, outcome=UNFINISHED_BUSINESS),
            failed("b", "Azure refuses <it>."),
            row("c", State.DENIED, decided_by="U0BEN", reason="not today"),
            row("d", State.APPROVED, progress={"waiting_for": "OTHER2"}),
            row("e", State.RUNNING),
            Row(GatewayRef("west", "dev", "f"), "development", False),
            Row(GatewayRef("west", "dev", "g"), "development", False, unreadable=True),
            unplanned=(Unplanned("west/dev/h", "Others own it."),),
            planned=False,
        )
    )
    for line in (
        ":white_check_mark: *a* done",
        ":warning: *i* done: 2 of 2 pods ready, but kubectl has paused it",
        ":x: *b* failed: Azure refuses &lt;it&gt;.",
        ":no_entry: *c* denied by <@U0BEN>: not today",
        ":hourglass_flowing_sand: *d* waits for its turn",
        ":rocket: *e* running",
        "*f* being planned…",
        "*g* cannot be read by this version of the bot",
        ":warning: *west/dev/h*: Others own it.",
        "*2 of 8 done*, 1 failed, 1 running, 1 approved, 1 denied, 1 not readable, 1 being planned, "
        "1 not planned.",
    ):
        assert line in said, line


def test_gateways_that_are_not_planned_for_one_reason_are_named_together() -> None:
    others = [Unplanned(f"west/dev/{name}", "Others.", "others-deploy") for name in "hij"]
    newer = [Unplanned(f"west/dev/{name}", f"Why {name}.", "of-a-newer-bot") for name in "kl"]
    said = shown(state_of(row("a"), unplanned=(*others, *newer)))
    assert "*west/dev/h, west/dev/i and west/dev/j*: not deployed by this bot." in said
    assert said.count("/gateway adopt") == 1
    assert ":warning: *west/dev/k*: Why k." in said, "its words are what is known of it"
    alone = shown(state_of(row("a"), unplanned=(others[0], *newer)))
    assert ":warning: *west/dev/h*: Others." in alone


def test_only_what_waits_has_a_button_and_none_before_everything_is_planned() -> None:
    waiting = (row("a"), row("b", prod=True), row("c", State.APPROVED))
    assert buttons(state_of(*waiting)) == ["Approve 1 plan", "Confirm 1 plan", "Cancel 3 plans"]
    assert buttons(state_of(*waiting, planned=False)) == []
    assert buttons(state_of(row("a", State.SUCCEEDED), row("c", State.RUNNING))) == []


def test_a_button_asks_about_the_gateways_that_it_is_for() -> None:
    state = state_of(row("edge-1", prod=True), row("edge-2", prod=True))
    found = next(b for b in view.message(state)[1] if b["type"] == "actions")["elements"][0]
    assert found["confirm"]["text"]["text"] == (
        "*🔶 All 2 in production*\n"
        "Approve: restart edge-1 and edge-2, each as its plan in the thread shows it?"
    )


def test_it_says_who_approved_what_is_carried_out_and_nobody_else() -> None:
    votes = (Vote("U0BEN", "ben", "approve", 1.0, "d"),)
    said = shown(
        state_of(
            row("a", State.SUCCEEDED, prod=True, votes=votes, decided_by="U0BEN", decided_at=5.0),
            row("b", State.RUNNING, prod=True, votes=votes, decided_by="U0BEN", decided_at=5.0),
            row("c", State.CANCELLED, decided_by=ANA, decided_at=5.0),
        )
    )
    assert said.count("Approved by <@U0BEN>.") == 1
    assert "Confirmed" not in said


@pytest.mark.parametrize(
    ("live", "said"),
    [
        ((), "Restart 3 gateways"),
        (("a",), "🔶 Restart 3 gateways (1 of 3 in production)"),
        (("a", "b"), "🔶 Restart 3 gateways (2 of 3 in production)"),
        (("a", "b", "c"), "🔶 Restart 3 gateways (all 3 in production)"),
    ],
)
def test_its_title_counts_the_gateways_in_production(live: tuple[str, ...], said: str) -> None:
    state = state_of(*(row(name, prod=name in live) for name in "abc"))
    assert view.message(state)[1][0]["text"]["text"] == said


@pytest.mark.parametrize("count", [2, 20, 100, 300])
@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_it_is_within_slack_s_bounds_whatever_becomes_of_its_gateways(
    count: int, kind: str
) -> None:
    names = long_names(count)
    why = "w" * 5000
    outcomes = [
        [row(name, prod=True) for name in names],
        [row(name) for name in names],
        [failed(name, why) for name in names],
        [row(name, State.SUCCEEDED) for name in names],
        [row(n, State.DENIED, prod=True, reason=why, decided_by="U0BEN") for n in names],
        [dataclasses.replace(row(n), ref=GatewayRef("west", f"team-{n}", n)) for n in names],
    ]
    for rows in outcomes:
        unplanned = tuple(Unplanned(name, why) for name in names)
        rows = [
            dataclasses.replace(
                each, action=dataclasses.replace(each.action, kind=kind, request=REQUESTS[kind])
            )
            for each in rows
            if each.action
        ]
        text, blocks = view.message(state_of(*rows, kind=kind, unplanned=unplanned, why=why[:500]))
        _, _, shorter = fitted(text, tuple(blocks))
        assert not shorter
        assert len(blocks) <= BLOCKS
        for block in blocks:
            if block["type"] == "section":
                assert len(block["text"]["text"]) <= SECTION_LIMIT
            for element in block.get("elements", []):
                if element["type"] == "button":
                    assert len(element["value"]) <= 2000
                    assert len(element["text"]["text"]) <= 75
                    assert len(element["confirm"]["text"]["text"]) <= 300


@pytest.mark.parametrize("others", [State.SUCCEEDED, State.PENDING])
def test_what_failed_is_shown_where_not_everything_fits(others: State) -> None:
    names = long_names(300)
    rows = [row(name, others) for name in names[:-1]] + [failed(names[-1], "No.")]
    assert f":x: *{names[-1]}*" in shown(state_of(*rows))


def test_every_set_of_approvers_is_called_once_and_by_itself_for_what_is_planned_anew() -> None:
    others = by_approvers(people=People(users=("U0CHEN",)))
    rows = [row("a", prod=True), row("b", prod=True), row("c", prod=True, policy=others), row("d")]
    state = state_of(*rows)
    calls = batch_lines.calls(state)
    assert len({key for key, _ in calls}) == len(calls) == 2
    assert calls[0][1].startswith(
        f"<!subteam^S1>: <@{ANA}> asks to restart 2 gateways on west/prod"
    )
    assert calls[1][1].startswith(
        f"<@U0CHEN>: <@{ANA}> asks to restart c on west/prod (🔶 production-west)"
    )
    first, *rest = state.batch.members
    anew = BatchMember(first.ref, ("OLD", first.action))
    renewed = dataclasses.replace(
        state, batch=dataclasses.replace(state.batch, members=(anew, *rest))
    )
    again = batch_lines.calls(renewed)
    assert {key for key, _ in again} > {key for key, _ in calls}


def test_approvers_of_another_channel_are_called_anew_for_what_is_planned_anew() -> None:
    needed = Requirement("fleet", People(users=("U0CHEN",)), 1, channels=("C9",))
    rows = [row(name, policy=Policy((needed,))) for name in "ab"]
    state = state_of(*rows)
    ((key, channel, _),) = batch_lines.calls_elsewhere(state)
    assert channel == "C9"
    first, *rest = state.batch.members
    anew = BatchMember(first.ref, ("OLD", first.action))
    renewed = dataclasses.replace(
        state, batch=dataclasses.replace(state.batch, members=(anew, *rest))
    )
    calls = batch_lines.calls_elsewhere(renewed)
    assert key in {each for each, _, _ in calls}
    ((_, channel, text),) = [call for call in calls if call[0] != key]
    assert channel == "C9"
    assert "restart a on west/dev" in text


def test_the_end_names_whoever_asked_and_what_failed() -> None:
    said = batch_lines.end(state_of(row("a", State.SUCCEEDED), failed("b", "No.", prod=True)))
    assert said == (
        f":x: <@{ANA}> Your request to restart 2 gateways has ended: 1 of 2 done, 1 failed. "
        "Look at b."
    )
