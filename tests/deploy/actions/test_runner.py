import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.action import Action, Outcome, State
from deploy.actions.connection import connect
from deploy.actions.executor import Run
from deploy.actions.fencing import Fences, held_of, lease_name
from deploy.actions.inbox import Inbox
from deploy.actions.leases import GatewayLeases
from deploy.actions.runner import Runner
from deploy.actions.store import ActionStore
from deploy.deadline import Deadline
from deploy.errors import Refused
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.cluster import connect as connect_cluster
from deploy.retry import RunLost
from tests.support import actions
from tests.support.actions import CODEC, REF
from tests.support.redis_servers import LosingProxy, started
from tests.support.running_cluster import RunningCluster
from tests.support.waiting import until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    directory = tmp_path_factory.mktemp("west")
    with RunningCluster(directory, namespaces=("dev",), with_kubelet=False) as found:
        yield found


@pytest.fixture(scope="module")
def west(running: RunningCluster) -> Iterator[Cluster]:
    found = connect_cluster("west", kubeconfig=running.kubeconfig())
    yield found
    found.close()


@pytest.fixture
def fences(west: Cluster) -> Fences:
    """As on a new cluster."""
    west.delete("Lease", REF.namespace, lease_name(REF))
    return Fences({"west": west})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


@pytest.fixture
def client(server: Valkey) -> Any:
    return connect(server.url)


@pytest.fixture
def store(client: Any) -> ActionStore:
    return ActionStore(client, CODEC)


class Work:
    """An executor that waits to be let go, and counts."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.go = threading.Event()
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def execute(self, action: Action, run: Run) -> Outcome:
        with self._lock:
            self.ran.append(action.id)
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            run.step("work")
            while not self.go.wait(0.02):
                if run.lost.is_set():
                    raise RunLost
            return Outcome(State.SUCCEEDED, "done")
        finally:
            with self._lock:
                self._now -= 1


class Fails:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def execute(self, action: Action, run: Run) -> Outcome:
        raise self.error


def report(action: Action, ended: Outcome | None) -> Outcome:
    """What these tests' runners say of what was stopped."""
    return Outcome(State.STOPPED, "stopped", ended.happened if ended else "")


def runner(
    client: Any, fences: Fences, executor: Any, owner: str = "bot-1", rooms: int = 0
) -> Runner:
    made = Runner(
        ActionStore(client, CODEC),
        GatewayLeases(client),
        fences,
        {"deploy": executor},
        owner=owner,
        report=report,
        rooms=lambda action: [f"room:{number}" for number in range(rooms)],
        lease_seconds=1.5,
        heartbeat_seconds=0.3,
        poll_seconds=0.05,
    )
    made.start()
    return made


def ask(
    store: ActionStore,
    name: str,
    *,
    confirm: bool = True,
    ttl: int = 60,
    namespace: str = "dev",
    gateway: str = "edge-1",
) -> None:
    actions.ask(store, name, ref=GatewayRef("west", namespace, gateway), ttl=ttl)
    if confirm:
        actions.confirm(store, name)


def ended(store: ActionStore, name: str) -> Action:
    def look() -> Action | None:
        action = store.get(name)
        return action if action is not None and action.final else None

    return until(look, f"the end of {name}", 20)


class Clicked(ActionStore):
    """As soon as somebody has looked at an action, its requester confirms it."""

    def look_after(self, action_id: str) -> tuple[Action | None, bool]:
        found, held = super().look_after(action_id)
        if found is not None and found.state is State.PENDING:
            actions.confirm(self, action_id)
        return found, held


def test_what_is_decided_while_a_runner_looks_is_carried_out_at_once(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    work = Work()
    work.go.set()
    ask(store, "AAAAAA", confirm=False)
    first = Runner(
        Clicked(client, CODEC), GatewayLeases(client), fences, {"deploy": work}, owner="bot-1",
        report=report, poll_seconds=0.05,
    )  # fmt: skip
    first.start()
    assert ended(store, "AAAAAA").state is State.SUCCEEDED
    first.stop(Deadline.after(5))


def test_an_approved_action_is_carried_out_once(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    work = Work()
    work.go.set()
    first, second = runner(client, fences, work), runner(client, fences, work, "bot-2")
    ask(store, "AAAAAA")
    assert ended(store, "AAAAAA").state is State.SUCCEEDED
    first.stop(Deadline.after(5))
    second.stop(Deadline.after(5))
    assert work.ran == ["AAAAAA"]


def test_two_actions_on_one_gateway_run_one_after_the_other(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    work = Work()
    both = runner(client, fences, work), runner(client, fences, work, "bot-2")
    ask(store, "AAAAAA")
    until(lambda: work.ran, "the first run")
    ask(store, "BBBBBB")

    def waits() -> bool:
        action = store.get("BBBBBB")
        return action is not None and action.progress == {"waiting_for": "AAAAAA"}

    until(waits, "the second to say that it waits")
    work.go.set()
    ended(store, "AAAAAA")
    ended(store, "BBBBBB")
    for one in both:
        one.stop(Deadline.after(5))
    assert sorted(work.ran) == ["AAAAAA", "BBBBBB"]
    assert work.most == 1


def test_a_stopped_runner_lets_another_go_on_at_once(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    work = Work()
    first = runner(client, fences, work)
    ask(store, "AAAAAA")
    until(lambda: work.ran, "the first run")
    first.stop(Deadline.after(5))
    work.go.set()
    second = runner(client, fences, work, "bot-2")
    done = ended(store, "AAAAAA")
    second.stop(Deadline.after(5))
    assert (done.state, done.attempts) == (State.SUCCEEDED, 2)


def test_a_runner_that_is_cut_off_from_redis_stops_and_another_goes_on(
    store: ActionStore, client: Any, fences: Fences, server: Valkey, tmp_path: Path
) -> None:
    proxy = LosingProxy(server.url, tmp_path)
    cut, work = Work(), Work()
    work.go.set()
    first = runner(connect(proxy.url, timeout=0.2, retries=0), fences, cut)
    ask(store, "AAAAAA")
    until(lambda: cut.ran, "the first run")
    proxy.match, proxy.lose = b"", 1_000_000
    second = runner(client, fences, work, "bot-2")
    assert ended(store, "AAAAAA").lease_owner == "bot-2"
    until(lambda: cut.most == 1 and not first._runs, "the first to let go")
    first.stop(Deadline.after(5))
    second.stop(Deadline.after(5))
    proxy.close()


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (Refused("Not allowed.", remedy="Ask."), State.FAILED, "Not allowed."),
        (RuntimeError("secret text"), State.UNKNOWN, "The bot failed"),
    ],
)
def test_a_failure_is_told_and_what_nobody_foresaw_is_not_guessed(
    store: ActionStore, client: Any, fences: Fences, error: Exception, state: State, said: str
) -> None:
    one = runner(client, fences, Fails(error))
    ask(store, "AAAAAA")
    action = ended(store, "AAAAAA")
    one.stop(Deadline.after(5))
    assert action.state is state
    assert action.outcome is not None
    assert said in action.outcome.happened
    assert "secret text" not in str(action)


def test_a_request_that_nobody_decides_expires_by_itself(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    one = runner(client, fences, Work())
    ask(store, "AAAAAA", confirm=False, ttl=1)
    assert ended(store, "AAAAAA").state is State.EXPIRED
    one.stop(Deadline.after(5))


def test_a_runner_says_that_it_lives(store: ActionStore, client: Any, fences: Fences) -> None:
    one = runner(client, fences, Work())
    assert one.live
    one.stop(Deadline.after(5))
    assert not one.live


def test_a_request_is_accepted_once_and_answered_once(server: Valkey) -> None:
    inbox = Inbox(connect(server.url))
    assert inbox.accept("k1", {"verb": "status"}) == "new"
    assert inbox.accept("k1", {"verb": "status"}) == "known"
    assert inbox.claim("k1", "bot-1", 30) == '{"verb": "status"}'
    assert inbox.claim("k1", "bot-2", 30) is None
    inbox.done("k1", "here it is")
    assert inbox.claim("k1", "bot-1", 30) is None
    assert inbox.accept("k1", {"verb": "status"}) == "known"


def test_an_accepted_request_whose_reply_was_lost_is_still_new(
    server: Valkey, tmp_path: Path
) -> None:
    proxy = LosingProxy(server.url, tmp_path)
    inbox = Inbox(connect(proxy.url))
    proxy.match, proxy.lose = b"EVALSHA", 1
    assert inbox.accept("k1", {"verb": "status"}) == "new"
    proxy.close()


def test_no_more_actions_run_at_a_time_than_there_are_rooms_on_all_bots_together(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    work = Work()
    bots = [runner(client, fences, work, f"bot-{number}", rooms=2) for number in (1, 2)]
    names = [f"A{number}" for number in range(6)]
    for name in names:
        ask(store, name, gateway=f"edge-{name.lower()}")

    def waiting() -> list[str]:
        found = [store.get(name) for name in names]
        return [a.id for a in found if a and a.progress and "waiting_for" in a.progress]

    until(lambda: len(work.ran) == 2 and len(waiting()) == 4, "four that wait for two", 10)
    work.go.set()
    for name in names:
        assert ended(store, name).state is State.SUCCEEDED
    assert work.most == 2
    for bot in bots:
        bot.stop(Deadline.after(5))


def test_a_room_is_free_again_when_its_bot_has_died(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    work = Work()
    GatewayLeases(client).acquire("room:0", "GONE", "dead-bot", 1.0)
    bot = runner(client, fences, work, rooms=1)
    work.go.set()
    ask(store, "NEXT")
    assert ended(store, "NEXT").state is State.SUCCEEDED
    bot.stop(Deadline.after(5))


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


def test_an_action_that_ended_many_bots_is_not_given_to_one_more(
    store: ActionStore, client: Any, fences: Fences
) -> None:
    ask(store, "AAAAAA")
    for number in range(20):
        assert store.claim("AAAAAA", f"bot-{number}", number + 1, 0) is not None
        assert store.step("AAAAAA", f"bot-{number}", number + 1, "apply", "", f"step-{number}")
    work = Work()
    work.go.set()
    one = runner(client, fences, work)
    action = ended(store, "AAAAAA")
    one.stop(Deadline.after(5))
    assert action.state is State.UNKNOWN
    assert action.outcome is not None
    assert "20 tries" in action.outcome.happened
    assert work.ran == []


@pytest.mark.parametrize("steps", [(), ("wait",), ("wait", "apply")])
def test_what_was_claimed_but_not_begun_in_time_is_not_begun_later(
    store: ActionStore, client: Any, fences: Fences, steps: tuple[str, ...]
) -> None:
    ask(store, "AAAAAA")
    assert store.claim("AAAAAA", "bot-0", 1, 0) is not None
    for name in steps:
        assert store.step("AAAAAA", "bot-0", 1, name, "", name)
    client.hset("gateway-bot:{a:AAAAAA}:act", "start_by", 1)
    work = Work()
    work.go.set()
    one = runner(client, fences, work)
    action = ended(store, "AAAAAA")
    one.stop(Deadline.after(5))
    begun = "apply" in steps
    assert action.state is (State.SUCCEEDED if begun else State.FAILED)
    assert work.ran == (["AAAAAA"] if begun else [])
    assert begun or (action.outcome is not None and "Nothing was changed" in action.outcome.meaning)


def test_a_redis_that_is_away_for_a_moment_ends_no_run(
    store: ActionStore, client: Any, fences: Fences, server: Valkey
) -> None:
    killed = threading.Event()

    class Steps(Work):
        def execute(self, action: Action, run: Run) -> Outcome:
            server.kill()
            killed.set()
            run.step("first")
            run.progress({"ready": 1})
            self.ran.append(action.id)
            return Outcome(State.SUCCEEDED, "done")

    work = Steps()
    one = runner(connect(server.url, timeout=0.2, retries=0), fences, work)
    ask(store, "AAAAAA")
    assert killed.wait(10)
    server.start()
    action = ended(store, "AAAAAA")
    one.stop(Deadline.after(5))
    assert (action.state, action.attempts, work.ran) == (State.SUCCEEDED, 1, ["AAAAAA"])


def lease(west: Cluster) -> dict[str, Any]:
    found = west.get("Lease", REF.namespace, lease_name(REF))
    assert found is not None
    return found
