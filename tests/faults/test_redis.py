"""Redis fails in every way it can while people click and bots work; every end is still shown."""

import contextlib
import dataclasses
import functools
import itertools
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.action import State
from deploy.actions.connection import connect as connect_redis
from deploy.actions.fencing import Fences
from deploy.actions.inbox import Inbox
from deploy.actions.leases import GatewayLeases
from deploy.actions.store import ActionStore
from deploy.deadline import Deadline
from deploy.errors import Unavailable
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster, connect
from deploy.plans.requests import DeployRequest
from deploy.policy import People
from deploy.rollouts.stopped import Leftovers, stopped
from tests.faults.bots import CODEC, Job, Nursery
from tests.faults.judging import Tally
from tests.faults.stamping import STAMP, Stamper, stamps_of
from tests.support import actions
from tests.support.actions import by_approvers, spec_of
from tests.support.redis_servers import LosingProxy, started
from tests.support.runners import runner_of
from tests.support.running_cluster import RunningCluster
from tests.support.waiting import until

APPROVERS = ("U7", "U8", "U9")
QUORUM = 2
GATEWAYS = 4
HASTY, PATIENT = 0.5, 30.0
"""How many seconds Redis is waited for: where it fails, and where only the machine may be busy."""
_NUMBERS = itertools.count()
Record = Callable[[str, Tally], None]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    directory = tmp_path_factory.mktemp("west")
    with RunningCluster(directory, namespaces=("dev",), with_kubelet=False) as found:
        yield found


@pytest.fixture(scope="module")
def west(running: RunningCluster) -> Iterator[Cluster]:
    found = connect("west", kubeconfig=running.kubeconfig())
    yield found
    found.close()


@pytest.fixture(params=["valkey", "redis-server"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Valkey]:
    yield from started(request.param, tmp_path / "redis")


@contextlib.contextmanager
def one_server(directory: Path) -> Iterator[Valkey]:
    yield from started("valkey", directory / "redis")


def client_of(url: str, timeout: float = HASTY) -> Any:
    return connect_redis(url, timeout=timeout, retries=3)


class Crowd:
    """People who ask and click on some gateways, and bots that work, on one Redis."""

    def __init__(
        self, west: Cluster, url: str, name: str, bots: int = 2, timeout: float = HASTY
    ) -> None:
        """`timeout` is that of the people."""
        self.west = west
        self.store = ActionStore(client_of(url, timeout), CODEC)
        self._judged = ActionStore(client_of(url, PATIENT), CODEC)
        unique = f"{name}-{next(_NUMBERS)}"
        self.refs = [GatewayRef("west", "dev", f"{unique}-{n}") for n in range(GATEWAYS)]
        self.ids: list[str] = []
        self.stampers = [Stamper(west) for _ in range(bots)]
        self.bots = [
            runner_of(
                ActionStore(client_of(url), CODEC),
                GatewayLeases(client_of(url)),
                Fences({"west": west}),
                {STAMP: stamper},
                owner=f"bot-{n}",
                report=lambda action, ended: stopped(Leftovers({"west": west}).of(action), ended),
                lease_seconds=2.0,
                heartbeat_seconds=0.4,
                poll_seconds=0.05,
            )
            for n, stamper in enumerate(self.stampers)
        ]
        for bot in self.bots:
            bot.start()

    def stop(self) -> None:
        """End the bots."""
        for bot in self.bots:
            bot.stop(Deadline.after(10))

    def ask(self, count: int = 1) -> list[str]:
        """Make that many requests on each gateway, each approved by two people who click twice."""
        new = []
        for ref in self.refs * count:
            new.append(f"A{next(_NUMBERS)}")
            self.ids.append(new[-1])
            patient(functools.partial(create, self.store, new[-1], ref))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self._decide, new))
        return new

    def _decide(self, action_id: str) -> None:
        clicks = [(who, n) for who in APPROVERS for n in range(2)]
        random.shuffle(clicks)
        for who, _ in clicks:
            patient(functools.partial(approve, self.store, action_id, who))

    def judge(self, seconds: float = 120) -> Tally:
        """Wait for every end, and count."""
        for action_id in self.ids:
            until(functools.partial(self._ended, action_id), f"the end of {action_id}", seconds)
        tally = Tally()
        stamps = [stamp for ref in self.refs for stamp in stamps_of(self.west, ref)]
        for action_id in self.ids:
            tally.judge(self._judged, action_id, effects=stamps.count(action_id))
        return tally

    def _ended(self, action_id: str) -> bool:
        try:
            action = self.store.get(action_id)
        except Unavailable:
            return False
        assert action is not None, f"{action_id} is gone"
        return action.final


def patient(call: Callable[[], Any]) -> Any:
    """Try again, as a person would who is asked to."""

    def look() -> Any:
        with contextlib.suppress(Unavailable):
            return (call(),)
        return None

    return until(look, "an answer", 90)[0]


def create(store: ActionStore, action_id: str, ref: GatewayRef) -> None:
    policy = by_approvers(QUORUM, People(APPROVERS))
    asked = DeployRequest(spec_of(ref))
    actions.ask(store, action_id, ttl=600, kind=STAMP, ref=ref, request=asked, policy=policy)


def approve(store: ActionStore, action_id: str, who: str) -> str:
    return actions.approve(store, who, action_id, request_id=f"{action_id}:{who}").result


@contextlib.contextmanager
def crowd(
    west: Cluster, url: str, name: str, bots: int = 2, timeout: float = HASTY
) -> Iterator[Crowd]:
    found = Crowd(west, url, name, bots, timeout)
    try:
        yield found
    finally:
        found.stop()


@pytest.mark.parametrize("lost", [1, 7])
def test_replies_that_are_lost(
    west: Cluster, server: Valkey, tmp_path: Path, lost: int, record: Record
) -> None:
    proxy = LosingProxy(server.url, tmp_path)
    done = threading.Event()

    def lose() -> None:
        # Repeatedly, so that every script is hit; some get through in between.
        while not done.wait(0.1 * lost):
            proxy.match, proxy.lose = b"EVALSHA", lost

    losing = threading.Thread(target=lose, daemon=True)
    with crowd(west, proxy.url, "replies") as people:
        losing.start()
        people.ask(2)
        tally = people.judge()
        done.set()
        losing.join()
        proxy.lose = 0
    proxy.close()
    record(f"replies lost, {lost} at a time, {server_name(server)}", tally)


def test_a_redis_that_is_killed_and_comes_back(
    west: Cluster, server: Valkey, record: Record
) -> None:
    with crowd(west, server.url, "killed") as people:
        asking = threading.Thread(target=lambda: people.ask(3))
        asking.start()
        for _ in range(3):
            until(lambda: any(s.executions for s in people.stampers), "work")
            server.kill()
            server.start()
        asking.join()
        record(f"Redis killed -9 and started, {server_name(server)}", people.judge())


def test_a_redis_that_is_held_up_longer_than_anybody_waits_for_it(
    west: Cluster, server: Valkey, record: Record
) -> None:
    with crowd(west, server.url, "stopped") as people:
        asking = threading.Thread(target=lambda: people.ask(2))
        asking.start()
        until(lambda: any(s.executions for s in people.stampers), "work")
        os.kill(server.pid, signal.SIGSTOP)
        threading.Event().wait(3)
        os.kill(server.pid, signal.SIGCONT)
        asking.join()
        record(f"Redis stopped for 3 s, {server_name(server)}", people.judge())


def test_scripts_that_are_flushed(west: Cluster, server: Valkey, record: Record) -> None:
    admin = client_of(server.url)
    done = threading.Event()

    def flush() -> None:
        while not done.wait(0.02):
            admin.script_flush()

    flushing = threading.Thread(target=flush)
    flushing.start()
    with crowd(west, server.url, "flushed") as people:
        people.ask(2)
        tally = people.judge()
    done.set()
    flushing.join()
    record(f"scripts flushed, {server_name(server)}", tally)


@pytest.mark.parametrize(
    ("name", "break_it", "mend"),
    [
        (
            "out of memory",
            lambda admin: admin.config_set("maxmemory", "1mb"),
            lambda admin: admin.config_set("maxmemory", "0"),
        ),
        (
            "read-only",
            lambda admin: admin.replicaof("127.0.0.1", "1"),
            lambda admin: admin.replicaof("NO", "ONE"),
        ),
    ],
)
def test_a_redis_that_takes_no_writes(
    west: Cluster,
    server: Valkey,
    name: str,
    break_it: Callable[[Any], Any],
    mend: Callable[[Any], Any],
    record: Record,
) -> None:
    admin = client_of(server.url)
    with crowd(west, server.url, "readonly") as people:
        asking = threading.Thread(target=lambda: people.ask(2))
        asking.start()
        for _ in range(2):
            until(lambda: any(s.executions for s in people.stampers), "work")
            break_it(admin)
            with pytest.raises(Unavailable):
                create(people.store, "REFUSED", people.refs[0])
            threading.Event().wait(1.0)
            mend(admin)
        asking.join()
        record(f"Redis {name}, {server_name(server)}", people.judge())


def test_a_redis_that_is_wiped_while_bots_work_lets_no_two_at_one_gateway(
    west: Cluster, tmp_path: Path, record: Record
) -> None:
    with one_server(tmp_path) as server:
        admin = client_of(server.url, PATIENT)
        with crowd(west, server.url, "wiped", timeout=PATIENT) as people:
            people.ask(2)
            people.judge()
            fences = [Fences({"west": west}).seen(ref) for ref in people.refs]
            until(lambda: not any(bot._runs for bot in people.bots), "quiet")
            admin.flushall()
            old = people.ids.copy()
            people.ids.clear()
            people.ask(1)
            tally = people.judge()
            assert all(people.store.get(action_id) is None for action_id in old)
            assert approve(people.store, old[0], "U9") == "gone"
            for ref, fence in zip(people.refs, fences, strict=True):
                assert Fences({"west": west}).seen(ref) > fence
        record("Redis wiped", tally)


@pytest.mark.parametrize("bots", [2, 4, 8])
def test_bots_that_share_the_work_and_are_killed_at_random(
    west: Cluster,
    running: RunningCluster,
    nursery: Nursery,
    tmp_path: Path,
    bots: int,
    record: Record,
) -> None:
    with one_server(tmp_path) as server:
        with crowd(west, server.url, f"many{bots}", bots=0, timeout=PATIENT) as people:
            job = Job(
                "", server.url, "gateway-bot", str(running.kubeconfig()), str(tmp_path / "points")
            )
            names = itertools.count()
            pids: dict[str, int] = {}

            def new() -> None:
                owner = f"bot-{next(names)}"
                pids[owner] = nursery.start(dataclasses.replace(job, owner=owner))

            def at_work() -> list[str]:
                """The live bots that are in the middle of an action."""
                found = (a for a in people.store.open() if a.state is State.RUNNING and a.steps)
                return [a.lease_owner for a in found if a.lease_owner in pids]

            def held() -> str:
                """One of them, suspended, so that it does not finish its work."""
                if not asking.is_alive() and not any(people.store.open()):
                    # All was done before enough of them were held.
                    people.ask()
                for owner in random.sample(working := at_work(), len(working)):
                    os.kill(pids[owner], signal.SIGSTOP)
                    if owner in at_work():
                        return owner
                    os.kill(pids[owner], signal.SIGCONT)
                return ""

            for _ in range(bots):
                new()
            asking = threading.Thread(target=lambda: people.ask(4))
            asking.start()
            for _ in range(bots):
                victim = until(held, "a bot that is held at work")
                nursery.kill(pids.pop(victim))
                new()
            asking.join()
            tally = people.judge()
            assert tally.runs > tally.actions, "somebody went on with what a dead bot had begun"
            for pid in pids.values():
                nursery.kill(pid)
        record(f"{bots} bots, as many killed -9 at work", tally)


def test_clicks_that_come_at_once_twice_late_and_out_of_order(
    west: Cluster, tmp_path: Path, record: Record
) -> None:
    with one_server(tmp_path) as server:
        with crowd(west, server.url, "clicks", timeout=PATIENT) as people:
            told: dict[str, list[str]] = {}
            inboxes = [Inbox(client_of(server.url, PATIENT)) for _ in range(3)]
            accepted: list[str] = []

            def deliver(delivery: tuple[str, str]) -> None:
                """Deliver one request once: a click may come before its request, or a day late."""
                action_id, who = delivery
                inbox = random.choice(inboxes)
                if inbox.accept(f"{action_id}:{who}", {"by": who}) == "new":
                    accepted.append(f"{action_id}:{who}")
                if who == "ask":
                    ref = people.refs[len(action_id) % GATEWAYS]
                    create(people.store, action_id, ref)
                else:
                    told.setdefault(action_id, []).append(approve(people.store, action_id, who))

            ids = [f"B{next(_NUMBERS)}" for _ in range(40)]
            deliveries = [(i, who) for i in ids for who in ("ask", *APPROVERS) for _ in range(3)]
            random.shuffle(deliveries)
            with ThreadPoolExecutor(16) as pool:
                list(pool.map(deliver, deliveries))
            people.ids += ids
            for action_id in ids:
                for who in APPROVERS:
                    approve(people.store, action_id, who)
            tally = people.judge()
            assert len(accepted) == len(set(accepted)) == 4 * len(ids)
            for action_id in ids:
                assert told[action_id].count("done") <= 1
                action = people.store.get(action_id)
                assert action is not None
                assert action.state is State.SUCCEEDED
                assert len(action.votes) == QUORUM
        record("clicks at once, twice, late and out of order", tally)


def server_name(server: Valkey) -> str:
    return "redis-server" if server._binary else "Valkey"
