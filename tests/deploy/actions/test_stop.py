"""Somebody stops an action: what the store says to it, and what becomes of the run."""

import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.action import Action, Outcome, State
from deploy.actions.connection import connect
from deploy.actions.executor import Run
from deploy.actions.fencing import FenceLost, Fences, held_of, lease_name
from deploy.actions.leases import GatewayLeases
from deploy.actions.store import ActionStore
from deploy.deadline import Deadline
from deploy.kube.cluster import Cluster
from deploy.kube.cluster import connect as connect_cluster
from deploy.kube.connection import Timeouts
from deploy.retry import RunLost
from tests.support.actions import REF, confirm
from tests.support.runners import Work, ask, ended, runner, runner_of
from tests.support.running_cluster import RunningCluster
from tests.support.waiting import until


def stop(store: ActionStore, name: str = "AAAAAA", request_id: str = "stop") -> str:
    return store.stop(name, by="U9", request_id=request_id).result


class Waits(Work):
    """As `Work`, waiting as executors do: for whatever comes first, the end of the run included."""

    def execute(self, action: Action, run: Run) -> Outcome:
        self.ran.append(action.id)
        run.step("work")
        while not self.go.is_set():
            if run.lost.wait(0.02):
                raise RunLost
        return Outcome(State.SUCCEEDED, "done")


def test_only_what_runs_is_stopped_and_a_repetition_is_answered_alike(store: ActionStore) -> None:
    assert stop(store, "NOSUCH") == "gone"
    ask(store, "AAAAAA", confirm=False)
    assert stop(store) == "not-running"
    confirm(store, "AAAAAA")
    assert stop(store) == "not-running"
    assert store.claim("AAAAAA", "bot-1", 1, 60) is not None
    before = time.time()
    decision = store.stop("AAAAAA", by="U9", request_id="stop")
    assert decision.action is not None
    assert decision.counted
    assert (decision.action.state, decision.action.stop_by) == (State.RUNNING, "U9")
    assert decision.action.stop_at is not None
    # Redis counts milliseconds.
    assert before - 0.001 <= decision.action.stop_at <= time.time()
    assert stop(store) == "replayed"
    assert stop(store, request_id="another") == "stopping"
    assert [(e.name, e.who) for e in store.events("AAAAAA")][-1] == ("stop", "U9")
    assert store.finish("AAAAAA", "bot-1", 1, Outcome(State.STOPPED, "stopped"))
    assert stop(store, request_id="too-late") == "already"
    assert stop(store) == "replayed"


def test_what_was_stopped_begins_no_step_and_ends_in_no_other_way(store: ActionStore) -> None:
    ask(store, "AAAAAA")
    assert store.claim("AAAAAA", "bot-1", 1, 60) is not None
    stop(store)
    assert not store.step("AAAAAA", "bot-1", 1, "apply", "", "s1")
    for state in (State.SUCCEEDED, State.FAILED, State.UNKNOWN, State.SUPERSEDED):
        assert not store.finish("AAAAAA", "bot-1", 1, Outcome(state, "so"))
    assert store.heartbeat("AAAAAA", "bot-1", 1, 60)
    assert store.finish("AAAAAA", "bot-1", 1, Outcome(State.STOPPED, "so"))
    action = store.get("AAAAAA")
    assert action is not None
    assert (action.state, action.steps) == (State.STOPPED, ())


def test_a_run_that_waits_ends_and_says_how(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    work = Waits()
    one = runner(client, fences, work)
    ask(store, "AAAAAA")
    until(lambda: work.ran, "the run")
    assert stop(store) == "done"
    action = ended(store, "AAAAAA")
    one.stop(Deadline.after(5))
    assert action.outcome == Outcome(State.STOPPED, "stopped")
    assert [e.name for e in store.events("AAAAAA")][-2:] == ["stop", "stopped"]


@pytest.mark.parametrize("looks", ["guard", "step"])
def test_after_the_stop_nothing_is_written_even_before_the_run_has_heard_of_it(
    store: ActionStore, client: Any, fences: Fences, looks: str
) -> None:
    written: list[str] = []

    class Writes(Work):
        def execute(self, action: Action, run: Run) -> Outcome:
            run.guard()
            stop(store)
            if looks == "guard":
                run.guard()
            else:
                run.step("write")
            written.append(action.id)
            return Outcome(State.SUCCEEDED, "written")

    one = runner(client, fences, Writes())
    ask(store, "AAAAAA")
    action = ended(store, "AAAAAA")
    one.stop(Deadline.after(5))
    assert (action.state, action.steps, written) == (State.STOPPED, (), [])


def test_a_run_that_ends_as_it_is_stopped_hands_on_what_it_came_to(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    class Ends(Work):
        def execute(self, action: Action, run: Run) -> Outcome:
            stop(store)
            return Outcome(State.FAILED, "Quota exceeded.")

    one = runner(client, fences, Ends())
    ask(store, "AAAAAA")
    action = ended(store, "AAAAAA")
    one.stop(Deadline.after(5))
    assert action.outcome == Outcome(State.STOPPED, "stopped", "Quota exceeded.")


@pytest.mark.parametrize("shared", ["gateway", "room"])
def test_who_waits_behind_a_stopped_action_begins_before_its_lease_is_over(
    store: ActionStore, client: Any, fences: Fences, shared: str
) -> None:
    work = Waits()
    rooms = 1 if shared == "room" else 0
    bots = [
        runner(client, fences, work, name, rooms=rooms, lease_seconds=120)
        for name in ("bot-1", "bot-2")
    ]
    ask(store, "AAAAAA")
    until(lambda: work.ran, "the first run")
    ask(store, "BBBBBB", gateway="edge-2" if shared == "room" else "edge-1")

    def waits() -> bool:
        action = store.get("BBBBBB")
        return action is not None and action.progress == {"waiting_for": "AAAAAA"}

    until(waits, "the second to wait")
    stop(store)
    until(lambda: "BBBBBB" in work.ran, "the second run")
    work.go.set()
    assert ended(store, "AAAAAA").state is State.STOPPED
    assert ended(store, "BBBBBB").state is State.SUCCEEDED
    for bot in bots:
        bot.stop(Deadline.after(5))


@pytest.mark.parametrize("full", [False, True], ids=["free", "full"])
def test_what_a_dead_bot_was_told_to_stop_is_ended_by_the_next_without_a_write(
    store: ActionStore, client: Any, fences: Fences, west: Cluster, full: bool
) -> None:
    ask(store, "AAAAAA")
    assert store.claim("AAAAAA", "dead-bot", 1, 0.2) is not None
    stop(store)
    if full:
        GatewayLeases(client).acquire("room:0", "OTHER", "bot-9", 60)
    work = Work()
    one = runner(client, fences, work, rooms=1)
    action = ended(store, "AAAAAA")
    one.stop(Deadline.after(5))
    assert (action.state, action.attempts, work.ran) == (State.STOPPED, 2, [])

    def holder() -> str:
        lease = west.get("Lease", REF.namespace, lease_name(REF))
        assert lease is not None
        return held_of(lease).holder

    until(lambda: holder() == "", "the end of the hold")


def test_what_a_bot_was_told_to_stop_ends_only_when_its_hold_guards_no_write(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    ask(store, "AAAAAA")
    assert store.claim("AAAAAA", "slow-bot", 1, 0.2) is not None
    hold = fences.take(REF, "AAAAAA", "slow-bot", 1, 2)
    stop(store)
    work = Work()
    one = runner(client, fences, work)
    action = ended(store, "AAAAAA")
    with pytest.raises(FenceLost):
        hold.guard()
    one.stop(Deadline.after(5))
    assert (action.state, work.ran) == (State.STOPPED, [])


def test_a_stopped_action_ends_though_its_cluster_does_not_answer(
    store: ActionStore, client: Any, tmp_path: Path
) -> None:
    ask(store, "AAAAAA")
    assert store.claim("AAAAAA", "dead-bot", 1, 0.2) is not None
    stop(store)
    with RunningCluster(tmp_path, namespaces=("dev",), with_kubelet=False) as running:
        gone = connect_cluster("west", kubeconfig=running.kubeconfig())
    one = runner(client, Fences({"west": gone}), Work(), patience=1.0)
    assert ended(store, "AAAAAA").state is State.STOPPED
    one.stop(Deadline.after(5))
    gone.close()


def test_a_run_that_waits_for_the_lease_object_is_stopped_too(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    fences.take(REF, "ZZZZZZ", "bot-0", 57, 30)
    work = Work()
    one = runner(client, fences, work)
    ask(store, "AAAAAA")

    def waits() -> bool:
        action = store.get("AAAAAA")
        return action is not None and bool(action.steps)

    until(waits, "the wait")
    stop(store)
    assert ended(store, "AAAAAA").state is State.STOPPED
    one.stop(Deadline.after(5))
    assert work.ran == []


def test_a_redis_that_is_away_as_the_run_ends_delays_the_end_only(
    store: ActionStore, client: Any, fences: Fences, server: Valkey
) -> None:
    stopped = threading.Event()

    class Ends(Work):
        def execute(self, action: Action, run: Run) -> Outcome:
            stop(store)
            server.kill()
            stopped.set()
            run.guard()
            return Outcome(State.SUCCEEDED, "written")

    one = runner(connect(server.url, timeout=5, retries=0), fences, Ends())
    ask(store, "AAAAAA")
    assert stopped.wait(30)
    server.start()
    assert ended(store, "AAAAAA").state is State.STOPPED
    one.stop(Deadline.after(5))


def test_a_write_that_got_no_answer_is_named_as_one_that_may_still_take_effect(
    store: ActionStore, client: Any, fences: Fences, tmp_path: Path
) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    path = tmp_path / "kubeconfig"
    path.write_text(
        "{current-context: west, clusters: [{name: c, cluster: {server: 'http://127.0.0.1:"
        f"{silent.getsockname()[1]}'" + "}}], users: [{name: u, user: {token: t}}],"
        "contexts: [{name: west, context: {cluster: c, user: u}}]}"
    )
    gone = connect_cluster("west", kubeconfig=path, timeouts=Timeouts(2, 0.2, 60))

    class Writes(Work):
        def execute(self, action: Action, run: Run) -> Outcome:
            def check() -> None:
                run.guard()
                stop(store)

            metadata = {"name": "settings", "namespace": "dev"}
            gone.guarded(check, run.unconfirmed).apply({"kind": "ConfigMap", "metadata": metadata})
            return Outcome(State.SUCCEEDED, "written")

    one = runner(client, fences, Writes())
    ask(store, "AAAAAA")
    action = ended(store, "AAAAAA")
    one.stop(Deadline.after(5))
    gone.close()
    silent.close()
    assert action.outcome == Outcome(
        State.STOPPED,
        "stopped",
        "The cluster did not confirm the last write of ConfigMap settings: it may still take "
        "effect within a minute.",
    )


def test_a_report_that_fails_leaves_no_action_without_an_end(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    def broken(action: Action, ended: Outcome | None) -> Outcome:
        raise RuntimeError("secret text")

    work = Waits()
    one = runner_of(
        store, GatewayLeases(client), fences, {"deploy": work}, owner="bot-1", report=broken,
        poll_seconds=0.05,
    )  # fmt: skip
    one.start()
    ask(store, "AAAAAA")
    until(lambda: work.ran, "the run")
    stop(store)
    action = ended(store, "AAAAAA")
    one.stop(Deadline.after(5))
    assert action.state is State.STOPPED
    assert "secret text" not in str(action)
