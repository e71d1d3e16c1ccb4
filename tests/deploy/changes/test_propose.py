"""From what somebody asks for to an action that waits for its decision, or to none."""

import dataclasses
import datetime
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.access import Approval, Freeze
from deploy.actions.action import Action, Denial, Outcome, State
from deploy.actions.connection import connect
from deploy.errors import Conflict, GatewayBotError, InvalidInput, NotFound, Refused, Unavailable
from deploy.gateway import GatewayRef
from deploy.plans.plan import OwnershipConflict, Plan
from deploy.plans.requests import (
    DeployRequest,
    RestartRequest,
    RollbackRequest,
    RotateRequest,
    ScaleRequest,
)
from deploy.policy import Policy
from deploy.rules.finding import Finding
from deploy.tokens.rotation import Rotation
from tests.support.actions import APPROVERS, REF, by_approvers, confirm, plan_of, spec_of
from tests.support.changes import DEVELOPMENT, PROD, PRODUCTION, Changes
from tests.support.redis_servers import started

WARNING = Finding("no-memory", "warning", "No memory.", "y", "x", {"resources": {"memory": "3Gi"}})
DENYING = Finding("privileged", "deny", "It is privileged.", "y", "x")
UNDONE = Finding(
    "managed-elsewhere", "warning", "It will be undone.", "y", "Export it for its repository."
)
FOREIGN = OwnershipConflict("Deployment", "edge-1", "argocd", "spec.replicas")


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
    return Changes(client)


def planning(**changes: Any) -> Callable[[Any, str], Plan]:
    return lambda request, new_id: plan_of(**changes)


def raising(error: GatewayBotError) -> Callable[[Any, str], Plan]:
    def plans(request: Any, new_id: str) -> Plan:
        raise error

    return plans


def test_what_is_asked_for_waits_for_its_decision_as_it_was_asked(changes: Changes) -> None:
    request = ScaleRequest(REF, 3)
    action = changes.asked(request=request, why="Black Friday", notes=("Two nodes are full.",))
    assert (action.state, action.kind, action.request) == (State.PENDING, "scale", request)
    assert (action.why, action.policy, action.digest) == ("Black Friday", Policy(), "d1")
    assert [finding.what for finding in action.plan.findings] == ["Two nodes are full."]
    assert action.expires_at - action.created_at == 900
    assert changes.woken == [action.id]
    production = changes.asked("r2", ref=PROD)
    assert production.policy == by_approvers()


def test_asking_twice_in_one_delivery_makes_one_action(changes: Changes) -> None:
    assert changes.asked().id == changes.asked().id
    assert len(changes.store.open()) == 1


@pytest.mark.parametrize("plan", [{"changes": ()}, {"findings": (DENYING, WARNING)}])
def test_what_changes_nothing_or_is_forbidden_is_shown_and_nothing_waits(
    changes: Changes, plan: dict[str, Any]
) -> None:
    changes.plans = planning(**plan)
    proposal = changes.propose()
    assert (proposal.action, proposal.plan) == (None, plan_of(**plan))
    assert changes.store.open() == ()


def test_what_others_own_is_changed_only_where_that_was_agreed_to(changes: Changes) -> None:
    changes.plans = planning(conflicts=(FOREIGN,))
    with pytest.raises(Conflict, match="that others own") as refused:
        changes.propose()
    assert "argocd owns Deployment spec.replicas" in refused.value.meaning
    agreed = changes.asked(request=ScaleRequest(REF, 2, take_over=True))
    assert agreed.plan.conflicts == (FOREIGN,)


def test_what_something_else_would_undo_is_forced_in_production_only_with_a_reason(
    changes: Changes,
) -> None:
    changes.plans = planning(ref=PROD, findings=(UNDONE,), conflicts=(FOREIGN,))
    with pytest.raises(Conflict, match="It will be undone") as refused:
        changes.propose(ref=PROD, request=ScaleRequest(PROD, 2))
    assert "Export it for its repository" in refused.value.remedy
    forced = ScaleRequest(PROD, 2, take_over=True)
    with pytest.raises(InvalidInput, match="A reason is required") as missing:
        changes.propose(ref=PROD, request=forced)
    assert missing.value.field == "reason"
    assert changes.asked(ref=PROD, request=forced, why="Argo CD is paused").why
    changes.plans = planning(findings=(UNDONE,), conflicts=(FOREIGN,))
    assert changes.asked("r2", request=ScaleRequest(REF, 2, take_over=True)).why == ""


@pytest.mark.parametrize("given", [{"why": "x" * 501}, {"break_glass": "x" * 501}])
def test_a_reason_that_is_too_long_is_refused_before_anything_is_planned(
    changes: Changes, given: dict[str, str]
) -> None:
    changes.plans = raising(AssertionError())  # type: ignore[arg-type]  # it must not be called
    with pytest.raises(InvalidInput, match="at most 500"):
        changes.propose(**given)


def test_who_may_not_ask_is_refused_before_anything_is_planned(changes: Changes) -> None:
    def may_ask(ref: GatewayRef, user: str, channel: str) -> None:
        raise Refused(f"{user} may not ask in {channel}.")

    changes.may_ask = may_ask
    changes.plans = raising(AssertionError())  # type: ignore[arg-type]  # it must not be called
    with pytest.raises(Refused, match="U1 may not ask in C1"):
        changes.propose()


def test_what_approvers_decide_on_is_not_asked_for_where_none_of_them_sees_it(
    changes: Changes,
) -> None:
    with pytest.raises(Refused, match="no approver would see") as refused:
        changes.propose(ref=PROD, seen=False)
    assert "in a channel that the approvers read" in refused.value.remedy
    assert changes.asked(ref=PROD).policy.by == "approvers"
    changes.windows.open(PROD, "U1", by="U2", reason="x", seconds=60, channel="C1", request_id="w")
    assert changes.asked("r2", ref=PROD, seen=False).policy.by == "requester"
    assert changes.asked("r3", seen=False).policy.by == "requester"


def test_a_freeze_is_overridden_only_for_a_reason_and_where_others_see_it(client: Any) -> None:
    now = datetime.datetime.now(datetime.UTC)
    freeze = Freeze("Year end", now, now + datetime.timedelta(days=1))
    changes = Changes(client, dataclasses.replace(DEVELOPMENT, freezes=(freeze,)))
    with pytest.raises(Refused, match="Year end"):
        changes.propose()
    with pytest.raises(Refused, match="reported to a channel"):
        changes.propose(break_glass="it is down", seen=False)
    asked = changes.asked(break_glass="it is down")
    assert asked.policy.break_glass == "it is down"
    assert asked.plan.findings == ()


def test_a_reason_to_override_a_freeze_is_said_to_be_unused_where_there_is_none(
    changes: Changes,
) -> None:
    action = changes.asked(break_glass="it is down")
    assert action.policy.break_glass == ""
    (found,) = action.plan.findings
    assert found.what == "`--break-glass` is not used: no change freeze is in effect here."


def test_what_rests_on_a_window_waits_no_longer_than_the_window_is_open(changes: Changes) -> None:
    changes.windows.open(PROD, "U1", by="U2", reason="x", seconds=60, channel="C1", request_id="w")
    action = changes.asked(ref=PROD)
    assert 1 <= action.expires_at - action.created_at <= 60
    assert changes.asked("r2", ref=PROD, seconds=5).expires_at - action.created_at < 10


def test_approvers_have_the_time_that_their_environment_gives_them(client: Any) -> None:
    approval = Approval(APPROVERS, seconds=7200)
    changes = Changes(client, dataclasses.replace(PRODUCTION, approval=approval), DEVELOPMENT)
    action = changes.asked(ref=PROD)
    assert action.expires_at - action.created_at == 7200


def test_of_open_plans_of_one_person_that_are_the_same_the_newest_stays(changes: Changes) -> None:
    first, other = changes.asked(), changes.asked("r2", requester="U4")
    changes.plans = planning(digest="d2")
    different = changes.asked("r3", request=ScaleRequest(REF, 3))
    changes.plans = planning()
    newest = changes.asked("r4")
    assert [action.id for action in changes.store.open()] == [other.id, different.id, newest.id]
    replaced = changes.now_of(first)
    assert replaced.state is State.SUPERSEDED
    assert replaced.outcome is not None
    assert replaced.outcome.happened == f"Replaced by {newest.id}."


def test_two_plans_of_one_moment_do_not_replace_each_other(client: Any, changes: Changes) -> None:
    first = changes.asked("r1")
    second = changes.asked("r2")
    assert [action.id for action in changes.store.open()] == [second.id]
    record = f"gateway-bot:{{a:{first.id}}}:act"
    # The bot that replaces the first one is slow, and the first one is delivered once more.
    client.hset(record, mapping={"state": "pending", "created": int(second.created_at * 1000)})
    changes.asked("r1")
    kept = changes.store.get(second.id)
    assert kept is not None
    assert kept.state is State.PENDING


def test_the_second_plan_of_one_moment_replaces_the_first(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, create = changes.asked("r1"), changes.store.create

    def at_once(*given: Any, **named: Any) -> Action:
        return dataclasses.replace(create(*given, **named), created_at=first.created_at)

    monkeypatch.setattr(changes.store, "create", at_once)
    second = changes.asked("r2")
    assert [action.id for action in changes.store.open()] == [second.id]


def test_of_open_rollbacks_of_one_person_to_different_revisions_the_newest_stays(
    changes: Changes,
) -> None:
    def to(revision: int) -> dict[str, Any]:
        changes.plans = planning(digest=f"d{revision}")
        return {"kind": "rollback", "request": RollbackRequest(spec_of(), revision=revision)}

    first, other = changes.asked(**to(3)), changes.asked("r2", requester="U4", **to(3))
    newest = changes.asked("r3", **to(2))
    assert [action.id for action in changes.store.open()] == [other.id, newest.id]
    replaced = changes.now_of(first)
    assert replaced.state is State.SUPERSEDED
    assert replaced.outcome is not None
    assert replaced.outcome.happened == f"Replaced by {newest.id}."


def test_what_changes_nothing_names_what_is_pending_on_its_gateway(changes: Changes) -> None:
    pending = changes.asked(requester="U4")
    changes.plans = planning(changes=())
    assert changes.propose("r2").beside == (pending,)


def test_what_was_decided_already_is_not_replaced_by_the_same(changes: Changes) -> None:
    first = changes.asked()
    confirm(changes.store, first.id)
    changes.asked("r2")
    assert changes.now_of(first).state is State.APPROVED


def test_a_denial_within_a_day_is_on_the_next_request_for_the_same(
    changes: Changes, client: Any
) -> None:
    first = changes.asked(ref=PROD)
    assert changes.deny(first, "U2", reason="not on a Friday").counted
    denied = changes.now_of(first)
    assert denied.decided_at is not None
    again = changes.asked("r2", ref=PROD, requester="U4")
    wanted = Denial("U2", "not on a Friday", denied.decided_at, "U1", first.id)
    assert again.denied == wanted
    assert changes.asked("r3", ref=PROD, kind="restart",
                         request=RestartRequest(PROD, "now")).denied is None  # fmt: skip
    assert changes.asked("r4", ref=GatewayRef("west", "prod", "edge-2")).denied is None
    key = f"gateway-bot:{{a:{first.id}}}:act"
    client.hset(key, "decided", int((denied.decided_at - 86_401) * 1000))
    assert changes.asked("r5", ref=PROD, requester="U5").denied is None


def test_a_denial_is_no_longer_shown_once_the_same_kind_of_change_was_approved(
    changes: Changes,
) -> None:
    changes.deny(changes.asked(ref=PROD), "U2")
    other = changes.asked("r2", ref=PROD, requester="U4")
    assert other.denied is not None
    assert changes.agree(other, "U2").counted
    assert changes.asked("r3", ref=PROD).denied is None
    changes.deny(changes.asked("r4", ref=PROD, requester="U5"), "U3")
    assert changes.asked("r5", ref=PROD, requester="U6").denied is not None


def never() -> None:
    """What is not to be asked for again."""
    raise AssertionError


def test_a_plan_that_still_holds_is_left_as_it_is(changes: Changes) -> None:
    action = changes.asked(ref=PROD)
    changes.proposer.replan(action, never)
    assert changes.now_of(action) == action


def test_an_open_plan_is_superseded_by_a_fresh_one_when_the_gateway_changed(
    changes: Changes,
) -> None:
    request = ScaleRequest(PROD, 5, take_over=True)
    action = changes.asked(ref=PROD, request=request, why="more load")
    changes.plans = planning(ref=PROD, digest="d2")
    states: list[State] = []
    changes.proposer.replan(action, lambda: states.append(changes.now_of(action).state))
    assert states == [State.PENDING], "the fresh plan is asked for before the old one ends"
    superseded = changes.now_of(action)
    assert superseded.state is State.SUPERSEDED
    changes.proposer.replan(superseded, never)
    fresh = changes.proposer.renewed(action, "again").action
    assert fresh is not None
    assert (fresh.digest, fresh.request, fresh.why) == ("d2", request, "more load")
    assert fresh.requester == "U1"
    assert [each.id for each in changes.store.open()] == [fresh.id]


def test_a_plan_that_can_no_longer_be_made_is_superseded_with_the_reason(changes: Changes) -> None:
    action = changes.asked()
    changes.plans = raising(NotFound("It is gone.", remedy="Deploy it."))
    changes.proposer.replan(action, never)
    assert changes.now_of(action).outcome == Outcome(
        State.SUPERSEDED, "It is gone.", "", "Deploy it."
    )


def test_a_cluster_that_is_away_supersedes_nothing(changes: Changes) -> None:
    action = changes.asked()
    changes.plans = raising(Unavailable("Cluster “west” does not answer."))
    changes.proposer.replan(action, never)
    assert changes.now_of(action) == action


def test_what_the_bot_asked_for_by_itself_is_planned_again_by_what_asked(changes: Changes) -> None:
    action = changes.asked(automatic=True, standing="Ben")
    changes.plans = planning(digest="d2")
    changes.proposer.replan(action, never)
    assert changes.now_of(action).state is State.SUPERSEDED
    assert changes.store.open() == ()


def test_a_restart_once_more_replaces_the_pods_once_more(changes: Changes, client: Any) -> None:
    first = RestartRequest(REF, "2026-11-25T12:00:00Z", take_over=True)
    action = changes.asked(kind="restart", request=first)
    again = changes.proposer.renewed(action, "again").action
    assert again is not None
    assert isinstance(again.request, RestartRequest)
    assert again.request.take_over
    marked = datetime.datetime.fromisoformat(again.request.at).timestamp()
    assert 0 <= client.time()[0] - marked < 60


@pytest.mark.parametrize(
    ("kind", "request_"),
    [("scale", ScaleRequest(REF, 2)), ("rotate", RotateRequest(REF, Rotation("primary")))],
)
def test_the_same_once_more_is_asked_for_as_it_was(
    changes: Changes, kind: str, request_: Any
) -> None:
    action = changes.asked(kind=kind, request=request_)
    same = changes.proposer.renewed(action, "again").action
    assert same is not None
    assert (same.kind, same.request) == (kind, request_)


def test_a_rules_advice_is_asked_for_with_the_whole_spec(changes: Changes) -> None:
    changes.plans = planning(findings=(WARNING,))
    action = changes.asked()
    advised = changes.proposer.renewed(action, "advised", rule="no-memory").action
    assert advised is not None
    spec = dataclasses.replace(spec_of(), memory="3Gi")
    assert (advised.kind, advised.request) == ("deploy", DeployRequest(spec))
    with pytest.raises(Conflict, match="does not offer that"):
        changes.proposer.renewed(action, "r9", rule="privileged")


def test_a_change_that_brings_no_spec_says_what_rules_advise_and_offers_no_fix(
    changes: Changes,
) -> None:
    changes.plans = planning(findings=(WARNING,))
    action = changes.asked(kind="rotate", request=RotateRequest(REF, Rotation()))
    assert action.plan.findings == (dataclasses.replace(WARNING, fix_patch=None),)
    with pytest.raises(Conflict, match="does not offer that"):
        changes.proposer.renewed(action, "advised", rule="no-memory")


def test_what_needs_approvers_by_now_is_not_asked_again_where_none_of_them_sees_it(
    client: Any,
) -> None:
    alone = Changes(client, dataclasses.replace(PRODUCTION, production=False, approval=None))
    action = alone.asked(ref=PROD, seen=False)
    today = Changes(client)
    with pytest.raises(Refused, match="no approver would see"):
        today.proposer.renewed(action, "again", seen=False)
