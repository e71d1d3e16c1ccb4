"""What runs do with the Lease object of their gateway."""

from typing import Any

from deploy.actions.action import Action, Outcome, State
from deploy.actions.executor import Run
from deploy.actions.fencing import Fences, held_of, lease_name
from deploy.actions.store import ActionStore
from deploy.deadline import Deadline
from deploy.kube.cluster import Cluster
from deploy.retry import RunLost
from tests.support.actions import REF
from tests.support.runners import Work, ask, ended, runner
from tests.support.waiting import until


def test_the_gateways_lease_object_is_held_while_one_works_and_free_afterwards(
    store: ActionStore, client: Any, fences: Fences, west: Cluster
) -> None:
    work = Work()
    one = runner(client, fences, work)
    ask(store, "AAAAAA")
    until(lambda: work.ran, "the run")
    held = held_of(lease(west))
    assert (held.holder, held.action_id) == ("bot-1", "AAAAAA")
    work.go.set()
    assert ended(store, "AAAAAA").fence == held.fence
    until(lambda: held_of(lease(west)).holder == "", "the end of the hold")
    one.stop(Deadline.after(5))


def test_a_redis_that_lost_its_fences_goes_above_the_one_on_the_cluster(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    fences.take(REF, "ZZZZZZ", "bot-0", 57, 30).release()
    work = Work()
    work.go.set()
    one = runner(client, fences, work)
    ask(store, "AAAAAA")
    action = ended(store, "AAAAAA")
    one.stop(Deadline.after(5))
    assert (action.state, action.fence) == (State.SUCCEEDED, 58)


def test_a_run_waits_for_a_bot_that_holds_the_lease_object_still(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    other = fences.take(REF, "ZZZZZZ", "bot-0", 57, 30)
    work = Work()
    work.go.set()
    one = runner(client, fences, work)
    ask(store, "AAAAAA")

    def steps() -> list[str]:
        action = store.get("AAAAAA")
        return [step.detail for step in action.steps] if action else []

    until(steps, "the wait")
    assert "bot-0" in steps()[0]
    assert work.ran == []
    other.release()
    assert ended(store, "AAAAAA").state is State.SUCCEEDED
    one.stop(Deadline.after(5))


def test_a_run_whose_lease_object_another_took_writes_no_more(
    store: ActionStore, client: Any, fences: Fences, west: Cluster
) -> None:
    class Writes(Work):
        def execute(self, action: Action, run: Run) -> Outcome:
            run.guard()
            west.delete("Lease", REF.namespace, lease_name(REF))
            fences.take(REF, "ZZZZZZ", "bot-0", 90, 30).release()
            try:
                run.guard()
            except RunLost:
                self.ran.append(action.id)
                raise
            return Outcome(State.SUCCEEDED, "written twice")

    first, second = Writes(), Work()
    second.go.set()
    one = runner(client, fences, first)
    ask(store, "AAAAAA")
    until(lambda: first.ran, "the loss")
    one.stop(Deadline.after(5))
    two = runner(client, fences, second, "bot-2")
    action = ended(store, "AAAAAA")
    two.stop(Deadline.after(5))
    assert (action.outcome, action.lease_owner) == (Outcome(State.SUCCEEDED, "done"), "bot-2")
    assert action.fence > 90


def test_where_the_lease_object_cannot_be_had_nothing_is_changed(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    one = runner(client, fences, Work())
    ask(store, "AAAAAA", namespace="nowhere")
    action = ended(store, "AAAAAA")
    one.stop(Deadline.after(5))
    assert action.state is State.FAILED
    assert action.outcome is not None
    assert "no namespace" in action.outcome.happened
    assert action.outcome.meaning == "Nothing was changed."


def lease(west: Cluster) -> dict[str, Any]:
    found = west.get("Lease", REF.namespace, lease_name(REF))
    assert found is not None
    return found
