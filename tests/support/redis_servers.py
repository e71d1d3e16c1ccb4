"""Real servers for tests, and a proxy that loses replies."""

import select
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from bot.sandbox.valkey import Valkey, wheel_binary
from tests.support.ports import free_ports
from tests.support.waiting import until

ENGINES = ("valkey", "redis-server")


def server_of(engine: str, directory: Path) -> Valkey:
    """A server of that kind, not started; skips where Redis is not on the machine."""
    if engine == "valkey":
        return Valkey(directory, fsync="always")
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("redis-server is not on this machine; .ci/run installs one")
    return Valkey(directory, binary=Path(found), fsync="always")


def started(engine: str, directory: Path) -> Iterator[Valkey]:
    """The body of a fixture: a started server, stopped at the end."""
    server = server_of(engine, directory)
    server.start()
    yield server
    server.stop()


@contextmanager
def redis_cluster(directory: Path) -> Iterator[str]:
    """A Redis Cluster of two servers; its URL."""
    # Each has its cluster bus 10,000 above.
    ports = free_ports(2)
    servers = [
        subprocess.Popen(
            [wheel_binary(), "--port", str(port), "--cluster-enabled", "yes", "--save", "",
             "--dir", str(directory), "--cluster-config-file", f"nodes-{port}.conf"],
            stdout=subprocess.DEVNULL,
        )
        for port in ports
    ]  # fmt: skip
    try:
        nodes = [redis.Redis(port=port, decode_responses=True) for port in ports]
        for node, slots in zip(nodes, [(0, 8191), (8192, 16383)], strict=True):
            until(partial(_answers, node), "a server")
            node.execute_command("CLUSTER ADDSLOTSRANGE", *slots)
        nodes[0].execute_command("CLUSTER MEET", "127.0.0.1", ports[1])
        for node in nodes:
            until(partial(_complete, node), "a cluster")
            node.close()
        yield f"redis+cluster://127.0.0.1:{ports[0]}"
    finally:
        for server in servers:
            server.kill()
            server.wait()


def _answers(node: redis.Redis) -> bool:
    try:
        return bool(node.ping())
    except redis.RedisError:
        return False


def _complete(node: redis.Redis) -> bool:
    told: Any = node.execute_command("CLUSTER INFO")
    return bool(told["cluster_state"] == "ok")


class LosingProxy:
    """Passes commands on and counts the round trips; while `lose` is above 0, a reply is dropped
    and the connection cut."""

    def __init__(self, upstream: str, directory: Path) -> None:
        self._upstream = upstream.removeprefix("unix://")
        self.path = directory / "proxy.sock"
        self.lose = 0
        self.match = b""
        self.trips = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"unix://{self.path}"

    def close(self) -> None:
        """Accept nothing more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._upstream)
            asked = b""
            while True:
                # A long command, or a long answer, comes in several pieces.
                for ready in select.select([client, server], [], [])[0]:
                    piece = ready.recv(1 << 20)
                    if not piece:
                        return
                    if ready is client:
                        self.trips += not asked
                        asked += piece
                        server.sendall(piece)
                        continue
                    if self.lose and self.match in asked:
                        self.lose -= 1
                        return
                    asked = b""
                    client.sendall(piece)
