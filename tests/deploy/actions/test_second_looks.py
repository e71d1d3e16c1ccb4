"""A success is looked at once more after a while, by one bot, whoever dies in between."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pytest

from deploy.actions.action import Action, Event, Outcome, State
from deploy.actions.audit import AuditLog
from deploy.actions.audit_pump import AuditPump
from deploy.actions.second_looks import SecondLooks
from deploy.actions.store import ActionStore
from deploy.errors import Unavailable
from deploy.gateway import GatewayRef
from tests.support.actions import CODEC, REF, ask, carried_out, confirm
from tests.support.waiting import until

UNDONE = "This is no longer in effect. kubectl has changed it since."
INDEX = "gateway-bot:{looks}"
EAST = GatewayRef("east", "dev", "edge-1")


class KilledError(Exception):
    """Stands for the end of a bot."""


def looks(client: Any, said: Callable[[Action], str] = lambda action: UNDONE) -> SecondLooks:
    # A step waits until all is looked at, however slow the machine is.
    return SecondLooks(client, CODEC, ActionStore(client, CODEC), said, after=0.0, longest=60.0)


def ended(
    client: Any,
    store: ActionStore,
    name: str = "AAAAAA",
    state: State = State.SUCCEEDED,
    ref: GatewayRef = REF,
) -> Action:
    """An action that ran to that end, as a runner records it."""
    action = ask(store, name, ref=ref)
    confirm(store, name)
    outcome = Outcome(state, "2 of 2 pods ready")
    looks(client).expect(action, outcome)
    return carried_out(client, store, name, outcome)


def reverts(store: ActionStore, name: str = "AAAAAA") -> list[Event]:
    return [event for event in store.events(name) if event.name == "reverted"]


def test_a_revert_is_an_event_of_the_log_and_the_end_stays_as_it_was(
    client: Any, store: ActionStore
) -> None:
    before = ended(client, store)
    assert looks(client).step() == 1
    after = store.get("AAAAAA")
    assert after is not None
    assert dataclasses.replace(after, version=before.version) == before
    (event,) = reverts(store)
    assert (event.detail, event.version) == (UNDONE, after.version)
    assert client.zscore("gateway-bot:{messages}:owed", "action:AAAAAA") is not None
    assert not client.exists(INDEX)


def test_nothing_is_due_before_its_time(client: Any, store: ActionStore) -> None:
    ended(client, store)
    later = SecondLooks(client, CODEC, store, lambda action: UNDONE)
    found = store.get("AAAAAA")
    assert found is not None
    later.expect(found, Outcome(State.SUCCEEDED, ""))
    assert later.step() == 0
    assert client.zscore(INDEX, "AAAAAA") / 1000 == pytest.approx(found.updated_at + 120, abs=30)


def test_of_several_bots_one_looks_and_one_revert_is_reported(
    client: Any, store: ActionStore
) -> None:
    ended(client, store)
    seen: list[str] = []
    both = threading.Barrier(4)

    def bot() -> None:
        both.wait()
        looks(client, lambda action: seen.append(action.id) or UNDONE).step()  # type: ignore[func-returns-value]

    threads = [threading.Thread(target=bot) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert seen == ["AAAAAA"]
    assert len(reverts(store)) == 1


def test_a_bot_that_dies_while_it_looks_leaves_it_to_another(
    client: Any, store: ActionStore
) -> None:
    def dies(action: Action) -> str:
        raise KilledError

    ended(client, store)
    with pytest.raises(KilledError):
        looks(client, dies).step()
    client.zadd(INDEX, {"AAAAAA": 0})
    assert looks(client).step() == 1


def test_one_that_died_before_the_message_was_marked_is_finished_without_a_second_event(
    client: Any, store: ActionStore
) -> None:
    ended(client, store)
    looks(client).step()
    client.zadd(INDEX, {"AAAAAA": 0})
    client.delete("gateway-bot:{messages}:owed")
    looks(client).step()
    assert len(reverts(store)) == 1
    assert client.zscore("gateway-bot:{messages}:owed", "action:AAAAAA") is not None


def test_the_first_answer_is_the_one_that_counts(client: Any, store: ActionStore) -> None:
    ended(client, store)
    assert looks(client, lambda action: "").step() == 0
    client.zadd(INDEX, {"AAAAAA": 0})
    looks(client).step()
    assert reverts(store) == []


def test_a_later_action_of_the_bot_is_no_revert(client: Any, store: ActionStore) -> None:
    ended(client, store)
    client.zadd(INDEX, {"AAAAAA": 4e12})
    ended(client, store, "BBBBBB")
    client.zrem(INDEX, "BBBBBB")
    client.zadd(INDEX, {"AAAAAA": 0})
    assert looks(client).step() == 0
    assert reverts(store) == []


@pytest.mark.parametrize("state", [State.FAILED, State.UNKNOWN])
def test_what_did_not_succeed_is_not_looked_at(
    client: Any, store: ActionStore, state: State
) -> None:
    ended(client, store, state=state)
    assert not client.exists(INDEX)


def test_an_action_whose_end_is_not_recorded_yet_stays_due(client: Any, store: ActionStore) -> None:
    action = ask(store)
    looks(client).expect(action, Outcome(State.SUCCEEDED, ""))
    assert looks(client).step() == 0
    assert client.zscore(INDEX, "AAAAAA") is not None


def test_a_cluster_that_does_not_answer_is_asked_again_and_given_up_at_last(
    client: Any, store: ActionStore
) -> None:
    def away(action: Action) -> str:
        raise Unavailable("Cluster “west” does not answer.")

    ended(client, store)
    assert looks(client, away).step() == 0
    assert client.zscore(INDEX, "AAAAAA") is not None
    client.zadd(INDEX, {"AAAAAA": 0})
    SecondLooks(client, CODEC, store, away, after=-601.0, longest=60.0).step()
    assert not client.exists(INDEX)


def test_a_cluster_that_hangs_holds_up_no_look_at_another_nor_the_step(
    client: Any, store: ActionStore
) -> None:
    hanging = threading.Event()
    asked: list[str] = []

    def look(action: Action) -> str:
        asked.append(action.id)
        if action.ref.cluster == "west":
            hanging.wait(60)
            raise Unavailable("Cluster “west” does not answer.")
        return UNDONE

    for name in ("AAAAAA", "BBBBBB"):
        ended(client, store, name)
    ended(client, store, "CCCCCC", ref=EAST)
    again = SecondLooks(client, CODEC, store, look, after=0.0, longest=0.2)
    again.step()
    until(lambda: len(reverts(store, "CCCCCC")) == 1, "the look at the other cluster")
    # While it hangs it is not asked anew, and others that come meanwhile are not held up either.
    client.zadd(INDEX, {"AAAAAA": 0, "BBBBBB": 0})
    ended(client, store, "DDDDDD", ref=EAST)

    def looked_on() -> bool:
        # The first look at that cluster may have taken longer than the first step waited.
        client.zadd(INDEX, {"DDDDDD": 0}, xx=True)
        again.step()
        return len(reverts(store, "DDDDDD")) == 1

    until(looked_on, "the next look at the other cluster")
    assert [name for name in asked if name in ("AAAAAA", "BBBBBB")] == ["AAAAAA"]
    hanging.set()

    def asked_again() -> bool:
        client.zadd(INDEX, {"AAAAAA": 0})
        again.step()
        return asked.count("AAAAAA") > 1

    until(asked_again, "the next look at the cluster that hung")
    # That it does not answer is not found out anew for each of its looks.
    assert "BBBBBB" not in asked
    assert client.zscore(INDEX, "BBBBBB") is not None


def test_the_audit_trail_has_the_revert(client: Any, store: ActionStore) -> None:
    ended(client, store)
    audit = AuditLog(client)
    AuditPump(client, CODEC, audit).pump()
    looks(client).step()
    AuditPump(client, CODEC, audit).pump()
    newest = audit.read(1)[0]
    assert (newest.event, newest.detail, newest.action) == ("reverted", UNDONE, "AAAAAA")
