"""A count and its noun agree, whatever is counted: none, one, two or many."""

import dataclasses
import json
import re

from hypothesis import given
from hypothesis import strategies as st

from deploy.actions.action import Action, Event, State, Vote
from deploy.actions.batches import Batch, BatchMember, Selection, Unplanned
from deploy.gateway import GatewayRef
from deploy.health.fleet import Row as FleetRow
from deploy.images.support import Support
from deploy.policy import People, Policy, Requirement
from handlers.views import action as action_view
from handlers.views import approvals, batch, batch_lines, batch_replies, details, fleet
from handlers.views import status as status_view
from handlers.views.allowed import Allowed
from handlers.views.batch_state import BatchState, Row
from handlers.views.notes import notes
from handlers.views.notification import sentence
from handlers.views.request_line import text_of
from tests.support.actions import plan_of
from tests.support.shown import shown_action
from tests.support.statuses import DETAIL, NOW, rows, summary

COUNTS = st.sampled_from([0, 1, 2, 3, 12, 40])
_NOUNS = "approval|change|finding|gateway|line|namespace|object|plan|pod|request|revision|warning"
_COUNTED = re.compile(rf"(?<![\w.:/-])(\d+)\*? (?:(?:more|open|other) )*({_NOUNS})(s?)\b")


def assert_agrees(text: str) -> None:
    """Each number is followed by the noun in its number."""
    for found in _COUNTED.finditer(text):
        assert (found[1] == "1") is (found[3] == ""), found[0]
    for word in ("need attention", "override a freeze", "do not fit", "still wait "):
        assert f"1 {word}" not in text, text


def asked(number: int, state: State = State.PENDING, quorum: int = 1, votes: int = 0) -> Action:
    policy = (
        Policy((Requirement("production", People(groups=("S1",)), quorum),)) if quorum else Policy()
    )
    given_votes = tuple(Vote(f"U{n}", f"p{n}", "approve", 1.0, "d") for n in range(votes))
    return shown_action(
        state, id=f"AAA{number:03}", policy=policy, votes=given_votes, plan=plan_of()
    )


@given(COUNTS, COUNTS, COUNTS)
def test_of_approvals(quorum: int, votes: int, pods: int) -> None:
    votes = min(votes, quorum)
    pending = asked(1, quorum=quorum, votes=votes)
    both = dataclasses.replace(
        pending.policy,
        requirements=(*pending.policy.requirements, Requirement("staging", People(("U9",)), 1)),
    )
    running = dataclasses.replace(
        pending, state=State.RUNNING, progress={"ready": 0, "desired": pods}
    )
    for action in (pending, dataclasses.replace(pending, policy=both), running):
        if action.state is State.PENDING:
            assert_agrees(json.dumps(action_view.render(action)[1]))
        assert_agrees(text_of(action, None))
        assert_agrees(sentence(action))
        assert_agrees(
            " ".join(
                note.text for note in notes(action, [Event(2, "approval", "U2", "d", 1.0)], "C1")
            )
        )
        assert action.met <= sum(each.quorum for each in action.policy.open)


@given(COUNTS)
def test_of_requests(count: int) -> None:
    rows_ = [(asked(n), Allowed(frozenset(), "", decides=n == 0)) for n in range(count)]
    reply = approvals.pending(rows_, "U1")
    assert_agrees(f"{reply.text} {json.dumps(reply.blocks)}")
    one = status_view.detail(
        DETAIL, Support("supported", "newest"), "", NOW, requests=[each for each, _ in rows_]
    )
    assert_agrees(f"{one.text} {json.dumps(one.blocks)}")


@given(COUNTS, COUNTS, st.booleans())
def test_of_gateways(count: int, urgent: int, production: bool) -> None:
    place = "west/prod" if production else "west/dev"
    every = (
        *(summary(f"{place}/fine-{n}") for n in range(count)),
        *(summary(f"{place}/down-{n}", desired=1, ready=0) for n in range(urgent)),
    )
    table: tuple[FleetRow, ...] = rows(*every)
    reply = fleet.overview(table, {}, NOW)
    assert_agrees(f"{reply.text} {json.dumps(reply.blocks, ensure_ascii=False)}")
    assert (" 1 in production" in json.dumps(reply.blocks)) is (production and len(every) == 1)


@given(COUNTS.filter(bool), COUNTS, COUNTS, st.booleans())
def test_of_plans_of_a_batch(count: int, unplanned: int, overriding: int, production: bool) -> None:
    place = "prod" if production else "dev"
    made = []
    for number in range(count):
        ref = GatewayRef("west", place, f"edge-{number}")
        action = dataclasses.replace(asked(number, quorum=int(production)), ref=ref, kind="restart")
        if number < overriding:
            policy = dataclasses.replace(action.policy, break_glass="it is down")
            action = dataclasses.replace(action, policy=policy)
        made.append(
            Row(ref, "production-west" if production else "development", production, action)
        )
    left = tuple(Unplanned(f"west/dev/x-{n}", "Others own it.") for n in range(unplanned))
    members = tuple(BatchMember(each.ref, (each.action.id,)) for each in made if each.action)
    selection = Selection(kind="restart", chosen={}, requester="U1", channel="C1")
    state = BatchState(Batch("BATCH2", selection, members, left, True, 1, 100.0), tuple(made))
    text, blocks = batch.message(state)
    lines = [text, json.dumps(blocks, ensure_ascii=False), batch_lines.end(state)]
    lines += [said for _, said in batch_lines.calls(state)]
    lines += [batch_lines.reminder(state.to_approve)] if state.to_approve else []
    lines.append(batch_replies.decided(batch.APPROVE, state.actions, {}).text)
    for said in lines:
        assert_agrees(said)
    title = blocks[0]["text"]["text"]
    assert (f"{count} gateway" in title) or count == 1
    assert ("production" in title) is production


@given(COUNTS)
def test_of_lines_that_do_not_fit_the_details(count: int) -> None:
    action = asked(1)
    assert_agrees(json.dumps(details.modal(action)["blocks"]))
    assert_agrees(action_view.render(action)[0])
