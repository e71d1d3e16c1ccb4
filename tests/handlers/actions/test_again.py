"""What is planned when the same is asked for again, on a gateway that has moved since."""

import dataclasses
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.action import Action, State
from deploy.actions.connection import connect
from deploy.errors import Refused
from deploy.plans.requests import (
    DeployRequest,
    KeyRequest,
    RemovalRequest,
    RestartRequest,
    RotateRequest,
    ScaleRequest,
)
from deploy.rules.finding import Finding
from deploy.tokens.rotation import Rotation
from handlers.actions import again, decisions, fix
from handlers.slack.payloads import Click, Request
from handlers.views import action as action_view
from handlers.views import fixes
from handlers.views.reply import Reply
from tests.support.actions import REF, plan_of, spec_of
from tests.support.changes import PROD, PRODUCTION, Changes
from tests.support.needs import needs
from tests.support.redis_servers import started

ADVICE = Finding("no-memory", "warning", "w", "y", "x", {"resources": {"memory": "3Gi"}})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def client(server: Valkey) -> Any:
    found = connect(server.url)
    found.flushall()
    return found


@pytest.fixture
def changes(client: Any) -> Changes:
    made = Changes(client)
    made.plans = lambda request, new_id: plan_of(findings=(ADVICE,))
    return made


def plan_again(
    changes: Changes, request: Request, accepted: list[Request] | None = None
) -> Reply | None:
    """What is said; what it makes safe to be done later is in `accepted`."""
    into: list[Request] = [] if accepted is None else accepted
    return again.run(again.Needs(changes.store, changes.proposer, into.append), request)


def buttons(changes: Changes) -> tuple[decisions.Needs, list[Request], list[str]]:
    """What they work with, the requests that are made safe, and what is said to who clicks."""
    accepted: list[Request] = []
    told: list[str] = []
    made = needs(
        decisions.Needs,
        store=changes.store,
        decider=changes.decider,
        accept=accepted.append,
        slack=SimpleNamespace(chat_postEphemeral=lambda **message: told.append(message["text"])),
    )
    return made, accepted, told


def fresh(changes: Changes, old: Action) -> Action:
    (found,) = [action for action in changes.store.open() if action.id != old.id]
    return found


@pytest.mark.parametrize(
    ("kind", "request_"),
    [
        ("restart", RestartRequest(REF, "2026-11-25T12:00:00Z", take_over=True)),
        ("scale", ScaleRequest(REF, 3, take_over=True)),
        ("deploy", DeployRequest(spec_of(), take_over=True)),
        ("rollback", DeployRequest(spec_of())),
        ("rotate", RotateRequest(REF, Rotation("primary"))),
        ("regenerate-key", KeyRequest(REF, "primary")),
        ("delete", RemovalRequest(REF, volumes=True)),
    ],
)
def test_what_is_asked_for_again_is_what_was_asked_and_not_the_whole_gateway_of_then(
    changes: Changes, kind: str, request_: Any
) -> None:
    old = changes.asked(kind=kind, request=request_, why="why")
    changes.cancel(old, "U1")
    request = again.renewal(old, "click")
    assert plan_again(changes, request) is None
    assert plan_again(changes, request) is None, "one id makes one plan"
    new = fresh(changes, old)
    assert (new.kind, new.why, new.requester, new.origin) == (kind, "why", "U1", old.origin)
    if isinstance(new.request, RestartRequest):
        assert new.request == dataclasses.replace(request_, at=new.request.at)
        assert new.request.at > request_.at
    else:
        assert new.request == request_


@pytest.mark.parametrize(
    ("kind", "request_", "fixed"),
    [
        ("restart", RestartRequest(REF, "2026-11-25T12:00:00Z", take_over=True), "deploy"),
        ("scale", ScaleRequest(REF, 3, take_over=True), "deploy"),
        ("deploy", DeployRequest(spec_of(), take_over=True), "deploy"),
        ("adopt", DeployRequest(spec_of(), take_over=True), "adopt"),
    ],
)
def test_what_is_fixed_in_a_plan_is_in_the_new_plan_and_the_old_one_is_taken_back(
    changes: Changes, kind: str, request_: Any, fixed: str
) -> None:
    old = changes.asked(kind=kind, request=request_)
    clicked, accepted, _ = buttons(changes)
    (button,) = fixes.blocks(old, old.plan)[0]["elements"]
    fix.fix(clicked, Click("U1", "C1", "t", "", button["value"], {}))
    assert changes.now_of(old).state is State.CANCELLED
    plan_again(changes, accepted[0])
    new = fresh(changes, old)
    spec = dataclasses.replace(spec_of(), memory="3Gi")
    assert (new.kind, new.request) == (fixed, DeployRequest(spec, take_over=True))


@pytest.mark.parametrize(
    ("kind", "request_"),
    [
        ("rotate", RotateRequest(REF, Rotation())),
        ("regenerate-key", KeyRequest(REF, "primary")),
        ("delete", RemovalRequest(REF)),
    ],
)
def test_no_button_puts_a_fix_into_what_brings_no_spec(
    changes: Changes, kind: str, request_: Any
) -> None:
    old = changes.asked(kind=kind, request=request_)
    _, blocks = action_view.render(old)
    assert "no-memory" not in json.dumps([b for b in blocks if b["type"] == "actions"])


def test_only_who_asked_fixes_it_and_only_what_was_advised(changes: Changes) -> None:
    old = changes.asked()
    clicked, accepted, told = buttons(changes)
    for user, rule in (("U2", "no-memory"), ("U1", "privileged")):
        value = json.dumps({"id": old.id, "rule": rule})
        fix.fix(clicked, Click(user, "C1", "t", "", value, {}))
    assert "Only <@U1>" in told[0]
    assert "already pending" in told[1]
    assert accepted == []
    assert changes.now_of(old) == old


def test_a_plan_that_still_holds_is_left_and_one_that_does_not_is_replaced(
    changes: Changes,
) -> None:
    old = changes.asked()
    accepted: list[Request] = []
    assert plan_again(changes, again.look(old, "ENDED2"), accepted) is None
    assert changes.now_of(old) == old
    assert accepted == []
    changes.plans = lambda request, new_id: plan_of(digest="d2")
    assert plan_again(changes, again.look(old, "ENDED3"), accepted) is None
    assert changes.now_of(old).state is State.SUPERSEDED
    (renewal,) = accepted
    assert plan_again(changes, renewal) is None
    assert fresh(changes, old).digest == "d2"


def test_a_gateway_that_became_what_was_asked_for_is_said_to_be_like_that(
    changes: Changes,
) -> None:
    old = changes.asked()
    changes.plans = lambda request, new_id: plan_of(changes=(), digest="d2")
    accepted: list[Request] = []
    assert plan_again(changes, again.look(old, "ENDED2"), accepted) is None
    (renewal,) = accepted
    reply = plan_again(changes, renewal)
    assert reply is not None
    assert "No change" in reply.text
    assert changes.store.open() == ()


def test_what_was_asked_in_person_is_not_put_there_once_approvers_decide(client: Any) -> None:
    then = Changes(client, dataclasses.replace(PRODUCTION, production=False, approval=None))
    old = then.asked(ref=PROD, seen=False, origin={"channel": "D1"})
    with pytest.raises(Refused, match="no approver would see"):
        plan_again(Changes(client), again.renewal(old, "click"))


def test_an_action_that_is_gone_is_said_to_be(changes: Changes) -> None:
    old = dataclasses.replace(changes.asked(), id="BBBBBB")
    reply = plan_again(changes, again.renewal(old, "click"))
    assert reply is not None
    assert "gone" in reply.text
