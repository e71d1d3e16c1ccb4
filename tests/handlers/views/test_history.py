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
from tests.support.largest import PRODUCTION
from tests.support.statuses import DETAIL

REF = GatewayRef("west", "dev", "edge-1")


def entry(event: str, detail: str) -> AuditEntry:
    return AuditEntry(1, 1.0, event, "U0BEN", "7K3MAB", "deploy", str(REF), detail, "")


def story(*events: tuple[str, str], action: str = "7K3MAB", at: float = 1.0) -> list[AuditEntry]:
    """What happened to an action, the newest first as the trail has it: events and who did each."""
    made = [
        dataclasses.replace(entry(event, ""), at=at + n, who=who, subject=action)
        for n, (event, who) in enumerate(events)
    ]
    return made[::-1]


def shown(entries: list[AuditEntry], decided: dict[str, view.Decided] | None = None) -> list[str]:
    """The lines below the title."""
    return str(view.trail(entries, decided or {}).blocks[1]["text"]["text"]).splitlines()


def test_an_action_takes_two_lines_how_it_stands_and_who_did_what() -> None:
    entries = story(
        ("pending", "U0ANA"), ("approved", "U0BEN"), ("running", "bot-1"), ("succeeded", "bot-1")
    )
    entries[0] = dataclasses.replace(entries[0], detail=json.dumps({"happened": "3 of 3 ready"}))
    assert shown(entries, {"7K3MAB": view.Decided("approvers")}) == [
        "deploy `west/dev/edge-1`: *succeeded* (`7K3MAB`)",
        f"{date(4.0)} · requested by <@U0ANA>, approved by <@U0BEN>: 3 of 3 ready.",
    ]


def test_history_says_why_something_was_denied_or_snoozed_and_how_it_ended() -> None:
    whys = {
        ("denied", "not before <Monday>"): "denied by <@U0BEN>: not before &lt;Monday&gt;.",
        ("failed", json.dumps({"happened": "Azure does not answer.", "meaning": "so"})): (
            "failed by <@U0BEN>: Azure does not answer."
        ),
        ("snoozed", json.dumps({"until": 5, "reason": "replaced on Friday"})): (
            "snoozed by <@U0BEN>: replaced on Friday."
        ),
        ("approved", "5d1c02aa91ff"): "decided by <@U0BEN>",
        ("pending", "[1, 2]"): "requested by <@U0BEN>",
    }
    for (event, detail), said in whys.items():
        _, line = shown([entry(event, detail)])
        assert line == f"{date(1.0)} · {said}"


def test_entries_of_two_actions_are_in_the_order_of_time() -> None:
    mixed = story(("pending", "U0ANA"), ("succeeded", "bot"), action="AAAAAA", at=1.0)
    mixed += story(("pending", "U0ANA"), ("failed", "bot"), action="BBBBBB", at=5.0)
    titles = [line for line in shown(mixed) if line.startswith("deploy")]
    assert ["AAAAAA" in line for line in titles] == [False, True]


def test_what_is_production_is_marked_also_where_it_no_longer_runs() -> None:
    told = view.trail([entry("pending", "")], environment_of=lambda ref: PRODUCTION)
    assert "deploy 🔶 `west/dev/edge-1`" in str(told.blocks)
    of_one = view.revisions(REF, [], [], "/gateway", environment=PRODUCTION)
    assert of_one.blocks[0]["text"]["text"].startswith("🔶 Revisions of edge-1 on west/dev")


def test_what_is_no_action_has_no_id_that_could_be_asked_for() -> None:
    snoozed = dataclasses.replace(entry("snoozed", "{}"), subject=f"expiry-{REF}", kind="expiry")
    assert "expiry-" not in json.dumps(view.trail([snoozed]).blocks)
    (said,) = [
        block["text"]["text"]
        for block in status_more.modal(DETAIL, 61.0, [snoozed])["blocks"]
        if "Last actions" in str(block)
    ]
    assert said.startswith("*Last actions*\nexpiry")
    assert said.endswith(f": *snoozed*\n{date(1.0)} · by <@U0BEN>")


def test_the_revision_that_is_asked_for_is_marked_though_older_pods_serve() -> None:
    known = [
        Revision(
            3, "gateway:2.10.0", 9.0, pods=1, current=True, action="7K3MAB", requester="U1", ready=1
        ),
        Revision(2, "gateway:2.9.0", 1.0, pods=2, current=False),
    ]
    told = view.revisions(REF, known, [], "/gateway")
    assert told.blocks[1]["text"]["text"].split("\n\n") == [
        f"*Revision 3 (current)*: image `2.10.0` · was 2.9.0\n{date(9.0)} by <@U1> (`7K3MAB`) · 1 of 1 pod ready",
        f"*Revision 2*: image `2.9.0` · the oldest that is kept\n{date(1.0)} · 2 pods",
    ]


def test_each_revision_says_what_it_changed_beside_its_version() -> None:
    debug: dict[str, Any] = {"logs": {"level": "debug"}}
    known = [
        Revision(4, "gateway:2.11.0", 0.0, 3, True, spec={}, restarts=("b",), token_secret="t2"),
        Revision(3, "gateway:2.11.0", 0.0, 0, False, spec={}, restarts=("a",), token_secret="t1"),
        Revision(2, "gateway:2.11.0", 0.0, 0, False, spec=debug),
        Revision(1, "gateway:2.10.0", 0.0, 0, False),
    ]
    lines = str(view.revisions(REF, known, [], "/gateway").blocks[1]["text"]["text"])
    assert [each.splitlines()[0].partition(" · ")[2] for each in lines.split("\n\n")] == [
        "restart, new token",
        "changed logs.level, new token",
        "was 2.10.0",
        "",
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
    long = [
        dataclasses.replace(entry("denied", f"{n:02}" + "w" * 400), subject=f"7K3M{n:02}")
        for n in range(view.SHOWN + 1)
    ]
    known = [Revision(3, "gateway:2.10.0", 0.0, pods=1, current=True)]
    for told in (view.trail(long), view.revisions(REF, known, long, "/gateway")):
        shown = json.dumps(told.blocks)
        assert all(f": {n:02}" in shown for n in range(view.SHOWN))
        assert f": {view.SHOWN:02}" not in shown
        assert f"Only the last {view.SHOWN} are shown." in shown
        assert len(Block.parse_all(list(told.blocks))) == len(told.blocks)
    assert "Only the last" not in json.dumps(view.trail(long[:-1]).blocks)
    cut_off = story(*[("keep waiting", "U0ANA")] * view.READ)
    assert "Only the last 1 are shown." in json.dumps(view.trail(cut_off).blocks)


def test_history_calls_a_confirmation_a_confirmation_and_names_whose_window_it_was_in() -> None:
    def said(decided: view.Decided | None) -> str:
        known = {"7K3MAB": decided} if decided else {}
        return str(view.trail([entry("approved", "5d1c")], known).blocks[1]["text"]["text"])

    assert said(view.Decided("approvers")).endswith("· approved by <@U0BEN>")
    assert said(view.Decided("requester")).endswith("· confirmed by <@U0BEN>")
    within = view.Decided("requester", window=True, opened_by="U0CHEN")
    assert said(within).endswith("confirmed by <@U0BEN> within <@U0CHEN>'s approval window")
    forgotten = view.Decided("requester", window=True)
    assert said(forgotten).endswith("confirmed by <@U0BEN> within an approval window")
    assert said(None).endswith("decided by <@U0BEN>"), "nothing says any longer which it was"


def test_history_says_how_an_action_stands_whatever_happened_to_it_last() -> None:
    for last, state in (("pending", "pending"), ("taken over", "running"), ("stop", "stopping")):
        assert f": *{state}* (" in shown(story(("pending", "U0ANA"), (last, "U0ANA")))[0]
    for each in State:
        assert shown(story((each.value, "bot")))[0].count("*") == 2


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
    assert f"and {missing} less severe findings not shown here" in shown


def test_a_way_back_is_offered_only_where_there_is_one() -> None:
    one = Revision(1, "gateway:2.10.0", 0.0, 1, True)
    assert "--to-revision" not in json.dumps(view.revisions(REF, [one], [], "/gateway").blocks)
    now, before = dataclasses.replace(one, number=2), dataclasses.replace(one, current=False)
    shown = json.dumps(view.revisions(REF, [now, before], [], "/gateway").blocks)
    assert "To go back to revision N: `/gateway rollback edge-1 --to-revision N`." in shown
    differs = dataclasses.replace(before, image="gateway:2.9.0", spec={"image": {"tag": "2.9.0"}})
    shown = json.dumps(view.revisions(REF, [now, differs], [], "/gateway").blocks)
    assert "To go back to image `2.9.0`: `/gateway rollback edge-1 --to-revision 1`." in shown


def test_a_rollout_that_was_stopped_and_ended_well_all_the_same_needs_nothing() -> None:
    now = Revision(2, "gateway:2.12.0", 0.0, 2, True, action="7K3MAB", ready=2)
    stopped = story(("running", "bot-1"), ("stopped", "bot-1"))
    keep = "All pods are ready on `2.12.0`. No action is needed to keep it."
    for known, entries, said in (
        (now, stopped, True),
        (dataclasses.replace(now, ready=1), stopped, False),
        (now, story(("running", "bot-1"), ("succeeded", "bot-1")), False),
    ):
        told = json.dumps(view.revisions(REF, [known], entries, "/gateway").blocks)
        assert (keep in told) is said
        assert f"{known.ready} of 2 pods ready" in told


def test_what_one_person_did_is_listed_as_people_write_it() -> None:
    entries = story(("pending", "U0ANA"), ("approved", "U0ANA"), ("stop", "U0ANA"))
    _, line = shown(entries, {"7K3MAB": view.Decided("requester")})
    assert line.endswith("requested, confirmed and stopped by <@U0ANA>")


def test_the_current_revision_says_where_its_rollout_did_not_end_well() -> None:
    now = Revision(2, "gateway:2.12.0", 0.0, 2, True, action="7K3MAB")
    for event, said in (
        ("stopped", "*Revision 2 (current, rollout stopped)*"),
        ("failed", "*Revision 2 (current, rollout failed)*"),
        ("succeeded", "*Revision 2 (current)*"),
    ):
        entries = story(("running", "bot-1"), (event, "bot-1"))
        told = json.dumps(view.revisions(REF, [now], entries, "/gateway").blocks)
        assert said in told


def test_a_revision_that_was_brought_back_has_the_date_of_that_and_hides_what_was_before_others() -> (
    None
):
    spec: dict[str, Any] = {"image": {"tag": "2.11.2"}}
    known = [
        Revision(4, "gateway:2.12.1", 1.0, 2, True, action="J7EM3D", ready=2, again=True),
        Revision(3, "gateway:2.12.0", 2.0, 0, False, action="7K3MAB", spec=spec),
        Revision(1, "gateway:2.11.2", 0.5, 0, False, action="OLDEST", spec=spec),
    ]
    entries = [
        *story(("running", "bot-1"), ("stopped", "bot-1")),
        *story(("running", "bot-1"), action="J7EM3D", at=500.0),
    ]
    told = view.revisions(REF, known, entries, "/gateway")
    newest, stopped, oldest = told.blocks[1]["text"]["text"].split("\n\n")
    assert newest.startswith(f"*Revision 4 (current)*: image `2.12.1` · was 2.12.0\n{date(500.0)}")
    assert stopped.startswith("*Revision 3 (rollout stopped)*: image `2.12.0`\n")
    assert oldest.startswith("*Revision 1*: image `2.11.2`\n")
    assert "--to-revision 1`" in json.dumps(told.blocks), "that of a version which came up"
