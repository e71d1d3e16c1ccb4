import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.actions.executor import Run, RunLost
from deploy.actions.inbox import Inbox
from deploy.actions.leases import GatewayLeases
from deploy.actions.record import Action, Outcome, State
from deploy.actions.runner import Runner
from deploy.actions.store import ActionStore
from deploy.errors import Refused
from deploy.gateway import GatewayRef
from tests.support.redis_servers import LosingProxy, started
from tests.support.waiting import until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


@pytest.fixture
def client(server: Valkey) -> Any:
    return connect(server.url)


@pytest.fixture
def store(client: Any) -> ActionStore:
    return ActionStore(client)


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


def runner(client: Any, executor: Any, owner: str = "bot-1", rooms: int = 0) -> Runner:
    made = Runner(
        ActionStore(client),
        GatewayLeases(client),
        {"deploy": executor},
        owner=owner,
        rooms=lambda action: [f"room:{number}" for number in range(rooms)],
        lease_seconds=1.5,
        heartbeat_seconds=0.3,
        poll_seconds=0.05,
    )
    made.start()
    return made


def ask(
    store: ActionStore, name: str, *, confirm: bool = True, ttl: int = 60, gateway: str = "edge-1"
) -> None:
    store.create(
        name,
        kind="deploy",
        ref=GatewayRef("west", "dev", gateway),
        requester="U1",
        digest="d",
        request={},
        plan={},
        origin={},
        ttl_seconds=ttl,
        request_id=name,
    )
    if confirm:
        store.confirm(name, by="U1", digest="d", request_id=f"{name}-yes")


def ended(store: ActionStore, name: str) -> Action:
    def look() -> Action | None:
        action = store.get(name)
        return action if action is not None and action.final else None

    return until(look, f"the end of {name}", 20)


def test_an_approved_action_is_carried_out_once(store: ActionStore, client: Any) -> None:
    work = Work()
    work.go.set()
    first, second = runner(client, work), runner(client, work, "bot-2")
    ask(store, "AAAAAA")
    assert ended(store, "AAAAAA").state is State.SUCCEEDED
    first.stop(5)
    second.stop(5)
    assert work.ran == ["AAAAAA"]


def test_two_actions_on_one_gateway_run_one_after_the_other(
    store: ActionStore, client: Any
) -> None:
    work = Work()
    both = runner(client, work), runner(client, work, "bot-2")
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
        one.stop(5)
    assert sorted(work.ran) == ["AAAAAA", "BBBBBB"]
    assert work.most == 1


def test_a_stopped_runner_lets_another_go_on_at_once(store: ActionStore, client: Any) -> None:
    work = Work()
    first = runner(client, work)
    ask(store, "AAAAAA")
    until(lambda: work.ran, "the first run")
    first.stop(5)
    work.go.set()
    second = runner(client, work, "bot-2")
    done = ended(store, "AAAAAA")
    second.stop(5)
    assert (done.state, done.attempts) == (State.SUCCEEDED, 2)


def test_a_runner_that_is_cut_off_from_redis_stops_and_another_goes_on(
    store: ActionStore, client: Any, server: Valkey, tmp_path: Path
) -> None:
    proxy = LosingProxy(server.url, tmp_path)
    cut, work = Work(), Work()
    work.go.set()
    first = runner(connect(proxy.url, timeout=0.2, retries=0), cut)
    ask(store, "AAAAAA")
    until(lambda: cut.ran, "the first run")
    proxy.match, proxy.lose = b"", 1_000_000
    second = runner(client, work, "bot-2")
    assert ended(store, "AAAAAA").lease_owner == "bot-2"
    until(lambda: cut.most == 1 and not first._runs, "the first to let go")
    first.stop(5)
    second.stop(5)
    proxy.close()


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (Refused("Not allowed.", remedy="Ask."), State.FAILED, "Not allowed."),
        (RuntimeError("secret text"), State.UNKNOWN, "The bot failed"),
    ],
)
def test_a_failure_is_told_and_what_nobody_foresaw_is_not_guessed(
    store: ActionStore, client: Any, error: Exception, state: State, said: str
) -> None:
    one = runner(client, Fails(error))
    ask(store, "AAAAAA")
    action = ended(store, "AAAAAA")
    one.stop(5)
    assert action.state is state
    assert action.outcome is not None
    assert said in action.outcome.happened
    assert "secret text" not in str(action)


def test_a_request_that_nobody_decides_expires_by_itself(store: ActionStore, client: Any) -> None:
    one = runner(client, Work())
    ask(store, "AAAAAA", confirm=False, ttl=1)
    assert ended(store, "AAAAAA").state is State.EXPIRED
    one.stop(5)


def test_a_runner_says_that_it_lives(store: ActionStore, client: Any) -> None:
    one = runner(client, Work())
    assert one.healthy()
    one.stop(5)
    assert not one.healthy()


def test_a_request_is_accepted_once_and_answered_once(server: Valkey) -> None:
    inbox = Inbox(connect(server.url))
    assert inbox.accept("k1", {"verb": "status"}) == "new"
    assert inbox.accept("k1", {"verb": "status"}) == "known"
    assert inbox.claim("k1", "bot-1", 30) == {"verb": "status"}
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
    store: ActionStore, client: Any
) -> None:
    work = Work()
    bots = [runner(client, work, f"bot-{number}", rooms=2) for number in (1, 2)]
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
        bot.stop(5)


def test_a_room_is_free_again_when_its_bot_has_died(store: ActionStore, client: Any) -> None:
    work = Work()
    GatewayLeases(client).acquire("room:0", "GONE", "dead-bot", 1.0)
    bot = runner(client, work, rooms=1)
    work.go.set()
    ask(store, "NEXT")
    assert ended(store, "NEXT").state is State.SUCCEEDED
    bot.stop(5)
