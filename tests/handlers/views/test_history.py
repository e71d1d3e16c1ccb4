"""What history and check show: what was done and why, and that nothing is left out in silence."""

import dataclasses
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block

from deploy.actions.action import State
from deploy.actions.audit import AuditEntry
from deploy.actions.batches import Unplanned
from deploy.gateway import GatewayRef
from deploy.observed.history import Revision
from deploy.observed.revision_differences import Difference
from deploy.rules.finding import Finding
from handlers.views import batch_replies, status_more
from handlers.views import check as check_view
from handlers.views import history as view
from handlers.views.text import date
from handlers.views.words.revisions import WIDTH, changes
from tests.handlers.views.test_status import DETAIL

REF = GatewayRef("west", "dev", "edge-1")


def entry(event: str, detail: str) -> AuditEntry:
    return AuditEntry(1, 1.0, event, "U0BEN", "7K3MAB", "deploy", str(REF), detail, "")


def test_history_says_why_something_was_denied_or_snoozed_and_how_it_ended() -> None:
    told = view.trail(
        [
            entry("denied", "not before <Monday>"),
            entry("failed", json.dumps({"happened": "Azure does not answer.", "meaning": "so"})),
            entry("snoozed", json.dumps({"until": 5, "reason": "replaced on Friday"})),
            entry("approved", "5d1c02aa91ff"),
            entry("pending", "[1, 2]"),
        ]
    )
    lines = str(told.blocks[1]["text"]["text"]).splitlines()
    assert [line.partition("`7K3MAB`)")[2] for line in lines] == [
        ": not before &lt;Monday&gt;", ": Azure does not answer.", ": replaced on Friday", "", "",
    ]  # fmt: skip


def test_entries_of_two_actions_are_in_the_order_of_time() -> None:
    came = [(3.0, "confirmed"), (1.0, "succeeded"), (2.0, "requested"), (2.0, "started")]
    told = view.lines_of([dataclasses.replace(entry(e, ""), at=at) for at, e in came])
    assert [line.partition(">")[0] for line in told] == [
        date(at).partition(">")[0] for at in (3.0, 2.0, 2.0, 1.0)
    ]
    assert "requested" in told[1], "the same moment keeps the trail's order"


def test_what_is_no_action_has_no_id_that_could_be_asked_for() -> None:
    snoozed = dataclasses.replace(entry("snoozed", "{}"), subject=f"expiry-{REF}", kind="expiry")
    assert "expiry-" not in json.dumps(view.trail([snoozed]).blocks)
    (said,) = [
        block["text"]["text"]
        for block in status_more.modal(DETAIL, 61.0, [snoozed])["blocks"]
        if "Last actions" in str(block)
    ]
    assert said.startswith("*Last actions*\nexpiry snoozed by <@U0BEN> <!date^1^")


def test_the_revision_that_is_asked_for_is_marked_though_older_pods_serve() -> None:
    known = [
        Revision(3, "gateway:2.10.0", 9.0, pods=1, current=True, action="7K3MAB", requester="U1"),
        Revision(2, "gateway:2.9.0", 1.0, pods=2, current=False),
    ]
    told = view.revisions(REF, known, [], "/gateway")
    assert told.blocks[1]["text"]["text"].splitlines() == [
        "*3*  `2.10.0`  *now*",
        "2.9.0 → 2.10.0",
        f"{date(9.0)} by <@U1> (`7K3MAB`) · 1 pod",
        "*2*  `2.9.0`",
        "the oldest that is kept",
        f"{date(1.0)} · 2 pods",
    ]


def test_each_revision_says_what_it_changed_on_a_line_of_its_own() -> None:
    debug: dict[str, Any] = {"logs": {"level": "debug"}}
    known = [
        Revision(4, "gateway:2.11.0", 0.0, 3, True, spec={}, restarts=("b",), token_secret="t2"),
        Revision(3, "gateway:2.11.0", 0.0, 0, False, spec={}, restarts=("a",), token_secret="t1"),
        Revision(2, "gateway:2.11.0", 0.0, 0, False, spec=debug),
        Revision(1, "gateway:2.10.0", 0.0, 0, False),
    ]
    lines = str(view.revisions(REF, known, [], "/gateway").blocks[1]["text"]["text"])
    assert lines.splitlines()[1::3] == [
        "restart, new token",
        "logs.level, new token",
        "2.10.0 → 2.11.0",
        "the oldest that is kept",
    ]


VERSIONS = st.text("0123456789.abc-", max_size=60).map("gateway:{}".format)


@given(
    st.builds(
        Difference,
        st.none() | st.tuples(VERSIONS, VERSIONS),
        st.lists(st.text("abcdef.", min_size=1, max_size=60), max_size=9).map(tuple),
        *[st.booleans()] * 3,
    )
)
def test_a_change_is_never_wider_than_a_phone_and_never_empty(found: Difference) -> None:
    said = changes(found)
    assert 0 < len(said) <= WIDTH
    assert "\n" not in said


def test_a_long_history_is_shown_as_far_as_it_says() -> None:
    long = [entry("denied", f"{n:02}" + "w" * 200) for n in range(view.LINES + 1)]
    known = [Revision(3, "gateway:2.10.0", 0.0, pods=1, current=True)]
    for told in (view.trail(long), view.revisions(REF, known, long, "/gateway")):
        shown = json.dumps(told.blocks)
        assert all(f": {n:02}" in shown for n in range(view.LINES))
        assert f": {view.LINES:02}" not in shown
        assert f"Only the last {view.LINES} entries are shown." in shown
        assert len(Block.parse_all(list(told.blocks))) == len(told.blocks)
    assert "Only the last" not in json.dumps(view.trail(long[:-1]).blocks)


def test_history_calls_a_confirmation_a_confirmation_and_names_whose_window_it_was_in() -> None:
    def said(decided: view.Decided | None) -> str:
        known = {"7K3MAB": decided} if decided else {}
        return str(view.trail([entry("approved", "5d1c")], known).blocks[1]["text"]["text"])

    assert "*approved* by <@U0BEN> (" in said(view.Decided("approvers"))
    assert "*confirmed* by <@U0BEN> (" in said(view.Decided("requester"))
    within = view.Decided("requester", window=True, opened_by="U0CHEN")
    assert "*confirmed* by <@U0BEN> within <@U0CHEN>'s approval window (" in said(within)
    forgotten = view.Decided("requester", window=True)
    assert "*confirmed* by <@U0BEN> within an approval window (" in said(forgotten)
    assert "*decided* by <@U0BEN> (" in said(None), "nothing says any longer which it was"


def test_history_has_words_for_every_event_of_an_action() -> None:
    for state in State:
        assert state.value in view.EVENTS
    shown = view.trail([entry("pending", ""), entry("taken over", "")]).blocks[1]["text"]["text"]
    assert "*requested* by <@U0BEN>" in shown
    assert "*taken over*" not in shown


def test_what_is_left_out_of_several_rotations_is_named_with_the_reason() -> None:
    refused = [
        Unplanned(str(REF), f"{REF} was not deployed by this bot."),
        Unplanned("west", "Cluster “west” does not answer."),
    ]
    told = batch_replies.nothing_planned(refused).blocks[1]["text"]["text"]
    assert told.splitlines() == [
        f":warning: *{REF}*: was not deployed by this bot.",
        ":warning: *west*: Cluster “west” does not answer.",
    ]


def test_findings_that_do_not_fit_are_counted() -> None:
    found = [Finding("r", "warning", "w" * 900, "why", "fix") for _ in range(20)]
    told = check_view.findings(REF, found)
    shown = json.dumps(told.blocks, ensure_ascii=False)
    missing = 20 - shown.count("`r` warning")
    assert missing > 0
    assert f"and {missing} findings that do not fit" in shown
