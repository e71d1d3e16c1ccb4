"""What a click or a text decides, checked once more at that moment."""

import dataclasses
import datetime
import itertools
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.access import Approval, Environment, Freeze
from deploy.actions.action import Outcome, State
from deploy.actions.connection import connect
from deploy.actions.pauses import Pause
from deploy.changes.refusal import NotAllowed
from deploy.errors import Ambiguous, InvalidInput, NotFound
from deploy.gateway import GatewayRef
from deploy.policy import People, Policy
from handlers.actions import by_text, decisions
from handlers.messages.lost_messages import LostStore
from handlers.messages.store import MessageStore
from handlers.slack.payloads import Request, Submission
from handlers.verbs import approve, cancel, deny, stop
from handlers.verbs.verb import AnyVerb
from handlers.views import denial, errors
from tests.support import actions
from tests.support.actions import by_approvers, plan_of
from tests.support.changes import PROD, Changes, governed_by
from tests.support.clicks import clicked, heard
from tests.support.needs import needs
from tests.support.redis_servers import started

START = datetime.datetime(2026, 12, 24, tzinfo=datetime.UTC)
PEOPLE = People(users=("U2", "U3"))
PRODUCTION = Environment(
    "production",
    production=True,
    approval=Approval(PEOPLE),
    freezes=(Freeze("Year end", START, START + datetime.timedelta(days=9)),),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


class Desk:
    """A bot's handlers of clicks on actions, and what is said to whom."""

    def __init__(self, client: Any, *environments: Environment, **given: Any) -> None:
        self.changes = Changes(client, *environments, **given)
        self.changes.now = START - datetime.timedelta(minutes=1)
        self.told: list[str] = []
        self._clicks = itertools.count()
        self.opened: list[Any] = []
        self.accepted: list[Request] = []
        slack: Any = SimpleNamespace(
            chat_postEphemeral=lambda **message: self.told.append(str(message)),
            views_open=lambda *, view, **more: self.opened.append(view),
        )
        store, decider = self.changes.store, self.changes.decider
        self.buttons = needs(
            decisions.Needs,
            slack=slack,
            store=store,
            lost=LostStore(client, MessageStore(client, "bot")),
            authority=self.changes.authority,
            decider=decider,
            accept=self.accepted.append,
        )
        self.text = by_text.Needs(store, self.changes.authority, decider)

    def ask(self, name: str, policy: Policy) -> None:
        actions.ask(self.changes.store, name, ref=PROD, policy=policy)

    def click(self, button: str, user: str, name: str, digest: str = "d1") -> str:
        """What is said to who clicks; nothing where it is done."""
        value = json.dumps({"id": name, "digest": digest})
        click = clicked(user, value, button, at=f"{next(self._clicks)}.0")
        does = {**decisions.CLICKS, **decisions.OPENS}[button]
        return heard(lambda: does(self.buttons, click))

    def say_why(self, user: str, reason: str) -> None:
        """Somebody sends the form that was opened last."""
        values = {denial.REASON: {denial.REASON: {"value": reason}}}
        metadata = self.opened.pop()["private_metadata"]
        sent = Submission(f"{user}-{reason}", denial.CALLBACK, user, metadata, values)
        decisions.reason_given(sent)
        self.told.append(heard(lambda: decisions.deny_with_reason(self.buttons, sent)))

    def state(self, name: str) -> State:
        found = self.changes.store.get(name)
        assert found is not None
        return found.state


@pytest.fixture
def client(server: Valkey) -> Any:
    found = connect(server.url)
    found.flushall()
    return found


@pytest.fixture
def desk(client: Any) -> Desk:
    """A minute before the freeze."""
    return Desk(client, PRODUCTION)


MINE = by_approvers(people=PEOPLE)


def test_nobody_says_yes_in_a_freeze_to_what_was_asked_for_before_it(desk: Desk) -> None:
    desk.ask("AAAAAA", MINE)
    desk.changes.now = START
    assert "Year end" in desk.click("action_approve", "U2", "AAAAAA")
    assert desk.state("AAAAAA") is State.PENDING
    assert desk.click("action_deny", "U2", "AAAAAA") == ""
    desk.say_why("U2", "frozen")
    assert desk.state("AAAAAA") is State.DENIED
    assert "already denied" in desk.click("action_approve", "U3", "AAAAAA")


def test_nobody_confirms_in_a_freeze_what_is_theirs_to_decide(client: Any) -> None:
    desk = Desk(client, dataclasses.replace(PRODUCTION, production=False, approval=None))
    desk.ask("AAAAAA", Policy())
    desk.changes.now = START
    assert "Year end" in desk.click("action_confirm", "U1", "AAAAAA")
    assert desk.state("AAAAAA") is State.PENDING
    desk.changes.now = START - datetime.timedelta(minutes=1)
    assert desk.click("action_confirm", "U1", "AAAAAA") == ""
    assert desk.state("AAAAAA") is State.APPROVED


def quiet(first: int, last: int) -> Freeze:
    """A freeze that lasts for years: what is asked for has the time of Redis."""
    starts, ends = (datetime.datetime(y, 1, 1, tzinfo=datetime.UTC) for y in (first, last))
    return Freeze("Quiet", starts, ends)


TWO_FREEZES = dataclasses.replace(PRODUCTION, freezes=(quiet(2001, 2099), quiet(2100, 2101)))


def in_june(desk: Desk, year: int) -> None:
    desk.changes.now = datetime.datetime(year, 6, 1, tzinfo=datetime.UTC)


def test_what_was_asked_to_override_a_freeze_is_approved_in_it_and_in_no_later_one(
    client: Any,
) -> None:
    desk = Desk(client, TWO_FREEZES)
    for name in ("AAAAAA", "BBBBBB"):
        desk.ask(name, by_approvers(people=PEOPLE, break_glass="it is down"))
    in_june(desk, 2098)
    assert desk.click("action_approve", "U2", "AAAAAA") == ""
    assert desk.state("AAAAAA") is State.APPROVED
    in_june(desk, 2100)
    assert "production is frozen" in desk.click("action_approve", "U2", "BBBBBB")
    assert desk.state("BBBBBB") is State.PENDING
    assert "Only the requester, <@U1>" in desk.click("action_again", "U2", "AAAAAA")


def test_only_who_may_deny_it_now_is_asked_for_a_reason(client: Any) -> None:
    desk = Desk(client, dataclasses.replace(PRODUCTION, approval=Approval(PEOPLE)))
    desk.ask("AAAAAA", by_approvers(2, PEOPLE))
    desk.ask("BBBBBB", MINE)
    desk.click("action_approve", "U3", "AAAAAA")
    actions.deny(desk.changes.store, "U3", "BBBBBB")
    for user, name, digest, why in (
        ("U9", "AAAAAA", "d1", "Allowed: <@U2>, <@U3>."),
        ("U1", "AAAAAA", "d1", "somebody else"),
        ("U2", "AAAAAA", "d2", "current plan of this request is another one"),
        ("U2", "BBBBBB", "d1", "already denied by <@U3> at "),
        ("U2", "CCCCCC", "d1", "gone"),
    ):
        assert why in desk.click("action_deny", user, name, digest)
    assert not desk.opened
    assert desk.click("action_deny", "U3", "AAAAAA") == "", "who approved may still deny"
    assert desk.click("action_deny", "U2", "AAAAAA") == ""
    with pytest.raises(InvalidInput, match="A reason is required"):
        desk.say_why("U2", " ")
    assert desk.state("AAAAAA") is State.PENDING
    desk.click("action_deny", "U2", "AAAAAA")
    desk.say_why("U2", "not on a Friday")
    found = desk.changes.store.get("AAAAAA")
    assert found is not None
    assert (found.state, found.decided_by, found.reason) == (State.DENIED, "U2", "not on a Friday")


def test_who_says_why_too_late_is_told_how_it_ended(client: Any) -> None:
    desk = Desk(client, dataclasses.replace(PRODUCTION, approval=Approval(PEOPLE)))
    desk.ask("AAAAAA", MINE)
    desk.click("action_deny", "U2", "AAAAAA")
    desk.click("action_approve", "U3", "AAAAAA")
    desk.say_why("U2", "not on a Friday")
    assert "already approved by <@U3> at " in desk.told[-1]
    assert desk.state("AAAAAA") is State.APPROVED


def test_who_says_yes_to_what_more_decide_on_by_now_is_told_that_it_is_planned_again(
    client: Any,
) -> None:
    staging = Environment("staging", approval=Approval(PEOPLE))
    desk = Desk(client, PRODUCTION, staging, governing=governed_by("staging"))
    desk.ask("AAAAAA", MINE)
    said = desk.click("action_approve", "U2", "AAAAAA")
    assert "This now requires more approvals" in said
    assert "makes a new plan" in said
    assert desk.state("AAAAAA") is State.SUPERSEDED
    assert desk.changes.renewed == [("AAAAAA", "grown:AAAAAA")]


def test_what_is_approved_by_text_is_answered_as_a_click_is(desk: Desk) -> None:
    plan = plan_of(PROD, "0123456789")
    actions.ask(desk.changes.store, ref=PROD, plan=plan, policy=by_approvers(2, PEOPLE))

    def say(user: str, digest: str) -> str:
        options = {"plan": digest}
        request = Request(f"{user}-types", "approve", user, "C1", "", "aaaaaa", options)
        reply = approve.run(desk.text, request)
        assert reply is not None
        return reply.text

    assert say("U2", "01234567") == "You approved AAAAAA."
    assert "already approved this" in desk.click("action_approve", "U2", "AAAAAA", plan.digest)
    with pytest.raises(NotAllowed, match="Only approvers can approve or deny"):
        say("U9", "01234567")
    assert "current plan of this request is another one" in say("U3", "99999999")


def typed(desk: Desk, verb: AnyVerb, user: str, name: str, **options: str) -> str:
    """What is answered to `/gateway verb name`."""
    request = Request(f"{user}-{verb.name}-{name}", verb.name, user, "C1", "", name, options)
    try:
        reply = verb.run(desk.text, request)
    except NotFound as error:
        return f"{error.happened} {error.meaning}"
    assert reply is not None
    return reply.text


@pytest.mark.parametrize("name", ["edge-1", "prod/Edge-1", "WEST/prod/edge-1"])
def test_an_action_is_named_by_its_gateway_where_one_of_it_fits(desk: Desk, name: str) -> None:
    plan = plan_of(PROD, "0123456789")
    actions.ask(desk.changes.store, ref=PROD, plan=plan, policy=by_approvers(2, PEOPLE))
    # Another gateway's is none of it, and one that its requester confirms waits for no approver.
    actions.ask(desk.changes.store, "BBBBBB", ref=GatewayRef("west", "prod", "edge-11"))
    assert "BBBBBB" not in typed(desk, approve.VERB, "U2", name)
    assert typed(desk, approve.VERB, "U2", name, plan="01234567") == "You approved AAAAAA."
    assert "nothing of" in typed(desk, stop.VERB, "U1", name)
    assert typed(desk, deny.VERB, "U3", name, reason="no") == "You denied AAAAAA."
    assert "There is no request" in typed(desk, cancel.VERB, "U1", name)
    assert desk.state("AAAAAA") is State.DENIED


def test_a_running_action_is_stopped_by_the_name_of_its_gateway(desk: Desk) -> None:
    store = desk.changes.store
    actions.ask(store, ref=PROD)
    actions.ask(store, "BBBBBB", ref=PROD)
    actions.confirm(store)
    store.claim("AAAAAA", "bot-1", 1, 30)
    assert typed(desk, stop.VERB, "U1", "edge-1") == "AAAAAA is stopping."
    assert typed(desk, cancel.VERB, "U1", "edge-1") == "You cancelled BBBBBB."
    told = typed(desk, cancel.VERB, "U1", "EDGE-1")
    assert "There is nothing of “EDGE-1” to cancel." in told
    assert "`AAAAAA` deploy of west/prod/edge-1 is running" in told


@pytest.mark.parametrize(("verb", "options"), [(stop.VERB, {}), (deny.VERB, {"reason": "no"})])
def test_a_request_that_is_worked_on_twice_means_the_same_action_though_the_next_one_fits_by_then(
    desk: Desk, verb: AnyVerb, options: dict[str, str]
) -> None:
    store = desk.changes.store
    desk.ask("AAAAAA", MINE)
    if verb is stop.VERB:
        actions.approve(store, "U2", "AAAAAA")
        assert store.claim("AAAAAA", "bot-1", 1, 30)
    first = typed(desk, verb, "U3", "edge-1", **options)
    if verb is stop.VERB:
        assert store.finish("AAAAAA", "bot-1", 1, Outcome(State.STOPPED, "Stopped."))
    desk.ask("BBBBBB", MINE)
    if verb is stop.VERB:
        actions.approve(store, "U2", "BBBBBB")
        assert store.claim("BBBBBB", "bot-1", 2, 30)
    before = store.get("BBBBBB")
    # The bot that did it died before that was recorded, and another one takes the request up.
    assert typed(desk, verb, "U3", "edge-1", **options) == first
    assert store.get("BBBBBB") == before


def test_ones_own_plan_is_shown_to_be_confirmed_by_the_name_of_its_gateway(desk: Desk) -> None:
    actions.ask(desk.changes.store, ref=PROD, plan=plan_of(PROD, "0123456789"))
    assert "confirm or cancel" in typed(desk, approve.VERB, "U1", "edge-1")
    assert "nothing of" in typed(desk, approve.VERB, "U2", "edge-1")
    assert "nothing of" in typed(desk, deny.VERB, "U2", "edge-1", reason="no")


def test_several_that_fit_give_buttons_and_ones_own_is_meant_first(desk: Desk) -> None:
    store = desk.changes.store
    for name, user in (("AAAAAA", "U1"), ("BBBBBB", "U4"), ("CCCCCC", "U4")):
        actions.ask(store, name, ref=PROD, requester=user, policy=by_approvers(2, PEOPLE))
    with pytest.raises(Ambiguous) as several:
        deny.run(desk.text, Request("r1", "deny", "U2", "C1", "", "edge-1", {"reason": "no"}))
    assert several.value.meant is not None
    assert set(several.value.meant.values) == {"AAAAAA", "BBBBBB", "CCCCCC"}
    shown = errors.trouble(several.value, lambda part, name: f"deny {name} --reason no")
    (first, *_) = [block for block in shown.blocks if "accessory" in block]
    assert first["accessory"]["value"] == "deny AAAAAA --reason no"
    assert "deploy of west/prod/edge-1 waits for a decision" in first["text"]["text"]
    # Of mine I approve none, and take none of others back.
    assert typed(desk, cancel.VERB, "U1", "edge-1") == "You cancelled AAAAAA."
    with pytest.raises(Ambiguous):
        approve.run(desk.text, Request("r2", "approve", "U2", "C1", "", "edge-1", {}))
    assert {desk.state("BBBBBB"), desk.state("CCCCCC")} == {State.PENDING}


def test_two_identities_found_to_be_one_person_meanwhile_are_that_person(client: Any) -> None:
    two = by_approvers(2, PEOPLE)
    desk = Desk(client, PRODUCTION)
    desk.ask("AAAAAA", two)
    desk.ask("BBBBBB", two)
    assert desk.click("action_approve", "U2", "BBBBBB") == ""
    for mapped, name, voter, said in (
        ({"U1": "ana", "U2": "ana"}, "AAAAAA", "U2", "somebody else must approve or deny it"),
        ({"U2": "ben", "U3": "ben"}, "BBBBBB", "U3", "already approved this"),
    ):
        later = Desk(client, PRODUCTION, people=mapped)
        assert said in later.click("action_approve", voter, name)
    assert desk.state("AAAAAA") is desk.state("BBBBBB") is State.PENDING


def shown_to(desk: Desk, user: str, name: str = "AAAAAA") -> tuple[set[str], str]:
    """The buttons of the plan that *Show* brings this person, and all that it says."""
    value = json.dumps({"id": name, "digest": "d1"})
    reply = decisions.show(desk.buttons, clicked(user, value, "action_show", at="1.0"))
    assert reply is not None
    elements = [e for b in reply.blocks if b["type"] == "actions" for e in b["elements"]]
    return {e["action_id"] for e in elements}, json.dumps(reply.blocks)


@pytest.fixture
def calm(client: Any) -> Desk:
    """Nothing is frozen."""
    return Desk(client, dataclasses.replace(PRODUCTION, approval=Approval(PEOPLE, 2), freezes=()))


def test_a_plan_that_one_person_sees_has_the_buttons_that_count_for_them(calm: Desk) -> None:
    calm.ask("AAAAAA", by_approvers(2, PEOPLE))
    for user, buttons, why in (
        ("U1", {"action_cancel", "action_details"}, "somebody else must approve or deny it"),
        ("U2", {"action_approve", "action_deny", "action_details"}, "You can approve or deny"),
        ("U9", {"action_details"}, "Only <@U2>, <@U3> can approve it."),
    ):
        shown, said = shown_to(calm, user)
        assert shown == buttons, user
        assert why in said
    assert calm.click("action_approve", "U2", "AAAAAA") == ""
    shown, said = shown_to(calm, "U2")
    assert shown == {"action_deny", "action_details"}
    assert "You have already approved this." in said
    assert "You can deny this." in said


def test_a_plan_that_one_person_sees_says_what_keeps_it_from_starting(calm: Desk) -> None:
    calm.ask("AAAAAA", by_approvers(2, PEOPLE))
    calm.ask("BBBBBB", by_approvers(2, PEOPLE))
    calm.changes.pauses.append(Pause("environment", "production"))
    _, said = shown_to(calm, "U2")
    assert "action `BBBBBB`" in said
    assert "*Environment production* is paused" in said
    assert "Once approved, it needs no further step to start." in said
    assert calm.click("action_approve", "U2", "AAAAAA") == calm.click(
        "action_approve", "U3", "AAAAAA"
    )
    assert "is pending on this gateway" not in shown_to(calm, "U2")[1]


def test_only_the_requester_is_shown_the_button_that_confirms(client: Any) -> None:
    desk = Desk(
        client, dataclasses.replace(PRODUCTION, production=False, approval=None, freezes=())
    )
    desk.ask("AAAAAA", Policy())
    assert shown_to(desk, "U1")[0] == {"action_confirm", "action_cancel", "action_details"}
    shown, said = shown_to(desk, "U2")
    assert shown == {"action_details"}
    assert "Only the requester, <@U1>, can confirm this." in said


def test_in_a_freeze_nobody_is_shown_the_button_that_approves(desk: Desk) -> None:
    desk.ask("AAAAAA", MINE)
    desk.changes.now = START
    shown, said = shown_to(desk, "U2")
    assert shown == {"action_deny", "action_details"}
    assert "Year end" in said


def test_while_slack_does_not_say_who_is_an_approver_every_button_is_left(client: Any) -> None:
    desk = Desk(client, dataclasses.replace(PRODUCTION, freezes=()))
    desk.ask("AAAAAA", by_approvers())
    desk.changes.groups.away = True
    shown, said = shown_to(desk, "U2")
    assert "action_approve" in shown
    assert "is not known: Slack does not say." in said


def test_what_runs_can_be_stopped_by_whoever_is_shown_the_button(calm: Desk) -> None:
    calm.ask("AAAAAA", by_approvers(2, PEOPLE))
    calm.click("action_approve", "U2", "AAAAAA")
    calm.click("action_approve", "U3", "AAAAAA")
    assert calm.changes.store.claim("AAAAAA", "bot", 1, 60) is not None
    assert "action_stop" in shown_to(calm, "U1")[0]
    assert "action_stop" in shown_to(calm, "U3")[0]
    assert "action_stop" not in shown_to(calm, "U9")[0]
