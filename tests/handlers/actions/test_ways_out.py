"""The buttons of a rollout that is stuck: whose they are, and what they ask for."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.action import Outcome, Patience, State
from deploy.actions.connection import connect
from deploy.actions.pauses import CLUSTER, ENVIRONMENT, Pause
from deploy.observed.causes import Cause
from handlers.actions import decisions, ways_out
from handlers.slack.payloads import Request
from handlers.views.text import date
from handlers.views.ways_out import KEEP_WAITING, ROLL_BACK, STOP_AND_DELETE
from tests.support import actions
from tests.support.changes import PROD, Changes
from tests.support.clicks import clicked, heard
from tests.support.needs import needs
from tests.support.redis_servers import started

PULL, QUOTA = Cause.PULL.value, Cause.QUOTA.value
NAME = "AAAAAA"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


class Desk:
    """A production rollout that U1 asked for and that runs, and clicks on its message."""

    def __init__(self, client: Any, kind: str = "deploy") -> None:
        self.changes = Changes(client)
        self.store = self.changes.store
        self.accepted: list[Request] = []
        self.buttons = needs(
            decisions.Needs,
            store=self.store,
            authority=self.changes.authority,
            decider=self.changes.decider,
            accept=self.accepted.append,
        )
        actions.ask(self.store, NAME, ref=PROD, kind=kind, policy=actions.by_approvers())

    def begins(self, cause: str = PULL) -> None:
        """It is approved, and its rollout stuck on that."""
        actions.approve(self.store, "U2", NAME)
        assert self.store.claim(NAME, "bot-1", 1, 60)
        self.stuck_on(cause)

    def stuck_on(self, cause: str) -> None:
        """The rollout is stuck on that now."""
        stuck = {"cause": cause, "said": "so", "since": 0.0, "until": None}
        assert self.store.progress(NAME, "bot-1", 1, {"stuck": stuck})

    def click(self, button: str, user: str, cause: str = PULL, at: str = "1.0") -> str:
        """What is said to who clicks; nothing where it is done."""
        value = json.dumps({"id": NAME, "digest": "d1", "cause": cause})
        does = ways_out.CLICKS[button]
        return heard(lambda: does(self.buttons, clicked(user, value, button, at=at)))

    @property
    def action(self) -> Any:
        return self.store.get(NAME)


@pytest.fixture
def client(server: Valkey) -> Any:
    client = connect(server.url)
    client.flushall()
    return client


@pytest.fixture
def desk(client: Any) -> Desk:
    return Desk(client)


@pytest.mark.parametrize("who", ["U1", "U2"])
def test_whoever_may_stop_it_stops_it_and_has_its_rollback_planned(desk: Desk, who: str) -> None:
    desk.begins()
    assert desk.click(ROLL_BACK, who) == ""
    assert (desk.action.state, desk.action.stop_by) == (State.RUNNING, who)
    (asked,) = desk.accepted
    assert (asked.verb, asked.gateway, asked.user) == ("rollback", str(PROD), who)
    assert (asked.channel, asked.options) == ("C1", {})


@pytest.mark.parametrize(
    "pause",
    [
        Pause(CLUSTER, PROD.cluster, "kernel upgrade", "ana@host", 5.0, 9.0),
        Pause(ENVIRONMENT, "production", "kernel upgrade", "ana@host", 5.0),
    ],
)
def test_nothing_is_stopped_for_a_rollback_that_a_pause_keeps_from_starting(
    desk: Desk, pause: Pause
) -> None:
    desk.begins()
    desk.changes.pauses.append(pause)
    said = desk.click(ROLL_BACK, "U1")
    assert f"*{pause.scope.capitalize()} {pause.name}* is paused" in said
    assert ": kernel upgrade. Nothing was stopped" in said
    assert f"Paused {date(5.0)} by ana@host; ask them to resume it." in said
    assert "*Stop rollout* stops only the rollout." in said
    assert (desk.action.stop_by, desk.accepted) == ("", [])
    desk.changes.pauses[:] = [Pause(CLUSTER, "elsewhere")]
    assert desk.click(ROLL_BACK, "U1", at="2.0") == ""
    assert desk.action.stop_by == "U1"


def test_what_is_stopping_already_is_planned_to_roll_back_in_a_pause_too(desk: Desk) -> None:
    desk.begins()
    desk.store.stop(NAME, by="U2", request_id="stop")
    desk.changes.pauses.append(Pause(CLUSTER, PROD.cluster))
    assert desk.click(ROLL_BACK, "U1") == ""
    assert len(desk.accepted) == 1


def test_two_clicks_of_one_person_ask_for_one_plan(desk: Desk) -> None:
    desk.begins()
    assert [desk.click(ROLL_BACK, "U1", at=at) for at in ("1.0", "1.0", "1.5")] == ["", "", ""]
    # As the previous version spells it: the second click may be taken by a bot of that one.
    assert {asked.id for asked in desk.accepted} == {f"roll back:{NAME}:U1"}
    assert desk.action.stop_by == "U1"


def test_a_click_after_the_plan_is_there_says_that_it_is_open_and_shows_it(desk: Desk) -> None:
    desk.begins()
    assert desk.click(ROLL_BACK, "U1") == ""
    actions.ask(desk.store, "BBBBBB", kind="rollback", requester="U1", ref=PROD)
    assert "planned already: request `BBBBBB`" in desk.click(ROLL_BACK, "U1", at="9.0")
    assert len(desk.accepted) == 1
    assert desk.click(ROLL_BACK, "U2", at="9.0") == "", "another person's plan is another one"


def test_ones_own_rollback_that_is_stuck_is_stopped_and_a_rollback_planned(
    client: Any,
) -> None:
    desk = Desk(client, kind="rollback")
    desk.begins()
    for at in ("1.0", "2.0"):
        assert desk.click(ROLL_BACK, "U1", at=at) == ""
    assert desk.action.stop_by == "U1"
    assert len({asked.id for asked in desk.accepted}) == 1
    assert desk.accepted[0].verb == "rollback"


def test_a_first_version_is_stopped_and_its_deletion_planned(desk: Desk) -> None:
    desk.begins()
    desk.changes.pauses.append(Pause(CLUSTER, PROD.cluster))
    assert "because the deletion could not start before" in desk.click(
        STOP_AND_DELETE, "U1", at="0.5"
    )
    assert (desk.action.stop_by, desk.accepted) == ("", [])
    desk.changes.pauses.clear()
    assert desk.click(STOP_AND_DELETE, "U1") == ""
    assert desk.action.stop_by == "U1"
    assert [(asked.verb, asked.gateway) for asked in desk.accepted] == [("delete", str(PROD))]
    asked = actions.REQUESTS["delete"]
    actions.ask(desk.store, "BBBBBB", kind="delete", requester="U1", ref=PROD, request=asked)
    assert "The deletion of `west/prod" in desk.click(STOP_AND_DELETE, "U1", at="9.0")


@pytest.mark.parametrize("button", [ROLL_BACK, STOP_AND_DELETE, KEEP_WAITING])
def test_nobody_else_stops_it_or_decides_to_wait_and_nothing_is_planned(
    desk: Desk, button: str
) -> None:
    desk.begins()
    assert "Only the requester or an approver" in desk.click(button, "U9")
    assert (desk.action.stop_by, desk.action.patience, desk.accepted) == ("", None, [])


def test_what_ended_meanwhile_is_rolled_back_by_the_plan_alone(desk: Desk) -> None:
    desk.begins()
    assert desk.store.finish(NAME, "bot-1", 1, Outcome(State.FAILED, "It did not finish."))
    assert desk.click(ROLL_BACK, "U1") == ""
    assert len(desk.accepted) == 1
    assert desk.action.state is State.FAILED


def test_what_has_not_begun_or_is_gone_is_not_rolled_back(desk: Desk) -> None:
    assert "not running" in desk.click(ROLL_BACK, "U1")
    value = json.dumps({"id": "NOSUCH", "digest": "d1"})
    gone = clicked("U1", value, ROLL_BACK)
    assert "gone" in heard(lambda: ways_out.CLICKS[ROLL_BACK](desk.buttons, gone))
    assert desk.accepted == []


def test_who_keeps_waiting_is_recorded_with_the_cause_and_in_the_log(desk: Desk) -> None:
    desk.begins()
    assert desk.click(KEEP_WAITING, "U2") == ""
    patience = desk.action.patience
    assert isinstance(patience, Patience)
    assert (patience.cause, patience.by) == (PULL, "U2")
    assert desk.action.created_at <= patience.at <= desk.store.now()
    last = desk.store.events(NAME)[-1]
    assert (last.name, last.who, last.detail) == ("keep waiting", "U2", PULL)
    assert desk.click(KEEP_WAITING, "U2") == "", "the same delivery once more"
    assert [e.name for e in desk.store.events(NAME)].count("keep waiting") == 1


@pytest.mark.parametrize("who", ["U1", "U2"])
def test_a_second_click_on_keep_waiting_is_told_who_decided_it(desk: Desk, who: str) -> None:
    desk.begins()
    assert desk.click(KEEP_WAITING, "U2") == ""
    assert "<@U2> already decided to keep waiting" in desk.click(KEEP_WAITING, who, at="2.0")
    assert desk.action.patience.by == "U2"
    assert [e.name for e in desk.store.events(NAME)].count("keep waiting") == 1


def test_nobody_waits_for_what_it_is_no_longer_stuck_on(desk: Desk) -> None:
    desk.begins()
    desk.stuck_on(QUOTA)
    assert "no longer stuck on that" in desk.click(KEEP_WAITING, "U1")
    assert desk.action.patience is None


def test_what_is_stopping_or_has_ended_is_not_waited_for(desk: Desk) -> None:
    desk.begins()
    desk.store.stop(NAME, by="U1", request_id="stop")
    assert "stopping" in desk.click(KEEP_WAITING, "U1")
    assert desk.store.finish(NAME, "bot-1", 1, Outcome(State.STOPPED, "Stopped."))
    assert "already stopped" in desk.click(KEEP_WAITING, "U1", at="2.0")
