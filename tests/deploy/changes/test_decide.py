"""Deciding on an action, by the settings and the groups of that moment."""

import dataclasses
import datetime
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.access import Approval, Environment, Freeze, Ground
from deploy.actions.action import Action, Outcome, State
from deploy.actions.connection import connect
from deploy.actions.decision import Choice
from deploy.changes.decide import By, Ending
from deploy.changes.refusal import NotAllowed
from deploy.errors import InvalidInput, Refused, Unavailable
from deploy.gateway import GatewayRef
from deploy.plans.requests import ScaleRequest
from deploy.policy import People
from tests.support.actions import REF, approve, ask, by_approvers, contents, plan_of
from tests.support.changes import DEVELOPMENT, PROD, PRODUCTION, Changes, Groups, governed_by
from tests.support.log_records import logged
from tests.support.redis_servers import started

STAGING = Environment("staging", namespaces=("stage",), approval=Approval(People(groups=("S2",))))
AUTOMATIC = dataclasses.replace(PRODUCTION, standing="Ben")
BOTH = {"governing": governed_by("staging")}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


Made = Callable[..., Changes]


@pytest.fixture
def made(server: Valkey) -> Made:
    """Changes by settings that a test gives, over one empty Redis: settings of then and of now."""
    client = connect(server.url)
    client.flushall()

    def make(*environments: Environment, **given: Any) -> Changes:
        return Changes(client, *environments, **given)

    return make


def test_the_log_has_what_came_of_each_decision(made: Made) -> None:
    changes = made(DEVELOPMENT)
    action = ask(changes.store, ref=REF)
    with logged("deploy.changes") as lines:
        changes.decider.cancel(action.id, By("U1", action.digest, "r1"))
    (line,) = lines
    assert (line["event"], line["message"], line["outcome"]) == ("decision", "cancel", "done")
    assert (line["user"], line["action"], line["gateway"]) == ("U1", action.id, str(REF))
    assert "duration" in line


def quorum(count: int, environment: Environment = PRODUCTION) -> Environment:
    assert environment.approval is not None
    approval = dataclasses.replace(environment.approval, quorum=count)
    return dataclasses.replace(environment, approval=approval)


def both(made: Made, production: Environment = PRODUCTION) -> Changes:
    """Where staging decides too: U2 approves for either, U3 for production, U5 for staging."""
    groups = Groups(S1=("U2", "U3"), S2=("U2", "U5"))
    return made(production, STAGING, groups=groups, **BOTH)


def test_the_requester_confirms_what_is_theirs_and_nobody_else_does(made: Made) -> None:
    changes = made()
    action = changes.asked()
    assert changes.refused(changes.agree, action, "U2") is Ground.NOT_OWN
    assert changes.refused(changes.deny, action, "U2") is Ground.REQUESTER_DECIDES
    assert changes.agree(action, "U1", digest="d2").result == "stale"
    assert changes.agree(action, "U1").result == "done"
    assert changes.agree(action, "U1").result == "replayed"
    assert changes.agree(action, "U1", request="another click").result == "already"
    assert changes.now_of(action).state is State.APPROVED
    assert action.id in changes.woken


def test_approvers_decide_on_what_is_theirs_and_its_requester_does_not(made: Made) -> None:
    changes = made()
    action = changes.asked(ref=PROD, requester="U2")
    for choice in (changes.agree, changes.deny):
        assert changes.refused(choice, action, "U2") is Ground.OWN_REQUEST
        assert changes.refused(choice, action, "U9") is Ground.NOT_NAMED
    assert changes.agree(action, "U3", digest="d2").result == "stale"
    assert changes.agree(action, "U3").result == "done"
    assert changes.now_of(action).votes[0].serves == frozenset({"production"})


def test_every_requirement_is_met_before_it_may_begin(made: Made) -> None:
    changes = both(made)
    action = changes.asked(ref=PROD)
    assert changes.agree(action, "U3").result == "counted"
    assert changes.agree(action, "U3", request="once more").result == "voted"
    assert changes.now_of(action).state is State.PENDING
    assert changes.agree(action, "U5").result == "done"
    votes = {vote.by: set(vote.serves or ()) for vote in changes.now_of(action).votes}
    assert votes == {"U3": {"production"}, "U5": {"staging"}}


def test_one_vote_serves_several_requirements(made: Made) -> None:
    changes = both(made)
    action = changes.asked(ref=PROD)
    assert changes.agree(action, "U2").result == "done"
    assert changes.now_of(action).votes[0].serves == frozenset({"production", "staging"})


def test_votes_for_one_environment_make_up_for_none_that_another_lacks(made: Made) -> None:
    changes = both(made, quorum(2))
    action = changes.asked(ref=PROD)
    assert changes.agree(action, "U5").result == "counted"
    assert changes.agree(action, "U3").result == "counted"
    assert changes.agree(action, "U2").result == "done", "two of production, and two of staging"


def test_a_denial_of_any_approver_ends_it_whatever_others_said(made: Made) -> None:
    changes = both(made)
    action = changes.asked(ref=PROD)
    assert changes.agree(action, "U3").result == "counted"
    denied = changes.deny(action, "U5", reason="  not on \n a Friday ")
    assert denied.result == "done"
    assert changes.now_of(action).reason == "not on a Friday"
    assert changes.agree(action, "U2").result == "already"


@pytest.mark.parametrize("reason", ["", " \n ", "x" * 501])
def test_a_denial_says_why_in_a_few_words(made: Made, reason: str) -> None:
    changes = made()
    action = changes.asked(ref=PROD)
    with pytest.raises(InvalidInput, match="reason"):
        changes.deny(action, "U2", reason=reason)
    assert changes.now_of(action) == action


def test_a_vote_of_who_left_the_group_does_not_count(made: Made) -> None:
    changes = made(quorum(2), DEVELOPMENT, groups=Groups(S1=("U2", "U3", "U4")))
    action = changes.asked(ref=PROD)
    assert changes.agree(action, "U2").result == "counted"
    changes.groups.members["S1"] = ("U3", "U4")
    assert changes.agree(action, "U3").result == "counted"
    assert changes.agree(action, "U4").result == "done"


def test_who_came_to_the_approvers_meanwhile_has_not_been_asked(made: Made) -> None:
    named = dataclasses.replace(PRODUCTION, approval=Approval(People(users=("U2",))))
    action = made(named).asked(ref=PROD)
    today = made(dataclasses.replace(named, approval=Approval(People(users=("U2", "U6")))))
    assert today.refused(today.agree, action, "U6") is Ground.NOT_NAMED
    assert today.agree(action, "U2").result == "done"


def test_a_quorum_that_was_raised_counts_and_is_shown(made: Made) -> None:
    action = made().asked(ref=PROD)
    today = made(quorum(2), DEVELOPMENT)
    assert today.agree(action, "U2").result == "counted"
    (needed,) = today.now_of(action).policy.requirements
    assert needed.quorum == 2
    assert made().agree(action, "U3").result == "done", "lowered again it holds as it was shown"


def test_a_quorum_that_was_lowered_is_the_one_that_was_shown(made: Made) -> None:
    action = made(quorum(2), DEVELOPMENT).asked(ref=PROD)
    today = made()
    assert today.agree(action, "U2").result == "counted"
    assert today.agree(action, "U3").result == "done"


@pytest.mark.parametrize("ref", [PROD, GatewayRef("west", "dev", "edge-1")])
def test_what_more_environments_decide_on_by_now_is_superseded_and_planned_again(
    made: Made, ref: GatewayRef
) -> None:
    action = made().asked(ref=ref)
    today = made(PRODUCTION, STAGING, DEVELOPMENT, **BOTH)
    decision = today.agree(action, "U2" if ref == PROD else "U1")
    assert (decision.result, decision.counted) == ("grown", False)
    assert today.renewed == [(action.id, f"grown:{action.id}")]
    superseded = today.now_of(action)
    assert superseded.state is State.SUPERSEDED
    assert superseded.votes == ()
    assert superseded.outcome is not None
    assert "asks the current approvers" in superseded.outcome.remedy


def test_what_the_bot_asked_for_by_itself_is_planned_again_by_what_asked(made: Made) -> None:
    action = made().asked(ref=PROD, automatic=True)
    today = made(PRODUCTION, STAGING, **BOTH)
    assert today.agree(action, "U2").result == "grown"
    assert today.renewed == []
    assert today.now_of(action).state is State.SUPERSEDED


def test_what_has_grown_may_still_be_denied_and_taken_back(made: Made) -> None:
    first, second = made().asked(ref=PROD), made().asked("r2", ref=PROD, requester="U4")
    today = made(PRODUCTION, STAGING, **BOTH)
    assert today.deny(first, "U2").result == "done"
    assert today.cancel(second, "U4").result == "done"


def test_nobody_says_yes_in_a_freeze_but_no_is_always_heard(made: Made) -> None:
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    freeze = Freeze("Year end", now - day, now + day)
    frozen = dataclasses.replace(PRODUCTION, freezes=(freeze,))
    first, second = made().asked(ref=PROD), made().asked("r2", ref=PROD, requester="U4")
    through = made(frozen).asked("r3", ref=PROD, requester="U5", break_glass="it is down")
    today = made(frozen)
    with pytest.raises(Refused, match="Year end"):
        today.agree(first, "U2")
    assert today.now_of(first).state is State.PENDING
    assert today.deny(first, "U2").result == "done"
    assert today.cancel(second, "U4").result == "done"
    assert today.agree(through, "U2").result == "done"


def test_a_window_that_closed_ends_what_rests_on_it(made: Made) -> None:
    changes = made()
    window = changes.windows.open(
        PROD, "U1", by="U2", reason="x", seconds=60, channel="C1", request_id="w"
    )
    first = changes.asked(ref=PROD)
    changes.plans = lambda request, new_id: plan_of(PROD, "d2")
    second = changes.asked("r2", ref=PROD, request=ScaleRequest(PROD, 3))
    assert first.policy == second.policy == by_approvers(window=window.key)
    assert changes.agree(first, "U1").result == "done"
    changes.windows.close(window.key, by="U2")
    assert changes.agree(second, "U1").result == "window-closed"
    assert changes.now_of(second).state is State.EXPIRED


def test_the_requester_takes_back_what_has_not_begun_and_nobody_else_does(made: Made) -> None:
    changes = made()
    action = changes.asked(ref=PROD)
    assert changes.refused(changes.cancel, action, "U2") is Ground.NOT_OWN
    assert changes.cancel(action, "U1", digest="d2").result == "stale"
    assert changes.agree(action, "U2").result == "done"
    assert changes.cancel(action, "U1").result == "done"
    assert changes.now_of(action).state is State.CANCELLED


def test_two_identities_are_one_person_also_where_that_is_learned_meanwhile(made: Made) -> None:
    groups = Groups(S1=("U1", "U2", "U3", "U11"))
    changes = made(quorum(2), groups=groups, people={"U1": "ana", "U11": "ana"})
    action = changes.asked(ref=PROD)
    assert changes.refused(changes.agree, action, "U11") is Ground.OWN_REQUEST
    assert changes.agree(action, "U2").result == "counted"
    learned = made(quorum(2), groups=groups, people={"U2": "ben", "U3": "ben"})
    assert learned.agree(action, "U3").result == "voted"


def test_while_nobody_says_who_approves_nothing_is_decided(made: Made) -> None:
    changes = made()
    action = changes.asked(ref=PROD)
    changes.groups.away = True
    with pytest.raises(Unavailable):
        changes.agree(action, "U2")
    assert changes.now_of(action) == action


def test_what_is_gone_or_too_late_is_said_to_be(made: Made) -> None:
    changes = made()
    action = changes.asked(ref=PROD)
    nowhere = dataclasses.replace(action, id="BBBBBB")
    assert changes.agree(nowhere, "U2").result == "gone"
    assert changes.deny(nowhere, "U2").result == "gone"
    assert changes.cancel(nowhere, "U1").result == "gone"
    late = ask(changes.store, "CCCCCC", ref=PROD, policy=by_approvers(), ttl=0)
    assert changes.agree(late, "U2").result == "expired"


def test_what_the_settings_approve_beforehand_is_confirmed_once(made: Made) -> None:
    changes = made(AUTOMATIC)
    action = changes.asked(ref=PROD, automatic=True, standing="Ben")
    assert changes.decider.standing(action).result == "done"
    assert changes.decider.standing(action).result == "replayed"
    assert changes.now_of(action).policy.standing == "Ben"


def test_what_the_settings_no_longer_approve_is_superseded_and_never_confirmed(made: Made) -> None:
    action = made(AUTOMATIC).asked(ref=PROD, automatic=True, standing="Ben")
    today = made()
    assert today.decider.standing(action).result == "grown"
    superseded = today.now_of(action)
    assert (superseded.state, today.renewed) == (State.SUPERSEDED, [])
    assert superseded.outcome is not None
    assert "no longer approve automatic rotation" in superseded.outcome.happened


def test_a_requester_who_may_no_longer_ask_confirms_nothing_and_still_takes_it_back(
    made: Made,
) -> None:
    action = made().asked()
    asking = dataclasses.replace(DEVELOPMENT, requesters=People(users=("U5",)))
    today = made(PRODUCTION, asking)
    assert today.refused(today.agree, action, "U1") is Ground.NOT_NAMED
    with pytest.raises(
        NotAllowed, match="You are no longer allowed to request changes in development"
    ):
        today.agree(action, "U1")
    with pytest.raises(NotAllowed):
        today.decider.would("confirm", action, "U1")
    assert today.cancel(action, "U1").result == "done"


def test_a_requester_who_may_no_longer_ask_confirms_nothing_within_an_approval_window(
    made: Made,
) -> None:
    changes = made()
    changes.windows.open(PROD, "U1", by="U2", reason="x", seconds=60, channel="C1", request_id="w")
    action = changes.asked(ref=PROD)
    assert action.policy.by == "requester"
    today = made(dataclasses.replace(PRODUCTION, requesters=People(users=("U5",))))
    assert today.refused(today.agree, action, "U1") is Ground.NOT_NAMED


def test_what_is_decided_is_said_to_be_to_whoever_comes_too_late(made: Made) -> None:
    changes = made()
    action = changes.asked(ref=PROD)
    assert changes.agree(action, "U2").result == "done"
    for choice in (changes.agree, changes.deny):
        assert choice(action, "U9").result == "already"


VERDICTS: tuple[Choice, ...] = ("confirm", "approve", "deny", "cancel")


@pytest.mark.parametrize("ttl", [60, 0])
@pytest.mark.parametrize(
    "policy", [None, by_approvers(), by_approvers(2), by_approvers(window="W")]
)
def test_asking_what_would_come_of_a_decision_changes_nothing(
    made: Made, server: Valkey, policy: Any, ttl: int
) -> None:
    changes = made()
    ref = PROD if policy else REF
    action = ask(changes.store, ref=ref, requester="U2", policy=policy, ttl=ttl)
    if policy == by_approvers(2):
        approve(changes.store, "U3")
    client = connect(server.url)
    before = contents(client)

    def would(verdict: Choice, user: str) -> str:
        try:
            return changes.decider.would(verdict, action, user)
        except NotAllowed as refused:
            return refused.verdict.reason.value

    said = {each: would(*each) for each in itertools.product(VERDICTS, ("U1", "U2", "U3", "U9"))}
    assert contents(client) == before
    if ttl == 0:
        assert "done" not in said.values()
        assert said["cancel", "U2"] == "expired"
    elif policy is None:
        assert said["confirm", "U2"] == said["cancel", "U2"] == "done"
        assert said["confirm", "U1"] == "not own"
        assert said["approve", "U3"] == said["deny", "U3"] == "requester decides"
    elif policy.windows:
        assert said["confirm", "U2"] == "window-closed"
        assert said["cancel", "U2"] == "done"
    else:
        approved = policy == by_approvers(2)
        assert said["approve", "U3"] == ("voted" if approved else "done")
        assert said["deny", "U3"] == "done", "who approved may still deny"
        assert said["approve", "U2"] == "own request"
        assert said["approve", "U9"] == "not named"
        assert said["confirm", "U2"] == "not-approver"
    assert changes.decider.would("cancel", action, "U2", "d2") in ("stale", "expired")


def test_what_would_count_does_count(made: Made) -> None:
    changes = made(quorum(2), DEVELOPMENT)
    action = changes.asked(ref=PROD)
    for user, told in (("U2", "done"), ("U2", "voted"), ("U3", "done"), ("U3", "already")):
        current = changes.now_of(action)
        assert changes.decider.would("approve", current, user) == told
        decision = changes.agree(action, user, request=f"{user}-{told}")
        assert decision.counted is (told == "done")


def test_the_end_of_a_change_has_the_gateways_open_plans_looked_at(made: Made) -> None:
    changes = made()
    looked: list[tuple[str, str]] = []
    renewed: list[tuple[str, str]] = []
    ending = Ending(
        changes.store,
        lambda action, request_id: renewed.append((action.id, request_id)),
        lambda action, request_id: looked.append((action.id, request_id)),
    )
    waiting = changes.asked(ref=PROD)
    changes.plans = lambda request, new_id: plan_of(PROD, "d2")
    ended = changes.asked("r2", ref=PROD, request=ScaleRequest(PROD, 3))
    approve(changes.store, "U2", ended.id, digest="d2")
    elsewhere = GatewayRef("west", "prod", "edge-2")
    changes.plans = lambda request, new_id: plan_of(elsewhere)
    changes.asked("r3", ref=elsewhere)
    succeeded: Action = changes.now_of(ended)
    ending(succeeded, Outcome(State.SUCCEEDED, "2 of 2 pods ready."))
    assert looked == [(waiting.id, ended.id)]
    ending(succeeded, Outcome(State.SUPERSEDED, "The gateway has changed."))
    ending(dataclasses.replace(succeeded, automatic=True), Outcome(State.SUPERSEDED, "Frozen."))
    assert (len(looked), renewed) == (1, [(ended.id, ended.id)])
