"""What one person alone is shown has the buttons that they may click, and says why not the others."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.access import Environment
from deploy.actions.action import Action, State
from deploy.policy import Policy
from handlers.views import action as action_view
from handlers.views import approvals
from handlers.views.allowed import (
    APPROVE,
    CANCEL,
    CONFIRM,
    DENY,
    JUDGED,
    Allowed,
    for_requester,
    only,
)
from tests.support.actions import by_approvers, plan_of
from tests.support.shown import check_blocks, shown_action


def buttons(blocks: Sequence[dict[str, Any]]) -> set[str]:
    return {e["action_id"] for b in blocks if b["type"] == "actions" for e in b["elements"]}


ALLOWED = st.builds(
    Allowed,
    st.sets(st.sampled_from(sorted(JUDGED))).map(frozenset),
    st.sampled_from(["", "You asked for this."]),
    st.booleans(),
)


@given(st.sampled_from(list(State)), st.sampled_from([Policy(), by_approvers()]), ALLOWED)
def test_nobody_is_shown_a_button_that_is_not_theirs(
    state: State, policy: Policy, allowed: Allowed
) -> None:
    _, whole = action_view.render(shown_action(state, policy=policy))
    shown = only(whole, allowed)
    check_blocks(shown)
    assert buttons(shown) & JUDGED == buttons(whole) & allowed.buttons
    assert buttons(shown) - JUDGED == buttons(whole) - JUDGED, "anybody may look"
    assert allowed.note in json.dumps(shown)


def test_why_somebody_cannot_approve_stands_where_the_buttons_are() -> None:
    asked = shown_action(State.PENDING, policy=by_approvers())
    reply = approvals.plan_to_approve(
        asked, lambda ref: Environment("production", production=True),
        Allowed(frozenset({CANCEL}), "You requested this, so somebody else must approve or deny it."),
    )  # fmt: skip
    note, last = reply.blocks[-2:]
    assert note["elements"][0]["text"].startswith("You requested this")
    assert buttons([last]) == {CANCEL, "action_details"}


def rows(count: int, decides: int = 0) -> list[tuple[Action, Allowed]]:
    everything = Allowed(frozenset({APPROVE, DENY}), "You can approve or deny this.", decides=True)
    nothing = Allowed(
        frozenset(), "You are not an approver of this. Only <!subteam^S1> can approve."
    )
    return [
        (
            shown_action(State.PENDING, id=f"AAAA{n:02}", policy=by_approvers(2), plan=plan_of()),
            everything if n >= count - decides else nothing,
        )
        for n in range(count)
    ]


@given(st.integers(0, 40), st.integers(0, 40))
def test_open_requests_are_counted_and_all_of_them_are_accounted_for(
    count: int, deciding: int
) -> None:
    deciding = min(count, deciding)
    reply = approvals.pending(rows(count, deciding), "U9")
    check_blocks(list(reply.blocks))
    said = json.dumps(reply.blocks)
    if not count:
        assert reply.text == "No requests are open."
        return
    assert reply.text.startswith("1 open request" if count == 1 else f"{count} open requests")
    assert ("for you to decide" in reply.text) is bool(deciding)
    shown = said.count("action_show")
    left = count - shown
    assert (f"{left} more request" in said) is bool(left)
    assert " 1 more requests" not in said
    if deciding:
        first = next(b for b in reply.blocks if b["type"] == "section")
        assert "You can approve or deny this." in first["text"]["text"]


def test_the_list_says_what_changes_where_and_what_is_needed() -> None:
    reply = approvals.pending(
        rows(1), "U9", environment_of=lambda ref: Environment("production", production=True)
    )
    text = reply.blocks[1]["text"]["text"]
    assert "🔶 Deploy edge-1 to west/dev (production)" in text
    assert "replicas 1 → 2" in text
    assert "Needs 2 approvals from <!subteam^S1>." in text
    assert "You are not an approver of this." in text


@pytest.mark.parametrize("policy", [Policy(), by_approvers()])
def test_a_message_in_the_requester_s_direct_messages_has_their_buttons(policy: Policy) -> None:
    asked = shown_action(State.PENDING, policy=policy)
    shown = buttons(only(action_view.render(asked)[1], for_requester(asked)))
    assert CANCEL in shown
    assert APPROVE not in shown
    assert DENY not in shown
    assert (CONFIRM in shown) is (policy == Policy())
