"""A middlebox that forgets connections: it drops their bytes and tells neither side."""

import contextlib
import functools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import yaml

_CHUNK = 65536


class SilentProxy:
    """Passes TCP on to a server. `forget` makes every connection of now a black hole, without a
    FIN or a reset; those made later work. From `hold` to `resume` nothing passes, and nothing gets
    lost: so it is for TCP while the network is away for a while."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._generation = 0
        self.delay = 0.0
        """How many seconds the answers of the server wait."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._clients: set[socket.socket] = set()
        self.accepted = 0
        self._flowing = threading.Event()
        self._flowing.set()
        self._run(self._accept)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def forget(self) -> None:
        """From now on nothing of what is open passes."""
        self._generation += 1

    def hold(self) -> None:
        """Keep everything until `resume`."""
        self._flowing.clear()

    def resume(self) -> None:
        """Pass on what was held, and everything after it."""
        self._flowing.set()

    def close(self) -> None:
        """End everything."""
        self._flowing.set()
        for item in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
            item.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                server = socket.create_connection(self._upstream)
            except OSError:
                # As who connects to a server that is not there.
                client.close()
                continue
            self._sockets += [client, server]
            self._clients.add(client)
            generation = self._generation
            self._run(functools.partial(self._pass, client, server, generation))
            self._run(functools.partial(self._pass, server, client, generation))

    def _pass(self, source: socket.socket, target: socket.socket, generation: int) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(_CHUNK):
                if self.delay and target in self._clients:
                    time.sleep(self.delay)
                self._flowing.wait()
                if generation == self._generation:
                    target.sendall(chunk)
            self._flowing.wait()
            if generation == self._generation:
                target.shutdown(socket.SHUT_WR)

    def _run(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, daemon=True).start()


@contextlib.contextmanager
def silent_peer() -> Iterator[int]:
    """The port of a server that takes connections and whatever is sent, and never says a word."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()


@contextlib.contextmanager
def behind_proxy(kubeconfig: Path, directory: Path) -> Iterator[tuple[SilentProxy, Path]]:
    """A proxy before the cluster of a kubeconfig, and a kubeconfig that leads through it."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    server = urlsplit(cluster["server"])
    proxy = SilentProxy(str(server.hostname), int(server.port or 443))
    cluster["server"] = f"https://127.0.0.1:{proxy.port}"
    path = directory / "kubeconfig-through-proxy"
    path.write_text(yaml.safe_dump(config))
    try:
        yield proxy, path
    finally:
        proxy.close()
