"""Who may decide on an action, checked in the one step that decides."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.sandbox.valkey import Valkey
from deploy.actions.action import Action, State
from deploy.actions.connection import connect
from deploy.actions.decision import Decision
from deploy.actions.store import ActionStore
from deploy.gateway import GatewayRef
from tests.support import actions
from tests.support.actions import CODEC, approve, by_approvers, confirm, deny, facts
from tests.support.redis_servers import started

REF = GatewayRef("west", "prod", "edge-1")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def store(server: Valkey) -> ActionStore:
    connect(server.url).flushall()
    return ActionStore(connect(server.url), CODEC)


def ask(store: ActionStore, name: str = "AAAAAA", *, quorum: int = 1, ttl: int = 60) -> Action:
    return actions.ask(store, name, ref=REF, person="ana", policy=by_approvers(quorum), ttl=ttl)


def test_one_approval_of_the_right_person_is_enough_where_one_is_asked_for(
    store: ActionStore,
) -> None:
    ask(store)
    decision = approve(store, "U2")
    assert decision.result == "done"
    assert decision.action is not None
    assert (decision.action.state, decision.action.decided_by) == (State.APPROVED, "U2")
    assert [(vote.by, vote.digest) for vote in decision.action.votes] == [("U2", "d1")]


def test_a_quorum_counts_people_not_clicks_or_user_ids(store: ActionStore) -> None:
    ask(store, quorum=2)
    assert approve(store, "U2", person="ben").result == "counted"
    assert approve(store, "U2", person="ben").result == "replayed"
    assert approve(store, "U2", person="ben", request_id="again").result == "voted"
    assert approve(store, "U22", person="ben").result == "voted"
    found = store.get("AAAAAA")
    assert found is not None
    assert (found.state, found.approvals) == (State.PENDING, 1)
    assert approve(store, "U3", person="chen").result == "done"


def test_nobody_decides_on_their_own_request_by_whatever_identity(store: ActionStore) -> None:
    ask(store)
    assert approve(store, "U1").result == "self"
    assert approve(store, "U11", person="ana").result == "self"
    assert deny(store, "U1", person="ana").result == "self"
    assert confirm(store).result == "not-approver"


def test_who_is_no_approver_now_or_saw_another_plan_decides_nothing(store: ActionStore) -> None:
    ask(store)
    assert approve(store, "U9", eligible=False).result == "not-approver"
    assert approve(store, "U2", digest="d2").result == "stale"
    assert approve(store, "U2", "BBBBBB").result == "gone"
    found = store.get("AAAAAA")
    assert found is not None
    assert found.votes == ()


def test_a_denial_is_final_whatever_was_said_before_or_comes_after(store: ActionStore) -> None:
    ask(store, quorum=2)
    approve(store, "U2")
    denied = deny(store, "U3")
    assert denied.result == "done"
    assert denied.action is not None
    assert (denied.action.state, denied.action.reason) == (State.DENIED, "not on a Friday")
    assert approve(store, "U4").result == "already"
    assert deny(store, "U5").result == "already"


def test_an_approval_that_comes_too_late_approves_nothing(store: ActionStore) -> None:
    ask(store, ttl=0)
    assert approve(store, "U2").result == "expired"
    assert approve(store, "U2").result == "expired", "the same answer to the same click"
    assert approve(store, "U3").result == "expired"


def test_what_the_requester_decides_is_not_for_approvers(store: ActionStore) -> None:
    actions.ask(store)
    assert approve(store, "U2").result == "no-approval"


def test_a_closed_window_lets_nobody_confirm(store: ActionStore) -> None:
    covered = by_approvers(window="W1")
    actions.ask(store, policy=covered)
    closed = facts(covered, windows_open=False)
    assert confirm(store, request_id="1", now=closed).result == "window-closed"
    assert confirm(store, request_id="2").result == "done"


def test_the_requester_may_take_back_what_is_approved_and_has_not_begun(
    store: ActionStore,
) -> None:
    ask(store)
    approve(store, "U2")
    assert store.cancel("AAAAAA", by="U2", digest="d1", request_id="1").result == "not-requester"
    assert store.cancel("AAAAAA", by="U1", digest="d1", request_id="2").result == "done"
    assert store.claim("AAAAAA", "bot-1", 1, 30) is None


def test_approvers_are_reminded_once_and_only_near_the_end(store: ActionStore) -> None:
    ask(store)
    assert not store.remind("AAAAAA", 10)
    assert store.remind("AAAAAA", 120)
    assert not store.remind("AAAAAA", 120)
    assert [event.name for event in store.events("AAAAAA")] == ["pending", "reminder"]


def test_what_is_open_can_be_listed(store: ActionStore) -> None:
    ask(store)
    ask(store, "BBBBBB")
    deny(store, "U2")
    assert [action.id for action in store.open()] == ["BBBBBB"]


def test_two_approvers_in_the_same_millisecond_have_one_effect_and_both_hear_the_truth(
    store: ActionStore,
) -> None:
    barrier = threading.Barrier(2)

    def click(by: str, name: str) -> Decision:
        barrier.wait()
        return approve(store, by, name)

    with ThreadPoolExecutor(2) as pool:
        for number in range(200):
            name = f"A{number}"
            ask(store, name)
            first, second = pool.map(click, ("U2", "U3"), (name, name))
            assert sorted((first.result, second.result)) == ["already", "done"]
            won = "U2" if first.result == "done" else "U3"
            assert first.action is not None
            assert second.action is not None
            assert first.action.decided_by == second.action.decided_by == won
            assert [e.name for e in store.events(name)] == ["pending", "approved"]


VOTES = st.lists(
    st.tuples(
        st.sampled_from(["U1", "U11", "U2", "U3", "U33", "U4"]),
        st.sampled_from(["approve", "approve", "deny"]),
        st.booleans(),
        st.sampled_from(["d1", "d1", "d1", "d2"]),
    ),
    max_size=8,
)
PEOPLE = {"U1": "ana", "U11": "ana", "U33": "U3"}


@given(votes=VOTES, quorum=st.integers(1, 3))
@example(votes=[("U2", "approve", True, "d1"), ("U2", "deny", True, "d1")], quorum=2)
def test_an_approved_action_has_the_quorum_of_eligible_others_and_no_denial(
    server: Valkey, votes: list[tuple[str, str, bool, str]], quorum: int
) -> None:
    client = connect(server.url)
    client.flushall()
    store = ActionStore(client, CODEC)
    ask(store, quorum=quorum)
    said: dict[str, str] = {}
    state = State.PENDING
    for number, (by, verdict, eligible, digest) in enumerate(votes):
        person = PEOPLE.get(by, by)
        say = deny if verdict == "deny" else approve
        say(store, by, person=person, eligible=eligible, digest=digest, request_id=str(number))
        counts = eligible and digest == "d1" and person != "ana"
        if state is State.PENDING and counts and (verdict == "deny" or person not in said):
            said[person] = verdict
            if verdict == "deny":
                state = State.DENIED
            elif len(said) == quorum:
                state = State.APPROVED
    found = store.get("AAAAAA")
    assert found is not None
    assert found.state is state
    assert {vote.person: vote.verdict for vote in found.votes} == said
