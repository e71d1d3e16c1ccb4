import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox.processes import keeper
from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from tests.support.waiting import until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    running = Valkey(tmp_path / "redis", fsync="always")
    running.start()
    yield running
    running.stop()


def test_what_was_written_survives_kill_9(server: Valkey) -> None:
    client = connect(server.url)
    client.set("a", "1")
    server.kill()
    server.start()
    assert client.get("a") == "1"


def test_two_servers_never_share_a_directory(server: Valkey, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="in use"):
        Valkey(tmp_path / "redis").start()


def test_only_the_owner_can_reach_the_socket(server: Valkey) -> None:
    path = Path(server.url.removeprefix("unix://"))
    assert path.stat().st_mode & 0o077 == 0


def test_a_long_path_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 60) / ("b" * 60)
    running = Valkey(deep)
    running.start()
    assert connect(running.url).ping()
    running.stop()


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom bot.sandbox.valkey import Valkey\n"
        "v = Valkey(Path(sys.argv[1])); v.start(); print(v.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    until(lambda: ended(pid), "the server's end")


def test_where_linux_cannot_help_a_shell_keeps_the_promise() -> None:
    child = subprocess.Popen(["sleep", "60"])
    shell = keeper(child.pid)
    assert shell.stdin is not None
    shell.stdin.close()
    assert child.wait(10) == -signal.SIGTERM
    shell.wait(10)


def ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return "\tZ" in Path(f"/proc/{pid}/status").read_text()
