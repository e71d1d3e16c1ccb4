"""A client of Redis does not keep Slack waiting, and says no more than it knows."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from redis.exceptions import TimeoutError as RedisTimeout

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import Script, connect, redis_errors
from deploy.errors import Unavailable
from tests.support.redis_servers import redis_cluster, started
from tests.support.waiting import until


class Deaf:
    """A Redis that takes connections and never answers; `taken` are those of clients."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended = threading.Event()
        self.taken: list[socket.socket] = []
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    def _take(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._ended.is_set():
                if selector.select(0.05):
                    self.taken.append(self._listener.accept()[0])

    def clients(self) -> int:
        """How many have connected by now."""
        with socket.create_connection(self._listener.getsockname()) as last:
            until(lambda: last.getsockname() in [each.getpeername() for each in self.taken])
        return len(self.taken) - 1

    def stop(self) -> None:
        """End."""
        self._ended.set()
        self._thread.join()
        for each in (*self.taken, self._listener):
            each.close()


@pytest.fixture
def deaf() -> Iterator[Deaf]:
    server = Deaf()
    yield server
    server.stop()


@redis_errors
def look(url: str) -> object:
    return connect(url, timeout=0.2, retries=1, retry_timeouts=False).get("a")


def test_a_client_that_has_no_time_asks_a_redis_that_hangs_once(deaf: Deaf) -> None:
    with pytest.raises(Unavailable):
        look(deaf.url)
    assert deaf.clients() == 1, "each further connection takes a timeout more"


def test_each_sentinel_that_hangs_is_asked_once(deaf: Deaf) -> None:
    other = Deaf()
    try:
        places = ",".join(each.url.removeprefix("redis://") for each in (deaf, other))
        with pytest.raises(Unavailable, match="it does not answer"):
            look(f"redis+sentinel://{places}/gateways")
        assert (deaf.clients(), other.clients()) == (1, 1)
    finally:
        other.stop()


def test_of_what_a_redis_that_hangs_was_asked_nothing_is_claimed(deaf: Deaf) -> None:
    with pytest.raises(Unavailable) as caught:
        look(deaf.url)
    assert "it does not answer" in caught.value.happened
    assert "not known" in caught.value.meaning


def test_what_was_being_handled_when_redis_was_called_is_not_blamed_on_redis(deaf: Deaf) -> None:
    """A person would look for the name of Redis, where that of Azure cannot be resolved."""

    def call() -> None:
        try:
            try:
                raise socket.gaierror("management.azure.com")
            except OSError as error:
                raise requests.ConnectionError("Azure") from error
        except requests.ConnectionError:
            look(deaf.url)

    with pytest.raises(Unavailable, match="it does not answer"):
        call()


def test_what_is_no_error_of_a_connection_is_no_cause() -> None:
    @redis_errors
    def call() -> None:
        try:
            try:
                raise socket.gaierror("of something else")
            except OSError as error:
                raise ValueError("something") from error
        except ValueError:
            raise RedisTimeout("Redis")  # noqa: B904

    with pytest.raises(Unavailable, match="it does not answer"):
        call()


def test_also_of_what_a_redis_that_is_not_there_was_asked_nothing_is_claimed() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable) as caught:
            look(f"redis://127.0.0.1:{bound.getsockname()[1]}")
    assert "not known" in caught.value.meaning


def test_of_what_a_redis_was_sent_that_hung_up_nothing_is_claimed() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken, _ = listening.accept()
                    taken.recv(1)
                    taken.close()

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(Unavailable) as caught:
            look(f"redis://127.0.0.1:{listening.getsockname()[1]}")
    assert "not known" in caught.value.meaning
    assert not caught.value.untouched


def test_options_of_redis_py_reach_every_node_of_a_cluster(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as url:
        client = connect(f"{url}?client_name=bot&max_connections=9&read_from_replicas=false")
        assert all(client.set(f"{{{number}}}", 1) for number in range(8))
        nodes = [each.redis_connection for each in client.get_nodes()]
        assert [node.client_getname() for node in nodes] == ["bot", "bot"]
        assert {node.connection_pool.max_connections for node in nodes} == {9}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path)


def test_a_script_runs_though_the_server_forgets_it_as_soon_as_it_was_loaded(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(server.url)
    load = client.script_load

    def forgotten(text: str) -> Any:
        digest = load(text)
        client.script_flush()
        return digest

    monkeypatch.setattr(client, "script_load", forgotten)
    increase = Script(client, "return redis.call('INCRBY', KEYS[1], ARGV[1])")
    assert increase(keys=["a"], args=[2]) == 2
    assert increase(keys=["a"], args=[3]) == 5
