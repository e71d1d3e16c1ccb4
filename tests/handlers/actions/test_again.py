"""What is planned when the same is asked for again, on a gateway that has moved since."""

import dataclasses
import datetime
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.access import Freeze
from deploy.actions.action import Action, State
from deploy.actions.connection import connect
from deploy.errors import Refused, Unavailable
from deploy.plans.plan import Plan
from deploy.plans.requests import (
    DeployRequest,
    KeyRequest,
    RemovalRequest,
    RestartRequest,
    RollbackRequest,
    RotateRequest,
    ScaleRequest,
)
from deploy.rules.finding import Finding
from deploy.specs.options import Autoscaling
from deploy.tokens.rotation import Rotation
from handlers.actions import again, decisions, fix
from handlers.slack.payloads import Request
from handlers.views import action as action_view
from handlers.views import fixes
from handlers.views.reply import Reply
from tests.support.actions import REF, plan_of, spec_of
from tests.support.changes import DEVELOPMENT, PROD, PRODUCTION, Changes
from tests.support.clicks import clicked, heard
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
    return again.run(
        again.Needs(changes.store, changes.batches, changes.proposer, into.append), request
    )


def buttons(changes: Changes) -> tuple[decisions.Needs, list[Request]]:
    """What they work with, and the requests that are made safe."""
    accepted: list[Request] = []
    made = needs(
        decisions.Needs,
        store=changes.store,
        decider=changes.decider,
        accept=accepted.append,
    )
    return made, accepted


def click_on_fix(changes: Changes, old: Action, at: str = "1.0") -> Request:
    """The request that a click at that time makes safe."""
    given, accepted = buttons(changes)
    ((_, button),) = fixes.offered(old.plan, old.id)
    fix.fix(given, clicked("U1", button["value"], button["action_id"], at=at))
    (request,) = accepted
    return request


def fresh(changes: Changes, old: Action) -> Action:
    (found,) = [action for action in changes.store.open() if action.id != old.id]
    return found


@pytest.mark.parametrize(
    ("kind", "request_"),
    [
        ("restart", RestartRequest(REF, "2026-11-25T12:00:00Z", take_over=True)),
        ("scale", ScaleRequest(REF, 3, take_over=True)),
        ("deploy", DeployRequest(spec_of(), take_over=True)),
        ("rollback", RollbackRequest(spec_of(), revision=3)),
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
def test_what_is_fixed_in_a_plan_is_in_the_new_plan_which_replaces_the_old_one(
    changes: Changes, kind: str, request_: Any, fixed: str
) -> None:
    old = changes.asked(kind=kind, request=request_)
    changes.plans = lambda request, new_id: plan_of(digest="d2")
    plan_again(changes, click_on_fix(changes, old))
    new = fresh(changes, old)
    spec = dataclasses.replace(spec_of(), memory="3Gi")
    assert (new.kind, new.request) == (fixed, DeployRequest(spec, take_over=True))
    replaced = changes.now_of(old)
    assert replaced.state is State.SUPERSEDED
    text, blocks = action_view.render(replaced)
    assert text.endswith(f"was superseded: Replaced by {new.id}, with the fix")
    assert (
        f"*Replaced by {new.id}, with the fix.*\nNothing was changed." in blocks[1]["text"]["text"]
    )


@pytest.mark.parametrize(
    ("patch", "fixed"),
    [
        ({"resources": {"memory": "3Gi"}}, {"memory": "3Gi"}),
        ({"replicas": 3}, {"replicas": 3}),
    ],
)
def test_a_fix_of_a_rollback_keeps_where_it_goes_and_counts_pods_only_if_it_is_about_them(
    changes: Changes, patch: dict[str, Any], fixed: dict[str, Any]
) -> None:
    advice = Finding("advised", "warning", "w", "y", "x", patch)
    changes.plans = lambda request, new_id: plan_of(findings=(advice,))
    old = changes.asked(kind="rollback", request=RollbackRequest(spec_of(), revision=3))
    changes.plans = lambda request, new_id: plan_of(digest="d2")
    plan_again(changes, click_on_fix(changes, old))
    new = fresh(changes, old)
    spec = dataclasses.replace(spec_of(), **fixed)
    wanted = RollbackRequest(spec, counts="replicas" in patch, revision=3)
    assert (new.kind, new.request) == ("rollback", wanted)


def test_a_fix_of_a_rollback_that_is_about_its_autoscaler_is_not_undone_by_todays(
    changes: Changes,
) -> None:
    spec = dataclasses.replace(spec_of(), replicas=3, autoscaling=Autoscaling(1, 6))
    advice = Finding("advised", "warning", "w", "y", "x", {"autoscaling": {"minReplicas": 3}})
    changes.plans = lambda request, new_id: plan_of(spec=spec, findings=(advice,))
    old = changes.asked(kind="rollback", request=RollbackRequest(spec, revision=3))
    changes.plans = lambda request, new_id: plan_of(spec=spec, digest="d2")
    plan_again(changes, click_on_fix(changes, old))
    asked = fresh(changes, old).request
    assert isinstance(asked, RollbackRequest)
    assert (asked.spec.autoscaling, asked.counts) == (Autoscaling(3, 6), True)


def test_a_fix_that_cannot_be_planned_leaves_the_plan_open_and_its_button_at_work(
    changes: Changes,
) -> None:
    old = changes.asked(kind="restart", request=RestartRequest(REF, "2026-11-25T12:00:00Z"))
    plans = changes.plans

    def away(request: Any, new_id: str) -> Plan:
        raise Unavailable("Cluster “west” does not answer.")

    changes.plans = away
    first = click_on_fix(changes, old, at="1.0")
    with pytest.raises(Unavailable):
        plan_again(changes, first)
    assert changes.now_of(old) == old
    changes.plans = plans
    second = click_on_fix(changes, old, at="2.0")
    assert second.id != first.id, "the inbox takes one request once"
    plan_again(changes, second)
    assert changes.now_of(old).state is State.SUPERSEDED


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
    given, accepted = buttons(changes)
    told = []
    for user, rule in (("U2", "no-memory"), ("U1", "privileged")):
        click = clicked(user, json.dumps({"id": old.id, "rule": rule}))
        told.append(heard(partial(fix.fix, given, click)))
    assert "Only the requester, <@U1>," in told[0]
    assert "still pending" in told[1]
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


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("way", ["clicked", "superseded", "fixed"])
def test_the_freeze_of_then_is_overridden_again_and_a_later_one_is_not(
    client: Any, way: str, later: bool
) -> None:
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    freezes = (Freeze("A", now - day, now + day), Freeze("B", now + 2 * day, now + 3 * day))
    changes = Changes(client, dataclasses.replace(DEVELOPMENT, freezes=freezes))
    changes.plans = lambda request, new_id: plan_of(findings=(ADVICE,))
    old = changes.asked(break_glass="it is down")
    changes.plans = lambda request, new_id: plan_of(digest="d2")

    def renewed(request_id: str) -> None:
        given, accepted = buttons(changes)
        value = json.dumps({"id": old.id, "digest": old.digest, "rule": "no-memory"})
        click = clicked("U1", value, at=request_id)
        if way == "clicked":
            decisions.ask_again(given, click)
        elif way == "fixed":
            fix.fix(given, click)
        else:
            plan_again(changes, again.look(old, request_id), accepted)
        changes.now = now if request_id == "in A" else now + 2.5 * day
        plan_again(changes, dataclasses.replace(accepted[0], id=request_id))

    if not later:
        renewed("in A")
        assert fresh(changes, old).policy.break_glass == "it is down"
        return
    with pytest.raises(Refused, match=r"frozen until .*: B"):
        renewed("in B")


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
