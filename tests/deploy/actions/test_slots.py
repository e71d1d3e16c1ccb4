from collections.abc import Sequence
from typing import Any

import pytest

from deploy.access import Environment
from deploy.actions.action import Action, Outcome, State
from deploy.actions.executor import Run
from deploy.actions.fencing import Fences
from deploy.actions.slots import Slots, Turn, may_begin
from deploy.actions.store import ActionStore
from deploy.deadline import Deadline
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from handlers.views import action as action_view
from tests.support.runners import Work, ask, ended, runner
from tests.support.waiting import until


def turns(*names: str) -> list[Turn]:
    """`west:3` is of cluster west, decided on as the third."""
    return [Turn(name, name.partition(":")[0], float(name.partition(":")[2])) for name in names]


@pytest.mark.parametrize(
    ("wanted", "waiting", "running", "begins"),
    [
        ("west:1", [], [], True),
        ("west:9", [], ["west:1", "west:2"], False),
        ("east:9", [], ["west:1", "west:2"], True),
        ("west:9", ["west:3"], ["west:1"], False),
        ("west:2", ["west:3"], ["west:1"], True),
        ("west:9", ["east:3"], ["west:1"], True),
    ],
)
def test_of_two_slots_on_each_cluster_the_oldest_has_the_next(
    wanted: str, waiting: Sequence[str], running: Sequence[str], begins: bool
) -> None:
    [turn] = turns(wanted)
    assert may_begin(turn, turns(*waiting), turns(*running), 2) is begins


def test_what_another_bot_has_begun_keeps_no_slot_from_the_others() -> None:
    now = [0.0]
    slots = Slots(1, clock=lambda: now[0])
    first, second, third = turns("west:1", "west:2", "west:3")
    assert slots.take(first)
    assert not slots.take(second)
    slots.leave(first.id)
    assert not slots.take(third)
    now[0] += 10
    assert slots.take(third)


class Slow(Work):
    """Takes as long as it is not let go, on west alone."""

    def execute(self, action: Action, run: Run) -> Outcome:
        if action.ref.cluster == "east":
            return Outcome(State.SUCCEEDED, "done")
        return super().execute(action, run)


def test_eight_slow_runs_on_one_cluster_keep_no_run_on_another_and_no_expiry_waiting(
    store: ActionStore, client: Any, west: Cluster
) -> None:
    work = Slow()
    one = runner(client, Fences({"west": west, "east": west}), work)
    for number in range(8):
        ask(store, f"S{number}", gateway=f"slow-{number}")
    until(lambda: len(work.ran) == 8, "eight slow runs")
    ask(store, "NINTH", gateway="slow-9")
    ask(store, "HEALTHY", gateway="healthy", cluster="east")
    ask(store, "NOBODY", gateway="undecided", confirm=False, ttl=1)
    assert ended(store, "HEALTHY").state is State.SUCCEEDED
    assert ended(store, "NOBODY").state is State.EXPIRED
    assert len(work.ran) == 8

    def says_so() -> bool:
        action = store.get("NINTH")
        assert action is not None
        return "Waiting for its turn: other actions run on cluster west" in str(
            action_view.render(action, where)
        )

    until(says_so, "the ninth to say that it waits")
    work.go.set()
    assert ended(store, "NINTH").state is State.SUCCEEDED
    one.stop(Deadline.after(5))


def test_what_one_bot_has_no_slot_for_another_begins(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    here, there = Work(), Work()
    one = runner(client, fences, here, per_cluster=1)
    ask(store, "FIRST", gateway="edge-1")
    until(lambda: here.ran, "the first run")
    ask(store, "SECOND", gateway="edge-2")
    other = runner(client, fences, there, "bot-2", per_cluster=1)
    until(lambda: there.ran == ["SECOND"], "the other bot to begin it")
    for work, name in ((here, "FIRST"), (there, "SECOND")):
        work.go.set()
        assert ended(store, name).state is State.SUCCEEDED
    one.stop(Deadline.after(5))
    other.stop(Deadline.after(5))
    assert here.ran == ["FIRST"]


def where(ref: GatewayRef) -> Environment:
    """What messages say it is."""
    return Environment("development")
