"""The text of each message: one sentence that a notification shows and a screen reader says. It names
who, what, which gateway, where, and whether that is production."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.access import Environment
from deploy.actions.action import Action, Outcome, State, Vote
from deploy.actions.windows import Window
from deploy.expiry.rotation_stops import RotationStop
from deploy.expiry.tracked import ExpiryFacts, Tracked
from deploy.gateway import GatewayRef
from deploy.health.incidents import CRASH_LOOP, CUT_OFF, Incident, Member
from deploy.health.live_messages import Ending, LiveMessage
from deploy.policy import People, Policy, Requirement
from deploy.rollouts.lost import Remains
from handlers.views import action as action_view
from handlers.views import expiry, incidents, live, logs, lost, window
from handlers.views.notification import first_sentence
from tests.support.actions import REQUESTS, plan_of
from tests.support.shown import check_blocks

REF = GatewayRef("west", "prod", "edge-1")
PRODUCTION = Environment("production-west", production=True)
WHERE = "west/prod/edge-1 (🔶 production-west)"
APPROVERS = Policy((Requirement("production-west", People(groups=("S1",)), 2),))
WINDOW = Policy((Requirement("production-west", People(groups=("S1",)), 1, "w-1"),))
VOTES = (Vote("U2", "ben", "approve", 1.0, "d1"), Vote("U3", "chen", "approve", 1.0, "d1"))
ENDS = {
    State.SUCCEEDED: "2 of 2 pods ready after 9 s. Version 2.11.2 <serves>.",
    State.FAILED: "edge-1-7 cannot pull its image. It is tried again.\nEvery minute.",
    State.STOPPED: "Stopped during the rollout: Kubernetes continues it, and the bot does not.",
    State.UNKNOWN: "20 attempts at this were interrupted.",
    State.SUPERSEDED: "edge-1 has changed on the cluster since this plan was shown.",
}


def where(ref: GatewayRef) -> Environment:
    return PRODUCTION if ref.namespace == "prod" else Environment("development")


def action(kind: str, state: State, **more: Any) -> Action:
    fields: dict[str, Any] = {
        "id": "7K3MAB", "kind": kind, "ref": REF, "state": state, "version": 1, "requester": "U1",
        "person": "ana", "policy": APPROVERS, "digest": "d1", "request": REQUESTS[kind],
        "plan": plan_of(REF), "origin": {"channel": "C1"}, "created_at": 0.0, "expires_at": 60.0,
        "updated_at": 1.0,
    }  # fmt: skip
    if state in ENDS:
        fields["outcome"] = Outcome(state, ENDS[state], "Meaning. More.", "Do this.")
    if state is State.STOPPED:
        fields["stop_by"] = "U2"
    if state is State.DENIED:
        fields |= {"decided_by": "U2", "reason": "Not today. Or tomorrow."}
    if state in (State.APPROVED, State.RUNNING, *ENDS):
        fields |= {"decided_by": "U2", "decided_at": 1.0, "votes": VOTES}
    return Action(**(fields | more))


VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "automatic": {"automatic": True},
    "the requester decides": {"policy": Policy(), "votes": ()},
    "within a window": {"policy": WINDOW, "votes": ()},
    "by the settings": {"policy": Policy(standing="nightly. Always."), "votes": ()},
    "over a freeze": {"policy": dataclasses.replace(APPROVERS, break_glass="It is down. Now.")},
    "one of two approvals": {"votes": VOTES[:1]},
    "waiting": {"progress": {"waiting_for": "BBBBBB"}},
    "queued": {"progress": {"queued": True}},
    "paused": {"progress": {"paused": {"scope": "environment", "name": "production"}}},
    "rolling out": {"progress": {"ready": 1, "desired": 2, "stale_since": 5.0}},
    "being stopped": {"stop_by": "U2"},
    "late": {"decided_at": 1.0},
}


def assert_sentence(text: str, *names: str) -> None:
    assert text, "a screen reader would say nothing"
    assert len(text) < 700
    assert "<!" not in text, text
    assert not re.search(r"[*`\n]|:[a-z_]+:", text), text
    assert not re.search(r"[.!?…]\s+\S", text), f"two sentences: {text}"
    for name in names:
        assert name in text, f"{name} is missing: {text}"


@pytest.mark.parametrize("kind", sorted(REQUESTS))
@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_an_action_in_every_state_is_one_sentence(kind: str, state: State, variant: str) -> None:
    shown = action(kind, state, **VARIANTS[variant])
    text, blocks = action_view.render(shown, where)
    check_blocks(blocks)
    who = "The bot" if shown.automatic else "<@U1>"
    assert_sentence(text, who, WHERE)
    assert text.startswith(who)


def test_a_request_says_what_is_wanted_of_whom() -> None:
    text, _ = action_view.render(action("deploy", State.PENDING), where)
    assert text == f"<@U1> asks to deploy {WHERE}, image 2.11.1: approve or deny"
    text, _ = action_view.render(action("restart", State.PENDING, policy=Policy()), where)
    assert text == f"<@U1> asks to restart {WHERE}: confirm or cancel"
    denied = action("delete", State.DENIED)
    assert action_view.render(denied, where)[0] == (
        f"<@U1>'s request to delete {WHERE} was denied by <@U2>"
    )
    failed = action_view.render(action("scale", State.FAILED), where)[0]
    assert failed == f"<@U1>'s request to scale {WHERE} failed: edge-1-7 cannot pull its image"


def test_an_environment_that_is_not_production_is_not_called_so() -> None:
    dev = action("restart", State.PENDING, ref=GatewayRef("west", "dev", "edge-1"))
    text, _ = action_view.render(dev, where)
    assert "west/dev/edge-1 (development)" in text
    assert "production" not in text


@given(st.text(max_size=400))
def test_of_any_text_the_first_sentence_is_one(text: str) -> None:
    assert not re.search(r"[.!?…]\s+\S", first_sentence(text))
    assert "\n" not in first_sentence(text)


def windows() -> Iterator[Window]:
    opened = Window("w", 1, REF, "U1", "U2", "It is. Down.", 0.0, 900.0, 600.0, True)
    yield opened
    yield dataclasses.replace(opened, left=0.0)
    yield dataclasses.replace(opened, left=0.0, closed_by="U2")


@pytest.mark.parametrize("shown", list(windows()))
def test_a_window_is_one_sentence(shown: Window) -> None:
    text, _ = window.message(shown, PRODUCTION)
    assert_sentence(text, "<@U1>", WHERE)
    assert_sentence(window.plain(shown), "<@U1>", str(REF))


def expiries() -> Iterator[Tracked]:
    for source in ("annotation", "token", "credential", "none", "unknown"):
        for expires_at in (None, 50.0, 500_000.0):
            facts = ExpiryFacts(
                REF, "edge-1", "production-west", expires_at, source,
                (86_400.0,), ("C1",), "It is odd. Very.",
            )  # fmt: skip
            for over in ("", "gone", "unwatched", "signs in", "back", "renewed"):
                for until in (None, 900.0):
                    yield Tracked(
                        facts, 100.0, 1, 1, 0.0, over, until, "U3", "Later. Then.", (), ("C1",)
                    )


@pytest.mark.parametrize("shown", list(expiries()))
def test_a_warning_is_one_sentence(shown: Tracked) -> None:
    text, blocks = expiry.message(shown, production=True, refound=True)
    check_blocks(blocks)
    assert_sentence(text, WHERE)
    if shown.snoozed and not shown.over:
        assert "<@U3>" in text


def test_a_digest_and_a_stop_of_automatic_rotation_are_one_sentence_each() -> None:
    for found in ([], list(expiries())):
        assert_sentence(expiry.digest(found, 100.0)[0])
    stop = RotationStop("production-west", 1, 5.0, 3, "It failed. Again.")
    where_stopped = "🔶 production-west"
    assert_sentence(expiry.stopped(stop, production=True)[0], where_stopped)
    resumed = dataclasses.replace(stop, resumed_by="U2")
    assert_sentence(expiry.stopped(resumed, production=True)[0], where_stopped, "<@U2>")


def shapes() -> Iterator[Incident]:
    member = Member({CUT_OFF: "Nothing. At all.", CRASH_LOOP: "It crashes."}, 1.0)
    one = Incident("i", "west", {str(REF): member}, 1.0)
    refs = [str(REF), "west/dev/edge-2", "west/dev/edge-3"]
    several = dataclasses.replace(one, members=dict.fromkeys(refs, member), together=True)
    away = dataclasses.replace(one, members={"west": Member({"away": "No answer."}, 1.0)})
    for shape in (one, several, dataclasses.replace(several, node="node-1"), away):
        yield shape
        yield dataclasses.replace(shape, over_at=9.0)


@pytest.mark.parametrize("shown", list(shapes()))
def test_an_incident_is_one_sentence(shown: Incident) -> None:
    text, _ = incidents.message(shown, where)
    names = ("🔶 ", "(production-west") if str(REF) in shown.members else ("west",)
    assert_sentence(text, *names)
    if list(shown.members) == [str(REF)]:
        assert "edge-1 on west/prod" in text


@pytest.mark.parametrize("ending", [None, *(Ending(c, "U2", 9.0) for c in ("shown", "over"))])
@pytest.mark.parametrize("text", [f"{WHERE}: 2 of 2 pods ready, connected", "Away. Try again."])
def test_a_message_that_is_kept_current_is_one_sentence(text: str, ending: Ending | None) -> None:
    payload = {"user": "U1", "channel": "C1"}
    shown = LiveMessage("l", payload, {"text": text, "blocks": []}, 1, 0.0, 60.0, ending)
    assert_sentence(live.message(shown, "stop")[0], "<@U1>")


def test_lines_of_a_log_say_whose_they_are() -> None:
    reply, _ = logs.lines((), logs.ReadSoFar(WHERE, ("edge-1-a",), 12))
    assert_sentence(reply.text, "12 lines", WHERE)


@pytest.mark.parametrize("ran", [True, False])
@pytest.mark.parametrize("remains", [None, Remains(True, "This. That."), Remains(False, "None.")])
@pytest.mark.parametrize("reset", [True, False])
def test_a_lost_request_is_one_sentence(ran: bool, remains: Remains | None, reset: bool) -> None:
    for kind in sorted(REQUESTS):
        request = lost.LostRequest(f"{kind} edge-1", kind, str(REF), "U1", ran, reset)
        text, blocks = lost.ended(request, remains, "No answer. None.", where)
        check_blocks(blocks)
        assert_sentence(text, "<@U1>", WHERE, kind)
    bare = lost.LostRequest("", "", "", "", ran, reset)
    assert_sentence(lost.ended(bare, remains, "", where)[0])
    assert_sentence(lost.window_closed(str(REF), "U1", where)[0], "<@U1>", WHERE)
    assert_sentence(lost.window_closed("", "", where)[0])
