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
from deploy.actions.action import State
from deploy.actions.connection import connect
from deploy.changes.refusal import NotAllowed
from deploy.errors import InvalidInput
from deploy.policy import People, Policy
from handlers.actions import by_text, decisions
from handlers.messages.lost_messages import LostStore
from handlers.messages.store import MessageStore
from handlers.slack.payloads import Request, Submission
from handlers.verbs import approve
from handlers.views import denial
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
    assert "Only <@U1>" in desk.click("action_again", "U2", "AAAAAA")


def test_only_who_may_deny_it_now_is_asked_for_a_reason(client: Any) -> None:
    desk = Desk(client, dataclasses.replace(PRODUCTION, approval=Approval(PEOPLE)))
    desk.ask("AAAAAA", by_approvers(2, PEOPLE))
    desk.ask("BBBBBB", MINE)
    desk.click("action_approve", "U3", "AAAAAA")
    actions.deny(desk.changes.store, "U3", "BBBBBB")
    for user, name, digest, why in (
        ("U9", "AAAAAA", "d1", "Allowed: <@U2>, <@U3>."),
        ("U1", "AAAAAA", "d1", "somebody else"),
        ("U2", "AAAAAA", "d2", "plan has changed"),
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
    assert "More approvals are needed by now" in said
    assert "planned again" in said
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
    assert "approved this already" in desk.click("action_approve", "U2", "AAAAAA", plan.digest)
    with pytest.raises(NotAllowed, match="Only approvers can approve or deny"):
        say("U9", "01234567")
    assert "plan has changed" in say("U3", "99999999")


def test_two_identities_found_to_be_one_person_meanwhile_are_that_person(client: Any) -> None:
    two = by_approvers(2, PEOPLE)
    desk = Desk(client, PRODUCTION)
    desk.ask("AAAAAA", two)
    desk.ask("BBBBBB", two)
    assert desk.click("action_approve", "U2", "BBBBBB") == ""
    for mapped, name, voter, said in (
        ({"U1": "ana", "U2": "ana"}, "AAAAAA", "U2", "somebody else has to decide"),
        ({"U2": "ben", "U3": "ben"}, "BBBBBB", "U3", "approved this already"),
    ):
        later = Desk(client, PRODUCTION, people=mapped)
        assert said in later.click("action_approve", voter, name)
    assert desk.state("AAAAAA") is desk.state("BBBBBB") is State.PENDING
