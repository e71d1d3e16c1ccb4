"""A Service in front of several bots: connections go in turn to those that are ready."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp

PROBE_SECONDS = 0.25
LAG_SECONDS = 2.0
"""Between a change of readiness and its effect: the kubelet or the API server has to notice it, and
every node's kube-proxy to hear of it."""


@dataclass(eq=False)
class Backend:
    """A bot behind the balancer: where it serves and where it says whether it is ready."""

    port: int
    health_port: int
    ready: bool = False


class Balancer:
    """Passes connections on as kube-proxy does: it knows nothing of HTTP, and a connection stays
    where it is until one side ends it. What a backend refuses is refused."""

    def __init__(self) -> None:
        self.port = 0
        self.refused = 0
        self._backends: list[Backend] = []
        self._turn = itertools.count()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="balancer")

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        assert self._listening.wait(20)

    def stop(self) -> None:
        """Cut everything off."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(20)

    def add(self, port: int, health_port: int) -> Backend:
        """One more bot, which gets connections once it is ready."""
        backend = Backend(port, health_port)
        self._backends.append(backend)
        asyncio.run_coroutine_threadsafe(self._probe(backend), self._loop)
        return backend

    def remove(self, backend: Backend) -> None:
        """That one is gone."""
        self._backends.remove(backend)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._stopped.wait()

    async def _probe(self, backend: Backend) -> None:
        seen = False
        timeout = aiohttp.ClientTimeout(total=20)
        url = f"http://127.0.0.1:{backend.health_port}/readyz"
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while backend in self._backends:
                now = False
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(url) as answer:
                        now = answer.status == HTTPStatus.OK
                if now != seen:
                    seen = now
                    self._loop.call_later(LAG_SECONDS, setattr, backend, "ready", now)
                await asyncio.sleep(PROBE_SECONDS)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ready = [backend for backend in self._backends if backend.ready]
        try:
            if not ready:
                raise ConnectionRefusedError
            chosen = ready[next(self._turn) % len(ready)]
            inner, outer = await asyncio.open_connection("127.0.0.1", chosen.port)
        except OSError:
            self.refused += 1
            writer.transport.abort()
            return
        await asyncio.gather(_copy(reader, outer), _copy(inner, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.close()


@contextlib.contextmanager
def balancing() -> Iterator[Balancer]:
    """A balancer for as long as the block runs."""
    made = Balancer()
    made.start()
    try:
        yield made
    finally:
        made.stop()
