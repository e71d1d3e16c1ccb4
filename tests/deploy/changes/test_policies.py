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
from deploy.actions.executor import Run
from deploy.changes.decide import Authorized
from deploy.errors import Refused, Unavailable
from deploy.gateway import GatewayRef
from deploy.plans.requests import KeyRequest
from deploy.policy import People, Policy, Requirement
from tests.support.actions import APPROVERS, REF, by_approvers, plan_of
from tests.support.changes import DEVELOPMENT, PROD, PRODUCTION, Changes, Groups, governed_by
from tests.support.redis_servers import started

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

    def guard(self) -> None: ...

    def step(self, name: str, detail: str = "") -> None: ...

    def progress(self, state: Mapping[str, Any]) -> None: ...


def carried_out(changes: Changes, action: Action) -> Outcome:
    return Authorized(Does(), changes.policies).execute(action, Trying())


VOTE = Vote("U2", "U2", "approve", 1.0, "d1", serves=frozenset({"production"}))


def test_a_window_lets_its_person_confirm_on_its_gateway_and_nobody_else(made: Made) -> None:
    changes = made()
    window = changes.windows.open(PROD, "U1", by="U2", reason="x", seconds=60, request_id="r")
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
    changes.windows.open(PROD, "U1", by="U2", reason="x", seconds=60, request_id="r")
    assert policy(changes, PROD, kind=kind) == by_approvers()


def test_a_window_of_who_left_the_approvers_is_worth_nothing(made: Made) -> None:
    changes = made()
    window = changes.windows.open(PROD, "U1", by="U2", reason="x", seconds=60, request_id="r")
    changes.groups.members["S1"] = ("U3",)
    assert policy(changes, PROD).by == "approvers"
    assert not changes.policies.windows_open(by_approvers(window=window.key))


def test_a_window_speaks_for_no_other_environment_that_a_change_concerns(made: Made) -> None:
    changes = made(PRODUCTION, STAGING, governing=governed_by("staging"))
    window = changes.windows.open(PROD, "U1", by="U2", reason="x", seconds=60, request_id="r")
    found = policy(changes, PROD)
    assert found.requirements == (
        Requirement("production", APPROVERS, 1, window.key),
        Requirement("staging", People(users=("U5",)), 2),
    )
    assert found.by == "approvers"


def test_a_freeze_holds_for_a_window_too(made: Made) -> None:
    changes = made(FROZEN, DEVELOPMENT)
    changes.windows.open(PROD, "U1", by="U2", reason="x", seconds=60, request_id="r")
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
    with pytest.raises(Refused, match="nobody who approves"):
        policy(nobody, REF, kind="regenerate-key")


def test_what_came_to_production_meanwhile_is_put_to_production_before_it_begins(
    made: Made,
) -> None:
    confirmed = acted(Policy(), ref=REF, plan=plan_of(REF))
    assert carried_out(made(), confirmed).state is State.SUCCEEDED
    outcome = carried_out(made(governing=governed_by("production")), confirmed)
    assert outcome.state is State.SUPERSEDED
    assert outcome.happened == "This needs an approval by now."
    assert outcome.meaning == "Nothing was changed."


@pytest.mark.parametrize(
    ("break_glass", "production", "state", "refused"),
    [
        ("", FROZEN, State.PENDING, True),
        ("", FROZEN, State.APPROVED, True),
        ("it is down", FROZEN, State.APPROVED, False),
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
    outcome = carried_out(made(FROZEN, DEVELOPMENT), automatic)
    assert outcome.state is State.SUPERSEDED
    assert outcome.happened.startswith("Postponed: production is frozen until")
    assert "Nothing was changed." in outcome.meaning
    assert "retried automatically" in outcome.meaning


def test_only_the_freeze_of_then_is_the_same_freeze(made: Made) -> None:
    changes = made(FROZEN, DEVELOPMENT)
    then = acted(by_approvers(), created_at=(NOW + datetime.timedelta(hours=1)).timestamp())
    before = acted(by_approvers(), created_at=(NOW - datetime.timedelta(hours=1)).timestamp())
    changes.now = NOW + datetime.timedelta(hours=2)
    assert changes.policies.same_freeze(then)
    assert not changes.policies.same_freeze(before)
    changes.now = FREEZE.ends
    assert not changes.policies.same_freeze(then)


def test_an_approval_in_the_settings_stands_in_for_the_targets_approvers_only(made: Made) -> None:
    changes = made(PRODUCTION, STAGING, governing=governed_by("staging"))
    found = policy(changes, PROD, kind="rotate", standing="Ben")
    assert found.standing == "Ben"
    assert [each.environment for each in found.requirements] == ["staging"]
    alone = policy(made(), PROD, kind="rotate", standing="Ben")
    assert (alone.by, alone.requirements) == ("requester", ())
    assert made().policies.facts(acted(alone, kind="rotate"), "").grown is False


def test_who_is_asked_decides_where_nobody_else_must(made: Made) -> None:
    people = People(("U7",))
    asked = policy(made(), REF, asked=people)
    assert asked.requirements == (Requirement("development", people),)
    assert policy(made(), PROD, asked=people) == by_approvers()


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
        (PRODUCTION, ("U3",), "The approvals this has no longer suffice."),
        (
            dataclasses.replace(PRODUCTION, approval=Approval(APPROVERS, 2)),
            ("U2", "U3"),
            "The approvals this has no longer suffice.",
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
