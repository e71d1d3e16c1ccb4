"""A primary, two replicas and three Sentinels on loopback, from one server binary."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from bot.sandbox.processes import spawn
from bot.sandbox.valkey import wheel_binary
from tests.support.ports import free_ports
from tests.support.waiting import until

MASTER = "gateways"
_DOWN_MS = 3000
"""Long enough for a primary that only waits for its turn on a busy machine: one that is replaced while
it works takes with it what it has just confirmed."""


@dataclass
class Server:
    """One process that listens on a port."""

    port: int
    directory: Path
    arguments: list[str]
    process: subprocess.Popen[Any] | None = None

    def start(self) -> None:
        """Start it, on what it left."""
        self.process = spawn(self.arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers, f"an answer at port {self.port}")

    def client(self) -> Any:
        """For looking at it alone."""
        return redis.Redis(port=self.port, socket_timeout=20, decode_responses=True)

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False


class Sentinels:
    """Use `url` as the bot's Redis. With `min_replicas` a primary without replicas takes no writes."""

    def __init__(self, directory: Path, *, min_replicas: int = 1) -> None:
        self._binary = str(wheel_binary())
        self._directory = directory
        self._min_replicas = min_replicas
        # All at once: they are bound only later, and none may be there twice.
        ports = free_ports(6)
        self.data = [self._server(n, port) for n, port in enumerate(ports[:3])]
        self.sentinels: list[Server] = []
        self._sentinel_ports = ports[3:]

    def start(self) -> None:
        """Start everything, in order, and wait until it is whole."""
        first = self.data[0]
        for server in self.data:
            server.start()
        for server in self.data[1:]:
            server.client().replicaof("127.0.0.1", first.port)
        until(lambda: self.replicas(first) == 2, "two replicas")
        self.sentinels = [
            self._sentinel(n, port, first.port) for n, port in enumerate(self._sentinel_ports)
        ]
        for server in self.sentinels:
            server.start()
        until(self._whole, "three Sentinels that know each other and both replicas")

    def stop(self) -> None:
        """End everything."""
        for server in (*self.sentinels, *self.data):
            # SIGKILL ends a stopped process too.
            server.kill()

    @property
    def url(self) -> str:
        """For the bot's settings."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.sentinels)
        return f"redis+sentinel://{hosts}/{MASTER}"

    def primary(self) -> Server:
        """Whom the Sentinels name."""
        for sentinel in self.sentinels:
            try:
                address = sentinel.client().sentinel_get_master_addr_by_name(MASTER)
            except redis.RedisError:
                continue
            port = int(address[1])
            return next(server for server in self.data if server.port == port)
        raise AssertionError("no Sentinel answers")

    def replicas(self, server: Server) -> int:
        """How many replicas are in step with it."""
        info = server.client().info("replication")
        return sum(info[f"slave{n}"]["state"] == "online" for n in range(info["connected_slaves"]))

    def _whole(self) -> bool:
        try:
            state = [server.client().sentinel_master(MASTER) for server in self.sentinels]
        except redis.RedisError:
            return False
        return all(s["num-other-sentinels"] == 2 and s["num-slaves"] == 2 for s in state)

    def _server(self, number: int, port: int) -> Server:
        directory = self._directory / f"data-{number}"
        directory.mkdir(parents=True)
        arguments = [
            *(self._binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
            *("--min-replicas-to-write", str(self._min_replicas), "--min-replicas-max-lag", "2"),
            *("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"),
        ]
        return Server(port, directory, arguments)

    def _sentinel(self, number: int, port: int, primary: int) -> Server:
        directory = self._directory / f"sentinel-{number}"
        directory.mkdir(parents=True)
        path = directory / "sentinel.conf"
        path.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {directory}\n"
            f"sentinel monitor {MASTER} 127.0.0.1 {primary} 2\n"
            f"sentinel down-after-milliseconds {MASTER} {_DOWN_MS}\n"
            f"sentinel failover-timeout {MASTER} 5000\n"
        )
        return Server(port, directory, [self._binary, str(path), "--sentinel"])
