"""One click decides on the plans of a batch that were shown, each as its own button would."""

import dataclasses
import datetime
from collections.abc import Iterator
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.access import Approval, Environment, Freeze
from deploy.actions.action import State
from deploy.actions.connection import connect
from deploy.policy import People
from handlers.actions import batch_decisions
from handlers.messages.action_messages import NAME
from handlers.messages.batch_messages import read
from handlers.messages.lost_messages import LostStore
from handlers.messages.store import MessageStore, Place
from handlers.views import batch as view
from tests.support.batches import batch_of, members, restart_each
from tests.support.changes import DEVELOPMENT, Changes
from tests.support.clicks import clicked, heard
from tests.support.redis_servers import started

START = datetime.datetime(2026, 12, 24, tzinfo=datetime.UTC)
PRODUCTION = Environment(
    "production",
    namespaces=("prod",),
    production=True,
    approval=Approval(People(users=("U2", "U3"))),
    freezes=(Freeze("Year end", START, START + datetime.timedelta(days=9)),),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


class Desk:
    """A batch of five, its buttons, and what is said to those who click on them."""

    def __init__(self, server: Valkey, production: Environment = PRODUCTION) -> None:
        client = connect(server.url)
        client.flushall()
        self.changes = Changes(client, production, DEVELOPMENT)
        self.changes.now = START - datetime.timedelta(minutes=1)
        self.messages = MessageStore(client, "bot-1")
        self.needs = batch_decisions.Needs(
            self.changes.batches,
            self.changes.store,
            self.messages,
            LostStore(client, self.messages),
            self.changes.decider,
        )
        restart_each(self.changes)
        for action in members(self.changes).values():
            self.show(action.id)

    def show(self, action_id: str) -> None:
        record = self.messages.take(NAME, action_id)
        assert record is not None
        posted = self.messages.posted(record, Place("C1", "1.0", "0.5"), "digest")
        self.messages.done(posted, 1, "digest", 0, final=False)

    def button(self, name: str) -> str:
        """What a button of the message carries."""
        changes = self.changes
        state = read(batch_of(changes), changes.store, changes.authority.environment)
        blocks = view.message(state)[1]
        found = next(block for block in blocks if block["type"] == "actions")
        (value,) = [e["value"] for e in found["elements"] if e["action_id"] == name]
        return str(value)

    def click(self, name: str, user: str, value: str = "", at: str = "1.0") -> str:
        """Somebody clicks; what they read, for each delivery of the click."""
        click = clicked(user, value or self.button(name), name, at=at)
        return heard(lambda: batch_decisions.CLICKS[name](self.needs, click))

    def states(self) -> str:
        """Of each member, in its order."""
        return " ".join(action.state.value for action in members(self.changes).values())


@pytest.fixture
def desk(server: Valkey) -> Desk:
    return Desk(server)


def test_an_approver_approves_every_plan_that_waits_for_one(desk: Desk) -> None:
    assert "You approved 3 plans." in desk.click(view.APPROVE, "U2")
    assert desk.states() == "pending pending approved approved approved"
    for name in ("edge-3", "edge-4", "edge-5"):
        (vote,) = members(desk.changes)[name].votes
        assert (vote.by, vote.digest) == ("U2", f"plan of west/prod/{name}")


def test_the_requester_confirms_their_own_plans_and_no_other(desk: Desk) -> None:
    assert "You confirmed 2 plans." in desk.click(view.CONFIRM, "U1")
    assert desk.states() == "approved approved pending pending pending"


@pytest.mark.parametrize(
    ("button", "user"),
    [
        (view.APPROVE, "U1"),
        (view.APPROVE, "U9"),
        (view.CONFIRM, "U2"),
        (view.CANCEL, "U2"),
    ],
)
def test_whoever_may_not_decide_on_one_may_not_decide_on_all(
    desk: Desk, button: str, user: str
) -> None:
    reply = desk.click(button, user)
    assert "Nothing was changed by this click." in reply
    assert reply.count(":warning:") == 1, "one reason is said once"
    assert set(desk.states().split()) == {"pending"}


def test_a_button_that_was_drawn_for_other_plans_decides_on_nothing(desk: Desk) -> None:
    old = desk.button(view.APPROVE)
    first = members(desk.changes)["edge-3"]
    anew = desk.changes.asked("again", ref=first.ref, batch=first.batch)
    desk.changes.batches.again(first.batch, first.id, anew.id)
    assert "The plans have changed since" in desk.click(view.APPROVE, "U2", old)
    assert set(desk.states().split()) == {"pending"}
    desk.show(anew.id)
    assert "You approved 3 plans." in desk.click(view.APPROVE, "U2", at="2.0")
    assert desk.changes.now_of(first).state is State.PENDING
    assert desk.changes.now_of(anew).state is State.APPROVED


def test_a_plan_that_nobody_could_see_yet_is_not_approved(desk: Desk) -> None:
    action = members(desk.changes)["edge-4"]
    record = desk.messages.take(NAME, action.id)
    assert record is not None
    desk.messages.drop(record)
    assert "not posted in the thread yet" in desk.click(view.APPROVE, "U2")
    assert set(desk.states().split()) == {"pending"}


def test_a_click_that_is_delivered_twice_counts_once(server: Valkey) -> None:
    approval = Approval(People(users=("U2", "U3")), quorum=2)
    desk = Desk(server, dataclasses.replace(PRODUCTION, approval=approval))
    value = desk.button(view.APPROVE)
    for _ in range(2):
        assert "You approved 3 plans." in desk.click(view.APPROVE, "U2", value)
    assert set(desk.states().split()) == {"pending"}
    assert "already approved this" in desk.click(view.APPROVE, "U2", value, at="2.0")
    for _ in range(2):
        assert "You approved 3 plans." in desk.click(view.APPROVE, "U3", value, at="3.0")
    assert desk.states() == "pending pending approved approved approved"


def test_what_was_decided_one_by_one_stays_as_it_is(desk: Desk) -> None:
    value = desk.button(view.APPROVE)
    desk.changes.deny(members(desk.changes)["edge-4"], "U3")
    assert "You approved 2 plans." in desk.click(view.APPROVE, "U2", value)
    assert desk.states() == "pending pending approved denied approved"


def test_nobody_approves_several_at_once_in_a_freeze(desk: Desk) -> None:
    desk.changes.now = START
    reply = desk.click(view.APPROVE, "U2")
    assert "Year end" in reply
    assert "*edge-3, edge-4 and edge-5*" in reply
    assert set(desk.states().split()) == {"pending"}


def test_the_requester_takes_back_what_has_not_begun(desk: Desk) -> None:
    desk.click(view.APPROVE, "U2")
    assert "You cancelled 5 plans." in desk.click(view.CANCEL, "U1")
    assert set(desk.states().split()) == {"cancelled"}


def test_a_click_on_a_batch_that_is_gone_says_so(desk: Desk) -> None:
    value: Any = desk.button(view.APPROVE).replace(batch_of(desk.changes).id, "ZZZZZZ")
    assert "This request is gone" in desk.click(view.APPROVE, "U2", value)
    assert "This request is gone" in desk.click(view.APPROVE, "U2", "nonsense")


def test_a_click_on_a_batch_that_is_gone_ends_its_message_and_any_other_does_not(
    desk: Desk,
) -> None:
    message = {"ts": "1.0", "text": "a batch", "blocks": []}
    value: Any = desk.button(view.APPROVE)
    batch = batch_of(desk.changes).id
    for name in (batch, "ZZZZZZ"):
        click = clicked("U2", value.replace(batch, name), message=message)
        batch_decisions.CLICKS[view.APPROVE](desk.needs, click)
    found = desk.needs.lost.find("batch:ZZZZZZ")
    assert found is not None
    assert found.place == Place("C1", "1.0")
    assert desk.needs.lost.find(f"batch:{batch}") is None
