"""A proxy before a service that is down, hangs, is slow or refuses, for as long as a test wants."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

from tests.support.ports import free_port

Trouble = Literal["down", "hanging", "slow", "refusing"]
TROUBLES: tuple[Trouble, ...] = ("down", "hanging", "slow", "refusing")

_CHUNK = 1 << 20
_RESET = struct.pack("ii", 1, 0)


class TroubledProxy:
    """Passes TCP on to a server, by its address or the path of its Unix socket.

    `down`: what is connected breaks, and nobody listens. `refusing`: it breaks, and each new
    connection is reset. `hanging`: all is held, and passed on afterwards, as by a process that is
    frozen. `slow`: what the server says comes that many seconds late.

    With `everywhere` the server's own address, where it names it, becomes the proxy's: so what it
    invites to, a websocket say, comes through the proxy as well.
    """

    def __init__(
        self, upstream: tuple[str, int] | str, *, delay: float, everywhere: bool = False
    ) -> None:
        self._upstream = upstream
        self._delay = delay
        self._everywhere = everywhere
        self._trouble: Trouble | None = None
        self._flowing = threading.Event()
        self._flowing.set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        # Not one that the system gives away to others while the service is down.
        self.port = free_port()
        self._listener = self._listen(self.port)

    @contextlib.contextmanager
    def having(self, trouble: Trouble) -> Iterator[None]:
        """The service has it while the block runs; another one that it had is over."""
        self.becomes(trouble)
        try:
            yield
        finally:
            self.becomes(None)

    def becomes(self, trouble: Trouble | None) -> None:
        """The service has it from now on; None where it is well."""
        before, self._trouble = self._trouble, trouble
        if trouble in ("down", "refusing"):
            self._break()
        if trouble == "hanging":
            self._flowing.clear()
        else:
            self._flowing.set()
        if trouble == "down":
            _end(self._listener)
        elif before == "down":
            self._listener = self._listen(self.port)

    def close(self) -> None:
        """End everything."""
        self._flowing.set()
        _end(self._listener)
        self._break()

    def _break(self) -> None:
        with self._lock:
            for each in self._open:
                _reset(each)
            self._open.clear()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port), backlog=256)
        _run(partial(self._accept, listener))
        return listener

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if self._trouble == "refusing":
                _reset(client)
                continue
            _run(partial(self._serve, client))

    def _serve(self, client: socket.socket) -> None:
        self._flowing.wait()
        try:
            server = self._connected()
        except OSError:
            _reset(client)
            return
        with self._lock:
            self._open |= {client, server}
        if self._trouble in ("down", "refusing"):
            # It was accepted before that, and is connected only now.
            self._break()
        _run(partial(self._pass, client, server, False))
        self._pass(server, client, True)

    def _connected(self) -> socket.socket:
        if isinstance(self._upstream, str):
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._upstream)
            return server
        return socket.create_connection(self._upstream)

    def _renamed(self, chunk: bytes) -> bytes:
        if not self._everywhere or isinstance(self._upstream, str):
            return chunk
        host, port = self._upstream
        there, here = f"{host}:{port}".encode(), f"{host}:{self.port}".encode()
        # As long as before: lengths that the server has announced hold.
        assert len(there) == len(here)
        return chunk.replace(there, here)

    def _pass(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(_CHUNK):
                chunk = self._renamed(chunk) if answers else chunk
                if answers and self._trouble == "slow":
                    time.sleep(self._delay)
                self._flowing.wait()
                target.sendall(chunk)
            self._flowing.wait()
            target.shutdown(socket.SHUT_WR)


def _end(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _run(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()
