"""What a click or a text decides, checked once more at that moment."""

import dataclasses
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.access import Approval, Environment, Freeze, Identities
from deploy.actions.audit import AuditLog
from deploy.actions.connection import connect
from deploy.actions.record import State
from deploy.actions.store import ActionStore
from deploy.actions.windows import Windows
from deploy.changes.gatekeeper import Gatekeeper
from deploy.errors import Refused
from deploy.gateway import GatewayRef
from deploy.policy import People, Policy
from handlers.actions import decisions
from handlers.slack.payloads import Click, Request
from handlers.verbs import rotate
from tests.support.redis_servers import started

CLICKED = {"actions": [{"action_ts": "1.0", "action_id": "action_again"}]}
START = datetime.datetime(2026, 12, 24, tzinfo=datetime.UTC)
PEOPLE = People(users=("U2", "U3"))
PRODUCTION = Environment(
    "production",
    production=True,
    approval=Approval(PEOPLE),
    freezes=(Freeze("Year end", START, START + datetime.timedelta(days=9)),),
)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Any]:
    """With a clock that a test sets."""
    made = SimpleNamespace(now=START - datetime.timedelta(minutes=1))
    for server in started("valkey", tmp_path / "redis"):
        client = connect(server.url)
        made.windows = Windows(client, AuditLog(client))
        made.store = ActionStore(client)
        made.gatekeeper = keeper(made, {})
        yield made


def keeper(
    services: Any, people: dict[str, str], environment: Environment = PRODUCTION
) -> Gatekeeper:
    return Gatekeeper(
        (environment,),
        Identities(people),
        SimpleNamespace(),
        services.windows,
        clock=lambda: services.now,
    )


def ask(services: Any, name: str, policy: Policy) -> None:
    services.store.create(
        name, kind="deploy", ref=GatewayRef("west", "prod", "edge-1"), requester="U1",
        policy=policy, digest="d1", request={}, plan={}, origin={}, ttl_seconds=60, request_id=name,
    )  # fmt: skip


def state(services: Any, name: str) -> State:
    return State(services.store.get(name).state)


def test_nobody_says_yes_in_a_freeze_to_what_was_asked_for_before_it(services: Any) -> None:
    ask(services, "AAAAAA", Policy("approvers", approvers=PEOPLE))
    ask(services, "BBBBBB", Policy())
    services.now = START
    with pytest.raises(Refused, match="Year end"):
        decisions.approved(services, "AAAAAA", "U2", "d1", "1")
    with pytest.raises(Refused, match="Year end"):
        decisions.confirmed(services, "BBBBBB", "U1", "d1", "1")
    assert state(services, "AAAAAA") is state(services, "BBBBBB") is State.PENDING
    assert decisions.denied(services, "AAAAAA", "U2", "d1", "frozen", "2").result == "done"
    assert decisions.approved(services, "AAAAAA", "U3", "d1", "3").result == "already"


def test_what_was_asked_to_go_through_the_freeze_is_approved_in_it(services: Any) -> None:
    ask(services, "AAAAAA", Policy("approvers", approvers=PEOPLE, break_glass="it is down"))
    services.now = START
    assert decisions.approved(services, "AAAAAA", "U2", "d1", "1").result == "done"


def test_what_went_through_one_freeze_is_not_asked_again_through_another(services: Any) -> None:
    def freeze(first: int, last: int) -> Freeze:
        starts, ends = (datetime.datetime(y, 1, 1, tzinfo=datetime.UTC) for y in (first, last))
        return Freeze("Quiet", starts, ends)

    environment = dataclasses.replace(PRODUCTION, freezes=(freeze(2001, 2099), freeze(2100, 2101)))
    services.gatekeeper = keeper(services, {}, environment)
    asked: list[Request] = []
    services.accept = asked.append
    ask(services, "AAAAAA", Policy("approvers", approvers=PEOPLE, break_glass="it is down"))
    value = json.dumps({"id": "AAAAAA", "digest": "d1"})
    for year in (2098, 2100):
        services.now = datetime.datetime(year, 6, 1, tzinfo=datetime.UTC)
        decisions.ask_again(services, Click("U1", "C1", "t", "", value, CLICKED))
    assert [each.options["break-glass"] for each in asked] == ["it is down", ""]


def test_only_who_may_deny_it_now_is_asked_for_a_reason(services: Any) -> None:
    ask(services, "AAAAAA", Policy("approvers", 2, PEOPLE))
    ask(services, "BBBBBB", Policy("approvers", 1, PEOPLE))
    decisions.approved(services, "AAAAAA", "U3", "d1", "1")
    decisions.denied(services, "BBBBBB", "U3", "d1", "no", "2")
    told: list[str] = []
    opened: list[Any] = []
    services.slack = SimpleNamespace(
        chat_postEphemeral=lambda **message: told.append(message["text"]),
        views_open=lambda **view: opened.append(view),
    )
    for user, name, digest, why in (
        ("U9", "AAAAAA", "d1", "Only <@U2>, <@U3> can decide"),
        ("U1", "AAAAAA", "d1", "somebody else"),
        ("U3", "AAAAAA", "d1", "approved this already"),
        ("U2", "AAAAAA", "d2", "plan has changed"),
        ("U2", "BBBBBB", "d1", "already denied, decided by <@U3>"),
        ("U2", "CCCCCC", "d1", "gone"),
    ):
        value = json.dumps({"id": name, "digest": digest})
        decisions.deny(services, Click(user, "C1", "t", "", value, {}))
        assert why in told.pop()
    assert not opened
    value = json.dumps({"id": "AAAAAA", "digest": "d1"})
    decisions.deny(services, Click("U2", "C1", "t", "", value, {}))
    assert not told
    assert len(opened) == 1


def test_nobody_confirms_several_at_once_in_a_freeze(services: Any) -> None:
    ask(services, "AAAAAA", Policy())
    told: list[str] = []
    services.wake = lambda action_id: None
    services.slack = SimpleNamespace(chat_postEphemeral=lambda **message: told.append(message))
    click = Click("U1", "C1", "t", "", "AAAAAA", {})
    services.now = START
    rotate.confirm_all(services, click)
    assert state(services, "AAAAAA") is State.PENDING
    assert "Year end" in str(told)
    services.now = START - datetime.timedelta(minutes=1)
    rotate.confirm_all(services, click)
    assert state(services, "AAAAAA") is State.APPROVED


def test_two_identities_found_to_be_one_person_meanwhile_are_that_person(services: Any) -> None:
    two = Policy("approvers", 2, PEOPLE)
    ask(services, "AAAAAA", two)
    ask(services, "BBBBBB", two)
    assert decisions.approved(services, "BBBBBB", "U2", "d1", "1").result == "counted"
    for mapped, action_id, result in (
        ({"U1": "ana", "U2": "ana"}, "AAAAAA", "self"),
        ({"U2": "ben", "U3": "ben"}, "BBBBBB", "voted"),
    ):
        services.gatekeeper = keeper(services, mapped)
        voter = "U2" if result == "self" else "U3"
        assert decisions.approved(services, action_id, voter, "d1", "2").result == result
    assert state(services, "AAAAAA") is state(services, "BBBBBB") is State.PENDING
