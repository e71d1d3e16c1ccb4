"""Real servers for tests, and a proxy that loses replies."""

import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox.valkey import Valkey

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


class LosingProxy:
    """Passes commands on; while `lose` is above 0, a reply is dropped and the connection cut."""

    def __init__(self, upstream: str, directory: Path) -> None:
        self._upstream = upstream.removeprefix("unix://")
        self.path = directory / "proxy.sock"
        self.lose = 0
        self.match = b""
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
            while True:
                command = client.recv(1 << 20)
                if not command:
                    return
                server.sendall(command)
                reply = server.recv(1 << 20)
                if self.lose and self.match in command:
                    self.lose -= 1
                    return
                client.sendall(reply)
