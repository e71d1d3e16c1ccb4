"""The embedded server: durable, private, alone on its directory, and gone with its parent."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from bot.sandbox.valkey import Valkey, ValkeyError, path_binary, wheel_binary
from tests.support.processes import alive, line_of, python
from tests.support.waiting import until

SUPERVISOR = """
import sys, time
from pathlib import Path
from bot.sandbox.valkey import Valkey
server = Valkey(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def started() -> Iterator[Callable[[Valkey], Valkey]]:
    servers = []

    def start(server: Valkey) -> Valkey:
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


def connect(server: Valkey) -> "redis.Redis":
    return redis.Redis.from_url(server.url, decode_responses=True)


def test_nothing_acknowledged_is_lost_by_kill_9(
    tmp_path: Path, started: Callable[[Valkey], Valkey]
) -> None:
    server = started(Valkey(tmp_path / "data", fsync="always"))
    with connect(server) as client:
        for number in range(200):
            client.set(f"key-{number}", number)
    server.kill()
    server.start()
    with connect(server) as client:
        assert client.dbsize() == 200


def test_data_outlives_a_stop_in_good_order(tmp_path: Path) -> None:
    for expected in (None, "kept"):
        server = Valkey(tmp_path)
        server.start()
        with connect(server) as client:
            assert client.get("key") == expected
            client.set("key", "kept")
        server.stop()


def test_it_is_set_up_to_forget_nothing(
    tmp_path: Path, started: Callable[[Valkey], Valkey]
) -> None:
    with connect(started(Valkey(tmp_path))) as client:
        settings = client.config_get("append*", "maxmemory-policy", "port", "save")
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "everysec"
    assert settings["maxmemory-policy"] == "noeviction"
    assert (settings["port"], settings["save"]) == ("0", "")


def test_nobody_else_can_open_its_socket(
    tmp_path: Path, started: Callable[[Valkey], Valkey]
) -> None:
    server = started(Valkey(tmp_path / "data"))
    socket = Path(server.url.removeprefix("unix://"))
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700


def test_a_second_start_on_one_directory_is_refused(
    tmp_path: Path, started: Callable[[Valkey], Valkey]
) -> None:
    first = started(Valkey(tmp_path))
    with pytest.raises(ValkeyError, match="is in use by another server"):
        Valkey(tmp_path).start()
    with connect(first) as client:
        assert client.ping(), "the first one is unharmed"


def test_it_dies_with_its_parent_and_the_directory_is_free_again(
    tmp_path: Path, started: Callable[[Valkey], Valkey]
) -> None:
    parent = python(SUPERVISOR, str(tmp_path))
    server = int(line_of(parent))
    parent.kill()
    parent.wait()
    started(Valkey(tmp_path))
    until(lambda: not alive(server), "the end of the server")


def test_a_long_path_gets_a_short_socket(
    tmp_path: Path, started: Callable[[Valkey], Valkey]
) -> None:
    server = started(Valkey(tmp_path / ("long-" * 30)))
    socket = Path(server.url.removeprefix("unix://"))
    assert len(str(socket)) < 100
    with connect(server) as client:
        assert client.ping()
    server.stop()
    assert not socket.parent.exists()


def test_a_server_that_cannot_run_says_why_and_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ValkeyError, match="cannot be run"):
        Valkey(tmp_path, binary=tmp_path / "no-such-server").start()
    refusing = Valkey(tmp_path, fsync="sometimes")
    with pytest.raises(ValkeyError, match="did not start"):
        refusing.start()
    server = Valkey(tmp_path)
    server.start()
    server.stop()


def test_a_server_on_the_path_is_used_when_asked_for(
    tmp_path: Path, started: Callable[[Valkey], Valkey]
) -> None:
    try:
        binary = path_binary()
    except ValkeyError:
        pytest.skip("there is no redis-server on this machine")
    server = started(Valkey(tmp_path, binary=binary))
    with connect(server) as client:
        assert client.ping()
    assert binary != wheel_binary()
