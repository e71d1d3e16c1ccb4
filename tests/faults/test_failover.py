"""Redis fails over while bots work, and while two of them are told that they are the one."""

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.actions.leases import GatewayLeases
from deploy.actions.store import ActionStore
from deploy.deadline import Deadline
from deploy.kube.cluster import Cluster, connect
from deploy.rollouts.stopped import Leftovers, stopped
from tests.faults.bots import CODEC
from tests.faults.judging import Tally
from tests.faults.stamping import STAMP, Stamper
from tests.faults.test_redis import Crowd, client_of, create, crowd
from tests.support.redis_servers import server_of
from tests.support.runners import runner_of
from tests.support.running_cluster import RunningCluster
from tests.support.sentinels import Sentinels
from tests.support.waiting import until

Record = Callable[[str, Tally], None]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def west(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("west")
    with RunningCluster(directory, namespaces=("dev",), with_kubelet=False) as running:
        found = connect("west", kubeconfig=running.kubeconfig())
        yield found
        found.close()


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[Sentinels]:
    found = Sentinels(tmp_path)
    try:
        found.start()
        yield found
    finally:
        found.stop()


def test_a_primary_that_is_killed(west: Cluster, sentinels: Sentinels, record: Record) -> None:
    with crowd(west, sentinels.url, "failover") as people:
        asking = threading.Thread(target=lambda: people.ask(3))
        asking.start()
        until(lambda: any(s.executions for s in people.stampers), "work")
        old = sentinels.primary()
        old.kill()
        until(lambda: sentinels.primary() is not old, "another primary")
        old.start()
        asking.join()
        record("Sentinel failover, primary killed -9", people.judge())


def test_a_primary_that_freezes_and_comes_back(
    west: Cluster, sentinels: Sentinels, record: Record
) -> None:
    with crowd(west, sentinels.url, "frozen") as people:
        asking = threading.Thread(target=lambda: people.ask(3))
        asking.start()
        until(lambda: any(s.executions for s in people.stampers), "work")
        old = sentinels.primary()
        old.signal(signal.SIGSTOP)
        until(lambda: sentinels.primary() is not old, "another primary")
        old.signal(signal.SIGCONT)
        asking.join()
        record("Sentinel split brain, primary frozen", people.judge())


def test_an_approved_action_does_not_begin_before_a_replica_knows_it(
    west: Cluster, tmp_path: Path, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    servers = Sentinels(tmp_path, min_replicas=0)
    try:
        servers.start()
        for sentinel in servers.sentinels:
            sentinel.kill()
        first, *others = servers.data
        with crowd(west, f"redis://127.0.0.1:{first.port}", "alone", bots=1) as people:
            for other in others:
                other.signal(signal.SIGSTOP)
            (action_id, *_) = people.ask(1)
            refused = f"action {action_id} does not begin: its approval is not replicated yet"
            until(lambda: caplog.text.count(refused) > 1, "somebody who would begin, twice")
            assert [stamper.executions for stamper in people.stampers] == [0]
            assert attempts(people, action_id) == 0, "an interrupted run, though nothing was begun"
            for other in others:
                other.signal(signal.SIGCONT)
            record("replicas frozen, then back", people.judge())
    finally:
        servers.stop()


def attempts(people: Crowd, action_id: str) -> int:
    action = people.store.get(action_id)
    return action.attempts if action else 0


def test_two_bots_that_two_primaries_give_one_fence_change_a_gateway_once(
    west: Cluster, tmp_path: Path, record: Record
) -> None:
    servers = [server_of("valkey", tmp_path / name) for name in ("one", "other")]
    for server in servers:
        server.start()
    crowds = [Crowd(west, server.url, "split", bots=2) for server in servers]
    tally = Tally()
    try:
        refs = crowds[0].refs
        for people in crowds:
            # The same approved actions are on both, as after a failover that lost no approval.
            people.refs = refs
            for n, ref in enumerate(refs * 3):
                create(people.store, f"SPLIT{n}", ref)
                people.ids.append(f"SPLIT{n}")
        deciding = [
            threading.Thread(target=lambda p=people: [p._decide(i) for i in p.ids])
            for people in crowds
        ]
        for thread in deciding:
            thread.start()
        for thread in deciding:
            thread.join()
        for people in crowds:
            found = people.judge()
            tally.lost += found.lost
            tally.twice += found.twice
            tally.unapproved += found.unapproved
            tally.runs += found.runs
            tally.wrong += found.wrong
        tally.actions = 3 * len(refs)
    finally:
        for people in crowds:
            people.stop()
        for server in servers:
            server.stop()
    record("two primaries that give the same fences", tally)


def test_the_same_without_the_lease_object_is_done_twice(west: Cluster, tmp_path: Path) -> None:
    """What the Lease is for: this is how the test above would fail."""

    class Nothing:
        """Holds that anybody has."""

        def seen(self, ref: object) -> int:
            return 0

        def take(self, *asked: object) -> "Nothing":
            return self

        def guard(self) -> None: ...

        def renew(self) -> None: ...

        def release(self) -> None: ...

    servers = [server_of("valkey", tmp_path / name) for name in ("one", "other")]
    for server in servers:
        server.start()
    crowds = [Crowd(west, server.url, "twice", bots=0) for server in servers]
    both = threading.Barrier(2)

    class Together(Stamper):
        """Both have read before either writes."""

        def _write(self, ref: object, stamps: list[str]) -> None:
            both.wait(60)
            written.append(stamps)

    written: list[list[str]] = []
    bots = []
    for n, (people, server) in enumerate(zip(crowds, servers, strict=True)):
        people.refs = crowds[0].refs
        create(people.store, "BOTH", people.refs[0])
        people.ids.append("BOTH")
        people._decide("BOTH")
        bots.append(
            runner_of(
                ActionStore(client_of(server.url), CODEC),
                GatewayLeases(client_of(server.url)),
                Nothing(),  # type: ignore[arg-type]  # that is the point
                {STAMP: Together(west)},
                owner=f"bot-{n}",
                report=lambda action, ended: stopped(Leftovers({}).of(action), ended),
                poll_seconds=0.05,
            )
        )
    for bot in bots:
        bot.start()
    until(lambda: len(written) == 2, "both to write")
    for bot in bots:
        bot.stop(Deadline.after(5))
    for server in servers:
        server.stop()
