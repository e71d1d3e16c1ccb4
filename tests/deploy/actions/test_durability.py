"""A change begins only once a replica knows of its approval, where there is a replica."""

import signal
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

import pytest

from bot.sandbox.processes import spawn
from bot.sandbox.valkey import wheel_binary
from deploy.actions.action import State
from deploy.actions.connection import connect
from deploy.actions.pauses import Pauses
from deploy.actions.store import ActionStore
from tests.support.actions import CODEC, ask, confirm
from tests.support.ports import free_ports
from tests.support.waiting import until


class Pair:
    """A primary with one replica, on loopback."""

    def __init__(self, directory: Path) -> None:
        self._running: list[Popen[Any]] = []
        self.port, replica = free_ports(2)
        self._start(directory / "primary", self.port)
        self.replica = self._start(
            directory / "replica", replica, "--replicaof", "127.0.0.1", str(self.port)
        )
        client = connect(self.url)
        until(lambda: client.info("replication").get("connected_slaves"), "the replica")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def stop(self) -> None:
        for process in self._running:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait()

    def _start(self, directory: Path, port: int, *more: str) -> Popen[Any]:
        directory.mkdir()
        command = [str(wheel_binary()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(directory), "--repl-diskless-sync-delay", "0", *more]
        process = spawn(command, stdout=DEVNULL, stderr=DEVNULL)
        self._running.append(process)
        client = connect(f"redis://127.0.0.1:{port}", retries=20)
        until(client.ping, "the server")
        return process


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    running = Pair(tmp_path)
    yield running
    running.stop()


def test_nothing_begins_while_the_replica_does_not_know_of_the_approval(pair: Pair) -> None:
    store = ActionStore(connect(pair.url), CODEC)
    ask(store)
    confirm(store)
    pair.replica.send_signal(signal.SIGSTOP)
    assert store.claim("AAAAAA", "bot-1", 1, 30) is None
    pair.replica.send_signal(signal.SIGCONT)
    claimed = until(lambda: store.claim("AAAAAA", "bot-1", 2, 30), "the replica to answer")
    assert (claimed.state, claimed.fence) == (State.RUNNING, 2)


class Wiped:
    """A client whose server is emptied by somebody just before it sends several commands at once."""

    def __init__(self, url: str) -> None:
        self._client = connect(url)

    def pipeline(self, **options: Any) -> Any:
        self._client.flushall()
        return self._client.pipeline(**options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_waiting_for_a_replica_leaves_nothing_of_an_action_that_is_gone(pair: Pair) -> None:
    store = ActionStore(connect(pair.url), CODEC)
    ask(store)
    confirm(store)
    ActionStore(Wiped(pair.url), CODEC).claim("AAAAAA", "bot-1", 1, 30)
    assert store.get("AAAAAA") is None


def test_a_pause_says_whether_a_replica_knows_of_it(pair: Pair) -> None:
    pauses = Pauses(connect(pair.url))
    pauses.begin("cluster", "west", reason="upgrade", by="Ana")
    assert pauses.replicated(within=10)
    pair.replica.send_signal(signal.SIGSTOP)
    pauses.begin("cluster", "east", reason="upgrade", by="Ana")
    assert not pauses.replicated(within=0.5)
    pair.replica.send_signal(signal.SIGCONT)
    assert pauses.replicated(within=10)


def test_waiting_for_a_replica_is_no_interrupted_run(pair: Pair) -> None:
    store = ActionStore(connect(pair.url), CODEC)
    ask(store)
    confirm(store)
    pair.replica.send_signal(signal.SIGSTOP)
    for fence in range(1, 4):
        assert store.claim("AAAAAA", "bot-1", fence, 30) is None
    waits = store.get("AAAAAA")
    assert waits is not None
    assert (waits.state, waits.attempts) == (State.APPROVED, 0)
    assert [event.name for event in store.events("AAAAAA")] == ["pending", "approved"]
    pair.replica.send_signal(signal.SIGCONT)
    claimed = until(lambda: store.claim("AAAAAA", "bot-1", 9, 30), "the replica to answer")
    assert claimed.attempts == 1
