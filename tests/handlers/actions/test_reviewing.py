"""A request is decided in a modal, which shows the buttons of its reader and what became of a click."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.access import Approval, Environment
from deploy.actions.connection import connect
from deploy.policy import People, Policy
from handlers.actions import decisions
from handlers.views import modals
from handlers.views.home import REVIEW
from tests.support import actions
from tests.support.actions import by_approvers
from tests.support.changes import PROD, Changes
from tests.support.clicks import clicked, heard
from tests.support.needs import needs
from tests.support.redis_servers import started

ANA, BEN, CHEN, DAN = "U1", "U2", "U3", "U4"
PEOPLE = People(users=(BEN, CHEN))
NAME = "AAAAAA"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


class Desk:
    """The bot's buttons, and the modals of everybody by their names of ours."""

    def __init__(self, client: Any) -> None:
        client.flushall()
        production = Environment("production", production=True, approval=Approval(PEOPLE))
        self.changes = Changes(client, production)
        self.shown: dict[str, Any] = {}
        self.how: list[str] = []
        slack: Any = SimpleNamespace(
            views_open=lambda **call: self._put("open", call["view"]),
            views_push=lambda **call: self._put("push", call["view"]),
            views_update=lambda **call: self._put("update", call["view"]),
        )
        self._needs = needs(
            decisions.Needs,
            slack=slack,
            store=self.changes.store,
            authority=self.changes.authority,
            decider=self.changes.decider,
        )

    def _put(self, how: str, view: Any) -> None:
        self.how.append(how)
        self.shown[view.get("external_id", "form")] = view

    def ask(self, policy: Policy) -> None:
        actions.ask(self.changes.store, NAME, ref=PROD, policy=policy)

    def reviews(self, user: str, modal: str = "") -> Any:
        """The modal that opens for somebody, from the Home tab or from another modal."""
        value = {"id": NAME, "digest": "d1", **({modals.MODAL: modal} if modal else {})}
        click = clicked(user, json.dumps(value), REVIEW, channel="")
        assert heard(lambda: decisions.review(self._needs, click)) == ""
        return list(self.shown.values())[-1]

    def clicks(self, user: str, view: Any, name: str) -> str:
        """What is said beside the modal."""
        element = buttons(view)[name]
        click = clicked(user, element["value"], name, channel="")
        does = {**decisions.CLICKS, **decisions.OPENS}[name]
        return heard(lambda: does(self._needs, click))


def buttons(view: Any) -> dict[str, Any]:
    return {
        each["action_id"]: each
        for block in view["blocks"]
        if block["type"] == "actions"
        for each in block["elements"]
    }


@pytest.fixture
def desk(server: Valkey) -> Desk:
    return Desk(connect(server.url))


def test_everybody_gets_the_buttons_that_would_have_an_effect(desk: Desk) -> None:
    desk.ask(by_approvers(people=PEOPLE))
    assert set(buttons(desk.reviews(BEN))) == {"action_approve", "action_deny"}
    assert set(buttons(desk.reviews(ANA))) == {"action_cancel"}
    assert buttons(desk.reviews(DAN)) == {}


def test_whoever_asked_where_nobody_approves_confirms_or_cancels(desk: Desk) -> None:
    desk.ask(Policy())
    assert set(buttons(desk.reviews(ANA))) <= {"action_confirm", "action_cancel"}
    assert buttons(desk.reviews(BEN)) == {}


def test_a_decision_is_shown_in_its_modal(desk: Desk) -> None:
    desk.ask(by_approvers(people=PEOPLE))
    view = desk.reviews(BEN)
    assert desk.clicks(BEN, view, "action_approve") == ""
    after = desk.shown[view["external_id"]]
    assert f"Approved by <@{BEN}>" in json.dumps(after)
    assert "action_approve" not in buttons(after)


def test_why_a_click_changed_nothing_is_said_in_its_modal_too(desk: Desk) -> None:
    desk.ask(by_approvers(people=PEOPLE))
    late = desk.reviews(CHEN)
    desk.clicks(BEN, desk.reviews(BEN), "action_approve")
    assert desk.clicks(CHEN, late, "action_approve") == ""
    assert f"already approved by <@{BEN}>" in json.dumps(desk.shown[late["external_id"]])


def test_what_opens_from_a_modal_stands_on_top_of_it(desk: Desk) -> None:
    desk.ask(by_approvers(people=PEOPLE))
    view = desk.reviews(BEN)
    assert desk.how == ["open"]
    desk.clicks(BEN, view, "action_deny")
    assert desk.how == ["open", "push"]
    desk.reviews(BEN, modal="list")
    assert desk.how[-1] == "push"


def test_the_modal_names_what_else_is_pending_on_the_gateway(server: Valkey) -> None:
    desk = Desk(connect(server.url))
    desk.ask(by_approvers(people=PEOPLE))
    actions.ask(desk.changes.store, "BBBBBB", ref=PROD, requester=DAN)
    said = json.dumps(desk.reviews(BEN))
    assert f"`deploy` by <@{DAN}> is pending on this gateway (action `BBBBBB`)" in said
