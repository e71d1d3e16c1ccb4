"""The Home tab: what somebody has to do comes first, and it always fits into Slack's bounds."""

import datetime
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.sandbox.slack.blocks import check_view
from deploy.access import Environment, Freeze
from deploy.actions.action import Action, State
from deploy.actions.audit import AuditEntry
from deploy.actions.windows import Window
from deploy.annotations import MANAGER
from deploy.errors import Unavailable
from deploy.expiry.automatic import Automatic, turn_at
from deploy.expiry.prospects import Prospect
from deploy.gateway import GatewayRef
from deploy.health.attention import BROKEN, SOON, WRONG, Attention, Sign
from deploy.health.fleet import Row, rows_of
from deploy.health.heartbeat import Heartbeat, PodHeartbeat
from deploy.health.levels import Seen
from deploy.health.status import GatewaySummary
from deploy.plans.requests import RestartRequest
from handlers.views import home as view
from handlers.views.home import Home
from handlers.views.renewals import Rotation
from handlers.views.text import date
from handlers.views.words import home as words
from tests.support.actions import by_approvers, plan_of

NOW = 1_800_000_000.0
DAY = 86_400.0
ENVIRONMENTS = (
    Environment("production-west", namespaces=("prod",), production=True),
    Environment("development"),
)
BLOCKS = 100


def where(ref: GatewayRef) -> Environment:
    return ENVIRONMENTS[0] if ref.namespace == "prod" else ENVIRONMENTS[1]


def action(name: str, namespace: str = "prod", state: State = State.PENDING) -> Action:
    ref = GatewayRef("west", namespace, name)
    plan = plan_of(ref, f"plan of {name}")
    return Action(
        id=f"ID{name}"[:12], kind="restart", ref=ref, state=state, version=1, requester="U0ANA",
        person="U0ANA", policy=by_approvers(), digest=plan.digest, request=RestartRequest(ref, ""),
        plan=plan, origin={"channel": "C1"}, created_at=NOW - 60, expires_at=NOW + 3600,
        updated_at=NOW,
    )  # fmt: skip


def summary(name: str, namespace: str = "dev", *found: Attention, **more: Any) -> GatewaySummary:
    fields: dict[str, Any] = {
        "ref": GatewayRef("west", namespace, name),
        "gateway": name,
        "tag": "2.11.1",
        "desired": 3,
        "ready": 0 if any(each.sign is Sign.DOWN for each in found) else 3,
        "updated": 3,
        "available": 3,
        "created_at": NOW - DAY,
        "managed_by": MANAGER,
        "findings": found,
    }
    return GatewaySummary(**(fields | more))


def rows(*summaries: GatewaySummary) -> tuple[Row, ...]:
    seen = {each.ref: Seen(Heartbeat("no trouble seen", "No trouble"), NOW) for each in summaries}
    return rows_of(summaries, seen, (), ENVIRONMENTS)


DOWN = Attention(BROKEN, Sign.DOWN, "It is down: 0 of 3 pods are ready.")
EXPIRED = Attention(BROKEN, Sign.TOKEN_EXPIRED, "Its token has expired.")
CRASHING = Attention(WRONG, Sign.CRASHING, "1 pod crashes again and again.")
RESTARTED = Attention(SOON, Sign.RESTARTED, "A pod has been restarted 4 times.")


def drawn(**home: Any) -> list[Any]:
    found: list[Any] = view.view(Home("U0BEN", NOW, **home), where)["blocks"]
    return found


def titles(blocks: list[Any]) -> list[str]:
    return [block["text"]["text"] for block in blocks if block["type"] == "header"]


def text_of(blocks: list[Any]) -> str:
    return json.dumps(blocks, ensure_ascii=False)


def window(name: str) -> Window:
    ref = GatewayRef("west", "prod", name)
    return Window("w1", 1, ref, "U0ANA", "U0BEN", "repairs", NOW, NOW + 600, 600.0, shown=True)


def entry(number: int, event: str = "succeeded") -> AuditEntry:
    detail = json.dumps({"happened": "3 of 3 pods ready. " * 20})
    return AuditEntry(
        number, NOW, event, "U0ANA", "ABCDEF", "deploy", "west/dev/edge-1", detail, ""
    )


def freeze(days: float = 1) -> tuple[Environment, Freeze]:
    starts = datetime.datetime.fromtimestamp(NOW - DAY + days * DAY - DAY, datetime.UTC)
    return ENVIRONMENTS[0], Freeze("Year end", starts, starts + datetime.timedelta(days=3))


def test_what_waits_for_its_reader_comes_first_and_help_is_one_button_at_the_end() -> None:
    blocks = drawn(
        decide=[action("edge-2")],
        asked=[action("edge-3", "dev")],
        rows=rows(
            summary("edge-1", "dev", CRASHING),
            summary("edge-5", token_expires_at=NOW + DAY, token_source="token"),
        ),
        freezes=[freeze()],
        windows=[window("edge-2")],
        changes=[entry(1)],
        own=rows(summary("edge-4")),
    )
    assert titles(blocks) == [
        words.DECIDE, words.ASKED, words.ATTENTION, words.TOKENS, words.FREEZES, words.CHANGES,
        words.OTHER_GATEWAYS,
    ]  # fmt: skip
    assert [each["text"]["text"] for each in blocks[-1]["elements"]][-1] == words.HELP
    assert words.REFRESH in text_of(blocks[-1:])


def test_a_production_outage_comes_before_everything_else_that_needs_attention() -> None:
    blocks = drawn(
        rows=rows(
            summary("a-restarted", "dev", RESTARTED),
            summary("b-crashing", "prod", CRASHING),
            summary("c-down", "dev", DOWN),
            summary("d-expired", "prod", EXPIRED),
            summary("e-down", "prod", DOWN),
        )
    )
    said = [block["text"]["text"] for block in blocks if block["type"] == "section"]
    first = ["e-down", "c-down", "d-expired", "b-crashing", "a-restarted"]
    assert [next(name for name in first if name in text) for text in said[:5]] == first
    assert words.outage("e-down") in said[0]


def test_production_is_said_where_a_request_is_decided() -> None:
    (line,) = (
        b for b in drawn(decide=[action("edge-2")]) if b["type"] == "section" and "accessory" in b
    )
    assert "🔶 Restart edge-2 on west/prod (production-west)" in line["text"]["text"]
    assert line["accessory"]["action_id"] == view.REVIEW


def test_a_section_that_is_cut_says_how_many_are_left_and_opens_all_of_them() -> None:
    blocks = drawn(decide=[action(f"edge-{number}") for number in range(20)])
    (button,) = (
        each for block in blocks[:-1] if block["type"] == "actions" for each in block["elements"]
    )
    assert button["text"]["text"] == "and 12 more…"
    assert (button["action_id"], button["value"]) == (view.MORE, "pending")


def test_a_gateway_offers_what_may_be_done_with_it() -> None:
    (ours, others) = (
        [option["value"] for option in block["accessory"]["options"]]
        for block in drawn(rows=rows(summary("edge-1"), summary("helm", managed_by="helm")))
        if block.get("accessory", {}).get("action_id") == view.MENU
    )
    assert [value.split()[0] for value in ours] == [
        view.STATUS, view.LOGS, view.RESTART, view.ROTATE, view.DEPLOY,
    ]  # fmt: skip
    assert [value.split()[0] for value in others] == [view.STATUS, view.LOGS]


def test_what_cannot_be_read_is_named_and_hides_nothing_else() -> None:
    blocks = drawn(
        rows=rows(summary("edge-1")),
        failed={"east": Unavailable("The cluster “east” does not answer.")},
        unread=[(words.CHANGES, "Redis cannot be used now.")],
        notes=["The pods of “west” are not known: no rights."],
    )
    assert "The pods of “west” are not known" in text_of(blocks)
    assert "does not answer" in text_of(blocks)
    assert words.CHANGES in text_of(blocks)
    assert "edge-1" in text_of(blocks)


def test_a_freeze_that_begins_soon_is_shown_before_it_refuses_anything() -> None:
    assert "is frozen until" in text_of(drawn(freezes=[freeze(1)]))
    assert "will be frozen from" in text_of(drawn(freezes=[freeze(2.5)]))


def test_a_quiet_day_says_so() -> None:
    assert words.QUIET in text_of(drawn(rows=rows(summary("edge-1"))))
    assert words.NO_GATEWAYS in text_of(drawn())


def test_two_readings_of_the_same_state_are_the_same_tab_and_a_changed_one_is_another() -> None:
    early, late = (Home("U0BEN", at, decide=[action("edge-2")]) for at in (NOW, NOW + 90))
    assert view.digest(early, where) == view.digest(late, where)
    assert view.view(early, where) != view.view(late, where)
    assert view.digest(Home("U0BEN", NOW), where) != view.digest(early, where)


NAMES = st.integers(0, 60).map(lambda number: f"{number:03}-{'long-name-' * 5}"[:50])


@settings(max_examples=30, deadline=None)
@given(
    requests=st.lists(NAMES, max_size=60),
    gateways=st.lists(NAMES, max_size=60, unique=True),
    found=st.sampled_from([(), (DOWN,), (CRASHING, EXPIRED)]),
    names=st.integers(0, 30),
)
def test_the_tab_fits_into_slacks_bounds_whatever_it_holds(
    requests: list[str], gateways: list[str], found: tuple[Attention, ...], names: int
) -> None:
    every = rows(
        *(
            summary(name, "prod", *found, token_expires_at=NOW + DAY, token_source="token")
            for name in gateways
        )
    )
    blocks = drawn(
        decide=[action(name) for name in requests],
        asked=[action(name, state=State.RUNNING) for name in requests],
        rows=every,
        own=every[:40],
        failed={f"cluster-{n}": Unavailable("It does not answer. " * 60) for n in range(names)},
        freezes=[freeze()] * names,
        windows=[window("edge-2")] * names,
        changes=[entry(number) for number in range(names)],
        unread=[(words.ASKED, "Redis cannot be used now. " * 40)] * names,
        notes=["The pods of “west” are not known. " * 40] * names,
    )
    assert len(blocks) <= BLOCKS
    assert check_view({"type": "home", "blocks": blocks}) == []


def test_ready_pods_of_the_previous_version_are_not_shown_as_running_the_new_image() -> None:
    whole, partly = summary("edge-1"), summary("edge-2", updated=1)
    text = text_of(drawn(rows=rows(whole, partly)))
    assert "3 of 3 pods ready · image `2.11.1`" in text
    assert "3 of 3 pods ready · 1 of 3 updated to `2.11.1`" in text


def test_what_makes_a_gateway_red_is_what_is_said_of_it() -> None:
    expiring = summary(
        "edge-1", "dev", Attention(SOON, Sign.TOKEN_EXPIRES, "It expires in 5 days.")
    )
    cut_off = Seen(Heartbeat("cut off", "2 of 2 pods: Azure cannot be reached"), NOW)
    (row,) = rows_of((expiring,), {expiring.ref: cut_off}, (), ENVIRONMENTS)
    text = text_of(drawn(rows=(row,)))
    assert "Cut off from Azure: Azure cannot be reached" in text
    assert "It expires in 5 days" not in text, "of a gateway that is cut off its link is said first"


def test_pods_that_run_and_are_not_ready_are_told_from_those_that_do_not_run() -> None:
    down = summary("edge-1", "dev", DOWN)
    said = PodHeartbeat("edge-1-a", "unknown", "running, but not ready")
    seen = Seen(Heartbeat("unknown", "3 of 3 pods: running, but not ready", pods=(said,)), NOW)
    (row,) = rows_of((down,), {down.ref: seen}, (), ENVIRONMENTS)
    text = text_of(drawn(rows=(row,)))
    assert "Running, but not ready.\\n0 of 3 pods ready" in text
    assert "It is down" not in text


def test_a_gateway_in_need_of_attention_is_shown_there_alone_with_why_its_pods_do_not_run() -> None:
    pull = 'ErrImagePull: rpc error: failed to pull "mcr.example/gateway:2.99.0": not found'
    found = (DOWN, Attention(WRONG, Sign.NOT_RUNNING, f"3 of 3 pods not running: {pull}"))
    blocks = drawn(rows=rows(summary("edge-1", "dev", *found), summary("edge-2")))
    text = text_of(blocks)
    assert text.count("*edge-1*") == 1
    assert "Not running: the registry does not have this image." in text
    assert "0 of 3 pods ready · image `2.11.1`" in text
    assert "rpc error" not in text
    assert titles(blocks) == [words.ATTENTION, words.OTHER_GATEWAYS]


EXPIRES = Attention(SOON, Sign.TOKEN_EXPIRES, "Its token expires in 19 hours.")


def expiring(
    name: str = "edge-1", *found: Attention, days: float = 1, **more: Any
) -> GatewaySummary:
    at = NOW + days * DAY
    fields = {"token_expires_at": at, "token_source": "token"} | more
    return summary(name, "dev", *(found or (EXPIRES,)), **fields)


def entry_of(blocks: list[Any], name: str = "edge-1") -> Any:
    """The one block that shows that gateway."""
    (block,) = (b for b in blocks if f"*{name}*" in b.get("text", {}).get("text", ""))
    return block


def rotating(mode: Any, before: float, channel: str = "C1") -> dict[str, Rotation]:
    return {"development": Rotation(Automatic(mode, before * DAY), channel)}


def test_a_token_that_expires_says_how_it_is_renewed_by_the_settings() -> None:
    def said(rotations: dict[str, Rotation], **more: Any) -> str:
        row = rows(expiring(**more))
        text: str = entry_of(drawn(rows=row, rotations=rotations))["text"]["text"]
        assert text.startswith(
            ":key: *edge-1*  `west/dev` (development)\nIts token expires <!date^"
        )
        return text

    turn = date(turn_at(GatewayRef("west", "dev", "edge-1"), NOW + 5 * DAY, 2 * DAY))
    assert f"It is renewed automatically {turn}." in said(rotating("auto", 2), days=5)
    assert "It is renewed automatically as soon as possible." in said(rotating("auto", 7))
    asked = said(rotating("ask", 2), days=5)
    assert f"The bot asks in <#C1> whether to renew it: {turn}." in asked
    due = said(rotating("ask", 7))
    assert "The bot asks for approval in <#C1>, and renews the token once approved." in due
    for rotations in (rotating("off", 7), {}):
        assert said(rotations).endswith("It is not renewed automatically: rotate it.")
    theirs = said({}, managed_by="Helm")
    assert theirs.endswith("To have the bot keep it valid: `/gateway manage-token west/dev/edge-1`")
    assert "does not change a StatefulSet" in said({}, kind="StatefulSet")


def renewal(mode: Any, *others: GatewaySummary, days: float = 5, **home: Any) -> str:
    """What is said of how the token of edge-1 is renewed, where its turn is two days before it expires."""
    given = {"rotations": rotating(mode, 2), **home}
    blocks = drawn(rows=rows(expiring(days=days), *others), **given)
    text: str = entry_of(blocks)["text"]["text"].partition("\n")[2]
    return text.partition("UTC>. ")[2]


def frozen_for(first: float, last: float, name: str = "development") -> tuple[Environment, Freeze]:
    """A freeze between these days from now."""
    starts, ends = (
        datetime.datetime.fromtimestamp(NOW + days * DAY, datetime.UTC) for days in (first, last)
    )
    return Environment(name), Freeze("Year end", starts, ends)


def test_a_freeze_postpones_what_would_begin_in_it() -> None:
    ends = date(NOW + 4 * DAY)
    for freezes in ([frozen_for(-1, 4)], [frozen_for(2, 3.5), frozen_for(3.2, 4)]):
        said = renewal("auto", freezes=freezes)
        assert said == f"It is renewed automatically once the freeze ends: {ends}."
        asked = renewal("ask", freezes=freezes)
        assert asked == f"The bot asks in <#C1> whether to renew it once the freeze ends: {ends}."
    turn = date(turn_at(GatewayRef("west", "dev", "edge-1"), NOW + 5 * DAY, 2 * DAY))
    for freezes in ([frozen_for(-1, 1)], [frozen_for(-1, 4, "production-west")]):
        assert renewal("auto", freezes=freezes) == f"It is renewed automatically {turn}."
    due = renewal("auto", days=1, freezes=[frozen_for(-1, 0.5)])
    assert due == f"It is renewed automatically once the freeze ends: {date(NOW + DAY / 2)}."
    assert words.FREEZES not in titles(drawn(freezes=[frozen_for(2, 3)]))


def test_no_renewal_is_promised_that_will_not_begin() -> None:
    for mode in ("auto", "ask"):
        stopped = renewal(mode, prospects={"development": Prospect(stopped=True)})
        assert "after failures, rotation in development is stopped" in stopped
        for state in (State.DENIED, State.CANCELLED, State.STOPPED):
            ended = Prospect(ended={GatewayRef("west", "dev", "edge-1"): state})
            said = renewal(mode, prospects={"development": ended})
            assert said.startswith(
                "It is not renewed automatically, because its last rotation ended as"
            )
            assert state.value in said
        done = Prospect(ended={GatewayRef("west", "dev", "edge-1"): State.SUCCEEDED})
        assert "renewed already" in renewal(mode, prospects={"development": done})
        assert "no channel" in renewal(mode, rotations=rotating(mode, 2, channel=""))
        assert renewal(mode, prospects=None) == ""


def test_whoever_else_may_have_to_approve_an_automatic_renewal_is_named() -> None:
    other = summary("edge-1-blue", "prod", gateway="edge-1")
    said = renewal("auto", other)
    assert said.endswith("Approvers of production-west may have to approve it.")
    assert "renewed automatically" not in said
    assert "production-west" not in renewal("auto", summary("edge-2", "prod"))


def test_the_menu_of_a_token_that_expires_renews_it_beside_all_that_any_menu_does() -> None:
    def offered(*found: Attention, **more: Any) -> list[str]:
        accessory = entry_of(drawn(rows=rows(expiring("edge-1", *found, **more))))["accessory"]
        assert accessory["action_id"] == view.MENU
        return [option["value"].split()[0] for option in accessory["options"]]

    every = [view.STATUS, view.LOGS, view.RESTART, view.ROTATE, view.DEPLOY]
    for found in ((), (CRASHING,)):
        assert offered(*found) == every
        theirs = {"managed_by": "Helm"}
        assert offered(*found, **theirs) == [view.STATUS, view.LOGS, view.KEEP]
        kept = offered(*found, **theirs, token_kept=True)
        assert kept == [view.STATUS, view.LOGS, view.ROTATE]


def test_one_and_several_are_counted_in_plain_words() -> None:
    assert words.left(1).startswith("1 more request is open.")
    assert words.left(2).startswith("2 more requests are open.")
    assert words.cluster_unread("east", "No.", 1).endswith("Its 1 gateway is shown as last seen.")
    assert words.cluster_unread("east", "No.", 2).endswith("Its 2 gateways are shown as last seen.")


def test_a_gateway_of_which_only_the_token_expires_is_shown_under_one_heading() -> None:
    blocks = drawn(rows=rows(expiring(), summary("edge-2")))
    assert titles(blocks) == [words.TOKENS, words.OTHER_GATEWAYS]
    assert entry_of(blocks)
    assert words.QUIET not in text_of(blocks)


def test_of_a_gateway_in_trouble_the_token_is_said_there_and_nowhere_else() -> None:
    blocks = drawn(rows=rows(expiring("edge-1", CRASHING, EXPIRES)))
    assert titles(blocks) == [words.ATTENTION]
    text = entry_of(blocks)["text"]["text"]
    assert "crashes again and again" in text
    assert text.count("Its token expires <!date^") == 1
    assert "not renewed automatically" in text
    expired = entry_of(drawn(rows=rows(expiring("edge-1", EXPIRED, days=-1))))["text"]["text"]
    assert "Its token expired <!date^" in expired
    assert "Its token has expired." not in expired


def test_what_cannot_be_read_is_named_once() -> None:
    blocks = drawn(unread=[(words.FREEZES, "Redis is away.")] * 2, notes=["No rights."] * 2)
    assert text_of(blocks).count("Redis is away.") == text_of(blocks).count("No rights.") == 1


def test_whatever_needs_attention_says_what_to_do_about_it() -> None:
    pull = 'ErrImagePull: failed to pull "mcr.example/gateway:2.99.0": not found'
    cut_off = Seen(Heartbeat("cut off", "Azure cannot be reached"), NOW)
    missing = Attention(WRONG, Sign.NOT_RUNNING, f"3 of 3 pods not running: {pull}")
    unknown = Attention(WRONG, Sign.ROLLOUT_FAILED, "Its rollout failed.")
    refused = Attention(WRONG, Sign.TOKEN_REFUSED, "Azure refuses its token.")
    several = (
        (summary("edge-1", "dev", DOWN, missing), "Deploy a tag that exists"),
        (
            summary("edge-2", "dev", CRASHING),
            "Read the log from before the last restart: `/gateway logs west/dev/edge-2 --previous`",
        ),
        (summary("edge-3", "dev"), "Check DNS, proxy and firewall between the pods and Azure."),
        (expiring("edge-5", refused, EXPIRES), "Renew it: `/gateway rotate west/dev/edge-5`."),
        (summary("edge-4", "dev", unknown), "Find out why: `/gateway status west/dev/edge-4`."),
    )
    well = Seen(Heartbeat("no trouble seen", "x"), NOW)
    seen = {each.ref: cut_off if each.ref.name == "edge-3" else well for each, _ in several}
    every = rows_of(tuple(each for each, _ in several), seen, (), ENVIRONMENTS)
    blocks = drawn(rows=every)
    for each, step in several:
        text = entry_of(blocks, each.ref.name)["text"]["text"]
        assert f"*What to do:* {step}" in text, text


def test_that_no_production_gateway_is_among_those_in_need_is_said_where_it_is_known() -> None:
    production = summary("edge-9", "prod")
    quiet = drawn(rows=rows(summary("edge-1", "dev", CRASHING), production))
    assert words.NOT_PRODUCTION in text_of(quiet)
    hit = summary("edge-9", "prod", RESTARTED)
    away = {"east": Unavailable("It does not answer.")}
    for blocks in (
        drawn(rows=rows(summary("edge-1", "dev", CRASHING), hit)),
        drawn(rows=rows(summary("edge-1", "dev", CRASHING), production), failed=away),
        drawn(rows=rows(production)),
    ):
        assert words.NOT_PRODUCTION not in text_of(blocks)


def test_gateways_that_are_cut_off_for_the_same_reason_are_counted_together() -> None:
    def all_cut_off(*names: str, beside: bool = True) -> str:
        by = "Azure cannot be reached"
        summaries = tuple(summary(name) for name in names)
        beats = (f"2 of 2 pods: {by}", by)
        seen = {
            each.ref: Seen(Heartbeat("cut off", beats[number % 2]), NOW)
            for number, each in enumerate(summaries)
        }
        broken = summary("edge-9", "dev", CRASHING)
        seen[broken.ref] = Seen(Heartbeat("no trouble seen", "x"), NOW)
        found = (*summaries, broken) if beside else summaries
        return text_of(drawn(rows=rows_of(found, seen, (), ENVIRONMENTS)))

    assert "Both are cut off from Azure for the same reason." in all_cut_off("a", "b", beside=False)
    assert "2 of them are cut off from Azure for the same reason." in all_cut_off("a", "b")
    assert "for the same reason" not in all_cut_off("a")
