"""Who decides at this moment: settings, groups, freezes and windows together."""

import dataclasses
import datetime
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.access import Approval, Environment, Freeze
from deploy.actions.action import Action, Outcome, State, Step, Vote
from deploy.actions.connection import connect
from deploy.actions.executor import Outgrown, Run
from deploy.changes.decide import Authorized
from deploy.errors import Refused, Unavailable
from deploy.gateway import GatewayRef
from deploy.kube.unconfirmed import Unconfirmed
from deploy.plans.requests import KeyRequest
from deploy.policy import People, Policy, Requirement
from tests.support.actions import APPROVERS, REF, by_approvers, plan_of
from tests.support.changes import DEVELOPMENT, PROD, PRODUCTION, Changes, Groups, governed_by
from tests.support.redis_servers import started

AUTOMATIC = dataclasses.replace(PRODUCTION, standing="Ben")
NOW = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC)
FREEZE = Freeze("Year end", NOW, NOW + datetime.timedelta(days=1))
FROZEN = dataclasses.replace(PRODUCTION, freezes=(FREEZE,))
STAGING = Environment(
    "staging", namespaces=("stage",), approval=Approval(People(users=("U5",)), quorum=2)
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


Made = Callable[..., Changes]


@pytest.fixture
def made(server: Valkey) -> Made:
    """Changes by settings that a test gives, at NOW, over one empty Redis."""
    client = connect(server.url)
    client.flushall()

    def make(*environments: Environment, **given: Any) -> Changes:
        changes = Changes(client, *environments, **given)
        changes.now = NOW
        return changes

    return make


def policy(
    changes: Changes, ref: GatewayRef, user: str = "U1", kind: str = "scale", **given: Any
) -> Policy:
    return changes.policies.of(changes.kinds[kind], plan_of(ref), user=user, **given)


def acted(policy: Policy, state: State = State.RUNNING, **more: Any) -> Action:
    fields: dict[str, Any] = {
        "id": "AAAAAA", "kind": "regenerate-key", "ref": PROD, "state": state, "version": 1,
        "requester": "U1", "person": "U1", "policy": policy, "digest": "d1",
        "request": KeyRequest(PROD, "primary"), "plan": plan_of(PROD), "origin": {},
        "created_at": 0.0, "expires_at": 0.0, "updated_at": 0.0,
    }  # fmt: skip
    return Action(**(fields | more))


class Does:
    """An executor that has it done at once."""

    def execute(self, action: Action, run: Run) -> Outcome:
        return Outcome(State.SUCCEEDED, "done")


class Trying:
    """A run of which nothing is wanted."""

    lost = threading.Event()
    unconfirmed = Unconfirmed()

    def guard(self) -> None: ...

    def step(self, name: str, detail: str = "") -> None: ...

    def progress(self, state: Mapping[str, Any]) -> None: ...


def carried_out(changes: Changes, action: Action) -> Outcome:
    return Authorized(Does(), changes.policies).execute(action, Trying())


VOTE = Vote("U2", "U2", "approve", 1.0, "d1", serves=frozenset({"production"}))


def test_a_window_lets_its_person_confirm_on_its_gateway_and_nobody_else(made: Made) -> None:
    changes = made()
    window = changes.windows.open(
        PROD, "U1", by="U2", reason="x", seconds=60, channel="C1", request_id="r"
    )
    inside = policy(changes, PROD)
    assert inside == by_approvers(window=window.key)
    assert changes.policies.windows_open(inside)
    assert policy(changes, PROD, "U3").by == "approvers"
    assert policy(changes, GatewayRef("west", "prod", "edge-2")).by == "approvers"
    assert policy(changes, REF) == Policy()
    changes.windows.close(window.key, by="U2")
    assert not changes.policies.windows_open(inside)
    assert policy(changes, PROD).by == "approvers"


@pytest.mark.parametrize("kind", ["delete", "regenerate-key"])
def test_a_window_covers_nothing_that_cannot_be_taken_back(made: Made, kind: str) -> None:
    changes = made()
    changes.windows.open(PROD, "U1", by="U2", reason="x", seconds=60, channel="C1", request_id="r")
    assert policy(changes, PROD, kind=kind) == by_approvers()


def test_a_window_of_who_left_the_approvers_is_worth_nothing(made: Made) -> None:
    changes = made()
    window = changes.windows.open(
        PROD, "U1", by="U2", reason="x", seconds=60, channel="C1", request_id="r"
    )
    changes.groups.members["S1"] = ("U3",)
    assert policy(changes, PROD).by == "approvers"
    assert not changes.policies.windows_open(by_approvers(window=window.key))


def test_a_window_speaks_for_no_other_environment_that_a_change_concerns(made: Made) -> None:
    changes = made(PRODUCTION, STAGING, governing=governed_by("staging"))
    window = changes.windows.open(
        PROD, "U1", by="U2", reason="x", seconds=60, channel="C1", request_id="r"
    )
    found = policy(changes, PROD)
    assert found.requirements == (
        Requirement("production", APPROVERS, 1, window.key),
        Requirement("staging", People(users=("U5",)), 2),
    )
    assert found.by == "approvers"


def test_a_freeze_holds_for_a_window_too(made: Made) -> None:
    changes = made(FROZEN, DEVELOPMENT)
    changes.windows.open(PROD, "U1", by="U2", reason="x", seconds=60, channel="C1", request_id="r")
    with pytest.raises(Refused, match="Year end"):
        policy(changes, PROD)
    assert policy(changes, PROD, break_glass="it is down").break_glass == "it is down"


def test_what_concerns_every_environment_waits_for_the_freezes_of_all(made: Made) -> None:
    staging = dataclasses.replace(STAGING, freezes=(FREEZE,))
    changes = made(PRODUCTION, staging, governing=governed_by("staging"))
    assert len(policy(changes, PROD).requirements) == 2
    with pytest.raises(Refused, match="staging is frozen"):
        policy(changes, PROD, kind="regenerate-key")
    assert changes.policies.forbidden(acted(by_approvers())) is not None
    assert changes.policies.forbidden(acted(by_approvers(), kind="scale")) is None


def test_where_the_same_key_is_productions_production_decides(made: Made) -> None:
    changes = made(governing=governed_by("production", "development"))
    assert policy(changes, REF, kind="regenerate-key") == by_approvers()
    bare = dataclasses.replace(PRODUCTION, approval=None)
    nobody = made(bare, DEVELOPMENT, governing=governed_by("production"))
    with pytest.raises(Refused, match="no approvers"):
        policy(nobody, REF, kind="regenerate-key")


def test_what_came_to_production_meanwhile_is_put_to_production_before_it_begins(
    made: Made,
) -> None:
    confirmed = acted(Policy(), ref=REF, plan=plan_of(REF))
    assert carried_out(made(), confirmed).state is State.SUCCEEDED
    outcome = carried_out(made(governing=governed_by("production")), confirmed)
    assert outcome.state is State.SUPERSEDED
    assert outcome.happened == "This now requires approval."
    assert outcome.meaning == "Nothing was changed."


@pytest.mark.parametrize(
    ("break_glass", "production", "state", "refused"),
    [
        ("", FROZEN, State.PENDING, True),
        ("", FROZEN, State.APPROVED, True),
        ("an earlier one", FROZEN, State.PENDING, True),
        ("an earlier one", FROZEN, State.APPROVED, True),
        ("", PRODUCTION, State.PENDING, False),
    ],
)
def test_a_freeze_that_began_after_the_request_holds_for_it_too(
    made: Made, break_glass: str, production: Environment, state: State, refused: bool
) -> None:
    changes = made(production, DEVELOPMENT)
    action = acted(by_approvers(break_glass=break_glass), state, votes=(VOTE,))
    why = changes.policies.forbidden(action)
    if not refused:
        assert why is None
        assert carried_out(changes, action).state is State.SUCCEEDED
        return
    assert why is not None
    assert "Year end" in why.happened
    assert "break-glass" in why.remedy
    with pytest.raises(Refused, match="Year end"):
        carried_out(changes, action)
    begun = dataclasses.replace(action, steps=(Step("apply", 1.0),))
    assert carried_out(changes, begun).state is State.SUCCEEDED


def test_a_run_that_only_waited_has_begun_nothing_and_begins_nothing_in_a_freeze(
    made: Made,
) -> None:
    waited = acted(by_approvers(), votes=(VOTE,), steps=(Step("wait", 1.0, "Waiting"),))
    with pytest.raises(Refused, match="Year end"):
        carried_out(made(FROZEN, DEVELOPMENT), waited)


def test_what_nobody_asked_for_is_postponed_by_a_freeze_and_has_not_failed(made: Made) -> None:
    automatic = acted(Policy(standing="Ben"), automatic=True)
    frozen = dataclasses.replace(FROZEN, standing="Ben")
    outcome = carried_out(made(frozen, DEVELOPMENT), automatic)
    assert outcome.state is State.SUPERSEDED
    assert outcome.happened.startswith("Postponed: production is frozen until")
    assert "Nothing was changed." in outcome.meaning
    assert "retried automatically" in outcome.meaning


def test_a_reason_overrides_the_freeze_in_which_it_was_given_and_no_later_one(made: Made) -> None:
    hour = datetime.timedelta(hours=1)
    later = Freeze("Audit", NOW + 3 * hour, FREEZE.ends + 3 * hour)
    both = dataclasses.replace(PRODUCTION, freezes=(FREEZE, later))
    asked = acted(
        by_approvers(break_glass="it is down"),
        votes=(VOTE,),
        created_at=(NOW + hour).timestamp(),
    )
    changes = made(both, DEVELOPMENT)
    changes.now = NOW + 2 * hour
    assert changes.policies.forbidden(asked) is None
    assert changes.policies.break_glass(asked) == "it is down"
    assert changes.policies.break_glass(acted(by_approvers())) == ""
    assert carried_out(changes, asked).state is State.SUCCEEDED
    for now in (NOW + 4 * hour, FREEZE.ends + hour):
        changes.now = now
        why = changes.policies.forbidden(asked)
        assert why is not None
        assert "Audit" in why.happened
        assert changes.policies.break_glass(asked) == ""
        with pytest.raises(Refused, match="Audit"):
            carried_out(changes, asked)
    changes.now = later.ends
    assert changes.policies.forbidden(asked) is None
    assert changes.policies.break_glass(asked) == "", "nothing is overridden where no freeze holds"


def test_a_reason_given_in_one_environments_freeze_overrides_no_later_one_of_another(
    made: Made,
) -> None:
    hour = datetime.timedelta(hours=1)
    later = Freeze("Audit", NOW + 3 * hour, FREEZE.ends)
    staging = dataclasses.replace(STAGING, freezes=(later,))
    changes = made(FROZEN, staging, governing=governed_by("staging"))
    asked = acted(by_approvers(break_glass="x"), created_at=(NOW + hour).timestamp())
    changes.now = NOW + 4 * hour
    why = changes.policies.forbidden(asked)
    assert why is not None
    assert "staging is frozen" in why.happened
    assert changes.policies.break_glass(asked) == ""


def test_an_approval_in_the_settings_stands_in_for_the_targets_approvers_only(made: Made) -> None:
    changes = made(PRODUCTION, STAGING, governing=governed_by("staging"))
    found = policy(changes, PROD, kind="rotate", standing="Ben")
    assert found.standing == "Ben"
    assert [each.environment for each in found.requirements] == ["staging"]
    alone = policy(made(), PROD, kind="rotate", standing="Ben")
    assert (alone.by, alone.requirements) == ("requester", ())
    still = made(AUTOMATIC)
    assert still.policies.facts(acted(alone, kind="rotate"), "").grown is False
    assert still.policies.met(acted(alone, kind="rotate"))


@pytest.mark.parametrize("ref", [PROD, REF])
@pytest.mark.parametrize("frozen", [True, False])
def test_what_the_settings_approved_once_does_not_begin_where_they_no_longer_do(
    made: Made, ref: GatewayRef, frozen: bool
) -> None:
    production = FROZEN if frozen else PRODUCTION
    approved = acted(
        Policy(standing="Ben"), ref=ref, plan=plan_of(ref), kind="rotate", automatic=True
    )
    then = made(AUTOMATIC, dataclasses.replace(DEVELOPMENT, standing="Ben"))
    assert carried_out(then, approved).state is State.SUCCEEDED
    today = made(production, DEVELOPMENT)
    assert not today.policies.met(approved)
    with pytest.raises(Outgrown):
        today.policies.authorize(approved)
    outcome = carried_out(today, approved)
    assert outcome.state is State.SUPERSEDED
    assert outcome.happened == "The settings no longer approve automatic rotation here."
    assert "Nothing was changed." in outcome.meaning
    assert outcome.remedy == f"Rotate it by hand: `/gateway rotate {approved.ref}`."


def test_what_the_settings_approve_needs_nobody_of_those_who_may_ask(made: Made) -> None:
    asking = dataclasses.replace(DEVELOPMENT, requesters=People(("U5",)), standing="Ben")
    approved = acted(Policy(standing="Ben"), ref=REF, plan=plan_of(REF), automatic=True)
    assert made(asking).policies.met(approved)


def test_what_nobody_approves_by_now_is_not_begun_for_an_approval_that_is_withdrawn(
    made: Made,
) -> None:
    bare = dataclasses.replace(PRODUCTION, approval=None)
    approved = acted(Policy(standing="Ben"), kind="rotate", automatic=True)
    assert made(dataclasses.replace(bare, standing="Ben")).policies.met(approved)
    assert not made(bare).policies.met(approved)
    assert carried_out(made(bare), approved).happened.startswith("The settings no longer")


def vote_of(user: str, at: float, *environments: str, person: str = "") -> Vote:
    serves = frozenset(environments or ("production",))
    return Vote(user, person or user, "approve", at, "d1", serves=serves)


@pytest.mark.parametrize(
    ("people", "lost"),
    [
        ({}, ()),
        ({"U2": "pat", "U3": "pat"}, ("U3",)),
        ({"U1": "pat", "U3": "pat"}, ("U3",)),
        ({"U1": "pat", "U2": "pat"}, ("U2",)),
        ({"U2": "U1"}, ("U2",)),
    ],
)
def test_two_votes_found_to_be_one_persons_are_one_and_one_found_to_be_the_requesters_is_none(
    made: Made, people: Mapping[str, str], lost: tuple[str, ...]
) -> None:
    two = dataclasses.replace(PRODUCTION, approval=Approval(APPROVERS, quorum=2))
    # Redis keeps votes in no order.
    votes = (vote_of("U3", 2.0), vote_of("U2", 1.0))
    approved = acted(by_approvers(2), votes=votes)
    today = made(two, DEVELOPMENT, people=people)
    (needed,) = today.policies.facts(approved, "").requirements
    assert needed.lost == lost
    assert today.policies.met(approved) is (not lost)
    assert carried_out(today, approved).state is (State.SUPERSEDED if lost else State.SUCCEEDED)


def test_a_vote_for_one_environment_takes_none_from_the_same_person_in_another(
    made: Made,
) -> None:
    staging = dataclasses.replace(STAGING, approval=Approval(People(users=("U5",))))
    shown = Policy((*by_approvers().requirements, Requirement("staging", People(users=("U5",)))))
    votes = (vote_of("U5", 1.0, "staging"), vote_of("U2", 2.0))
    same = made(
        PRODUCTION, staging, governing=governed_by("staging"), people={"U2": "p", "U5": "p"}
    )
    assert same.policies.met(acted(shown, votes=votes))


def test_who_is_asked_decides_where_nobody_else_must(made: Made) -> None:
    people = People(("U7",))
    asked = policy(made(), REF, asked=people)
    assert asked.requirements == (Requirement("development", people),)
    assert policy(made(), PROD, asked=people) == by_approvers()


def test_somebody_who_was_asked_and_is_no_requester_by_now_has_no_vote(made: Made) -> None:
    def asking(*users: str) -> Changes:
        return made(dataclasses.replace(DEVELOPMENT, requesters=People(users)))

    shown = policy(asking("U5", "U6"), REF, asked=People(("U5", "U6")))
    votes = (vote_of("U5", 1.0, "development"),)
    waiting = acted(shown, ref=REF, plan=plan_of(REF), automatic=True, votes=votes)
    assert asking("U5", "U6").policies.met(waiting)
    assert not asking("U6").policies.met(waiting)
    assert asking("U6").policies.facts(waiting, "U5").serves == ()
    assert asking("U6").policies.facts(waiting, "U6").serves == ("development",)


def test_a_vote_serves_every_environment_of_which_it_is_an_approvers(made: Made) -> None:
    groups = Groups(S1=("U2",), S2=("U2", "U3"))
    both = Policy(
        (Requirement("production", APPROVERS), Requirement("staging", People(groups=("S2",)), 2))
    )
    staging = dataclasses.replace(STAGING, approval=Approval(People(groups=("S2",)), 2))
    changes = made(PRODUCTION, staging, groups=groups, governing=governed_by("staging"))
    action = acted(both, State.PENDING)
    assert changes.policies.facts(action, "U2").serves == ("production", "staging")
    assert changes.policies.facts(action, "U3").serves == ("staging",)
    assert changes.policies.facts(action, "U9").serves == ()


def test_who_left_counts_no_longer_and_who_came_has_not_been_asked(made: Made) -> None:
    shown = by_approvers(people=People(users=("U2", "U4")))
    today = dataclasses.replace(PRODUCTION, approval=Approval(People(users=("U2", "U6"))))
    changes = made(today, DEVELOPMENT)
    left = dataclasses.replace(VOTE, by="U4", person="dan")
    facts = changes.policies.facts(acted(shown, State.PENDING, votes=(VOTE, left)), "U6")
    assert facts.serves == ()
    (needed,) = facts.requirements
    assert needed.lost == ("dan",)
    assert changes.policies.facts(acted(shown, State.PENDING), "U2").serves == ("production",)


def test_a_quorum_that_was_raised_counts_and_a_lowered_one_does_not(made: Made) -> None:
    two = dataclasses.replace(PRODUCTION, approval=Approval(APPROVERS, quorum=2))
    for shown, today, quorum in ((1, two, 2), (2, PRODUCTION, 2)):
        facts = made(today, DEVELOPMENT).policies.facts(
            acted(by_approvers(shown), State.PENDING), "U2"
        )
        assert [needed.quorum for needed in facts.requirements] == [quorum]
        assert facts.policy == by_approvers(quorum)


def test_a_request_of_an_earlier_bot_is_decided_by_the_targets_approvers(made: Made) -> None:
    unnamed = by_approvers(2, environment="")
    facts = made().policies.facts(acted(unnamed, State.PENDING), "U2")
    assert facts.policy == by_approvers(2)
    assert (facts.serves, facts.grown) == (("production",), False)


def test_while_nobody_says_who_is_an_approver_nothing_is_decided(made: Made) -> None:
    changes = made()
    changes.groups.away = True
    with pytest.raises(Unavailable):
        changes.policies.facts(acted(by_approvers(), State.PENDING), "U2")


@pytest.mark.parametrize(
    ("production", "members", "happened"),
    [
        (PRODUCTION, ("U2",), ""),
        (PRODUCTION, ("U3",), "The approvals so far are no longer sufficient."),
        (
            dataclasses.replace(PRODUCTION, approval=Approval(APPROVERS, 2)),
            ("U2", "U3"),
            "The approvals so far are no longer sufficient.",
        ),
    ],
)
def test_what_was_approved_begins_only_while_its_approvals_suffice(
    made: Made, production: Environment, members: tuple[str, ...], happened: str
) -> None:
    changes = made(production, DEVELOPMENT, groups=Groups(S1=members))
    approved = acted(by_approvers(), votes=(VOTE,))
    outcome = carried_out(changes, approved)
    assert outcome.state is (State.SUPERSEDED if happened else State.SUCCEEDED)
    assert outcome.happened == (happened or "done")
    begun = dataclasses.replace(approved, steps=(Step("apply", 1.0),))
    assert carried_out(changes, begun).state is State.SUCCEEDED, (
        "what is begun is brought to an end"
    )
