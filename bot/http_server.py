"""An HTTP server for requests from outside, with one set of bounds whoever it serves.

A connection costs a few kilobytes on one event loop, and no thread until its request is complete. Time,
number and memory are bounded, and where one runs out, the connection that has waited longest without
ever having been let in is closed: a sender that completes its request at once is never that one.
aiohttp's server parses; it pauses a sender whose body nobody reads, so a refused body is not held.
Told to stop, it answers what it has taken before it ends.
"""

import asyncio
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from aiohttp import web

from deploy.deadline import Deadline

log = logging.getLogger(__name__)

_LOG_SECONDS = 60.0
_LINGER_SECONDS = 1.0
"""For so long the rest of a refused request is discarded, so that its sender can read the answer."""
_SILENT_SECONDS = 1.0
"""So long a connection may be silent before it is closed at the end: what is newly made has its request
still on the way."""
_LOOK_SECONDS, _CUT_SECONDS = 0.02, 1.0
_BACKLOG = 512
_READ_BYTES = 16 * 1024
_FIELDS, _FIELD_BYTES = 64, 8190
"""Header fields of a request, and bytes of each and of the request line."""


@dataclass(frozen=True)
class Bounds:
    """What senders may use up: connections, bytes of a body, and bytes of all requests that are not
    answered yet; seconds until the headers of a connection's first request are complete, seconds for
    a body, and seconds until the next request of a connection whose sender was let in. The last is
    longer than what reverse proxies keep an idle connection for, so that they close it, not we."""

    connections: int = 256
    body: int = 1024 * 1024
    held: int = 4 * 1024 * 1024
    head_seconds: float = 10.0
    body_seconds: float = 10.0
    idle_seconds: float = 620.0


@dataclass(frozen=True)
class Head:
    """A request but for its body. Names in `headers` have no letter case; `path` is decoded."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """The answer to a request; `refused` says why it was not let in, for the log."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""


Admit = Callable[[Head], Answer | None]
Prove = Callable[[Head, bytearray], Answer | None]
Respond = Callable[[Head, bytes], Answer]


class HttpServer:
    """A part of the bot that listens on one port, bound at once.

    `admit` is asked about a request's head before anything of its body is read, `prove` about the
    complete request; both answer what they refuse, on the event loop. What is left is given to
    `respond` on one of `threads` threads, which so have nothing to do with strangers, within
    `answering`.
    """

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        admit: Admit,
        respond: Respond,
        *,
        prove: Prove = lambda head, body: None,
        answering: Callable[[], AbstractContextManager[None]] = nullcontext,
        threads: int,
        bounds: Bounds | None = None,
    ) -> None:
        self._name = name
        self._admit = admit
        self._respond = respond
        self._prove = prove
        self._answering = answering
        self._bounds = bounds or Bounds()
        self._socket = _bound(host, port)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._refusals = _Refusals(name)
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._until = Deadline.after(0)
        self._leaving = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._port = int(self._socket.getsockname()[1])

    @property
    def port(self) -> int:
        """The port listened on, also where any free one was asked for."""
        return self._port

    @property
    def live(self) -> bool:
        """Whether it serves."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Serve on a thread of its own."""
        self._thread.start()

    def leave(self) -> None:
        """Serve on, but close each connection with its next answer: a client that keeps
        connections takes another server for the request after it."""
        self._leaving = True

    def stop(self, deadline: Deadline) -> None:
        """Take no new connection and answer what was asked. What has no answer at `deadline` is
        cut off."""
        self.leave()
        if self._thread.is_alive():
            self._until = deadline
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(deadline.left + _CUT_SECONDS)
        self._socket.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        connections = _Connections(self._handle, self._refusals, self._bounds)
        server = await self._loop.create_server(connections, sock=self._socket, backlog=_BACKLOG)
        await self._stopping.wait()
        for _ in range(3):  # connections that were made already would be reset
            await asyncio.sleep(0)
        server.close()
        while self._until.left and connections.close_silent(_SILENT_SECONDS):
            await asyncio.sleep(_LOOK_SECONDS)
        await connections.shutdown(_CUT_SECONDS / 4)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, _Connection)
        connection.begun = True
        answer = await self._answer(request, connection)
        response = web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        response.headers["Server"] = "gateway-bot"
        if answer.refused:
            self._refusals.note(answer.refused)
            response.force_close()
        if self._leaving:
            response.force_close()
        connection.answered(let_in=not answer.refused)
        return response

    async def _answer(self, request: web.BaseRequest, connection: "_Connection") -> Answer:
        head = Head(request.method, request.path, request.query_string, request.headers)
        refused = self._admit(head)
        if refused is not None:
            return refused
        body = bytearray()
        refused = await self._read(request, body) or self._prove(head, body)
        if refused is not None:
            return refused
        connection.answering = True
        with self._answering():
            return await self._loop.run_in_executor(self._pool, self._respond, head, bytes(body))

    async def _read(self, request: web.BaseRequest, body: bytearray) -> Answer | None:
        """Read it into `body`; the refusal where it is too large or does not come whole."""
        try:
            async with asyncio.timeout(self._bounds.body_seconds):
                if await self._whole(request, body):
                    return None
        except TimeoutError:
            refused = refusal(HTTPStatus.REQUEST_TIMEOUT, "too slow")
        except (web.RequestPayloadError, ValueError):
            refused = refusal(HTTPStatus.BAD_REQUEST, "malformed")
        except (ConnectionError, RuntimeError):  # aiohttp's RuntimeError: “Connection closed.”
            refused = refusal(HTTPStatus.BAD_REQUEST, "cut off")
        else:
            refused = refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too large")
        # aiohttp keeps the error, whose traceback would keep what was sent.
        body.clear()
        return refused

    async def _whole(self, request: web.BaseRequest, body: bytearray) -> bool:
        """Whether all of it was read; of one that is too large the rest is left unread."""
        if (request.content_length or 0) > self._bounds.body:
            return False
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        async for piece in request.content.iter_any():
            body += piece
            if len(body) > self._bounds.body:
                return False
        return True


def refusal(status: HTTPStatus, why: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer without a body, counted in the log under `why`."""
    return Answer(status, headers=headers or {}, refused=why)


def _bound(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(address[:2], family=family, backlog=_BACKLOG)


class _Connection(web.RequestHandler):
    """One connection: since when it waits, and how many bytes of it are not answered yet."""

    __slots__ = ("_all", "answering", "begun", "held", "known", "lingering", "since")

    def __init__(self, connections: "_Connections", **options: Any) -> None:
        super().__init__(connections, **options)
        self._all = connections
        self.since = time.monotonic()
        self.held = 0
        self.begun = self.known = self.answering = self.lingering = False

    def data_received(self, data: bytes) -> None:
        """Count, then parse; a connection over the bounds is closed in between."""
        if data and not self.lingering:
            self.held += len(data)
            self._all.taken(len(data))
        super().data_received(data)

    def answered(self, *, let_in: bool) -> None:
        """Its request is answered. One that was not let in is closed, and what it still sends is
        discarded."""
        self.known = self.known or let_in
        self.lingering = not let_in
        self.answering = False
        self.since = time.monotonic()
        self._all.give_back(self)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Say what failed, unless that is the sender, who ended while its body was discarded."""
        if self.connected:
            super().log_exception(*args, **kw)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Count what is not HTTP; a fault of ours goes into the log whole."""
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            self._all.refusals.note("malformed")
        else:
            log.error("a request could not be answered", exc_info=exc)
        response = web.Response(status=status)
        response.force_close()
        self.answered(let_in=False)
        return response


class _Connections(web.Server):
    """All connections of a listener."""

    def __init__(
        self,
        handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        refusals: "_Refusals",
        bounds: Bounds,
    ) -> None:
        super().__init__(handle)
        self.refusals = refusals
        self._bounds = bounds
        self._held = 0
        self._open: set[_Connection] = set()

    def __call__(self) -> web.RequestHandler:
        """A connection for one that was accepted."""
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=self._bounds.idle_seconds,
            lingering_time=_LINGER_SECONDS,
            max_headers=_FIELDS,
            max_field_size=_FIELD_BYTES,
            max_line_size=_FIELD_BYTES,
            auto_decompress=False,
            access_log=None,
            logger=log,
        )

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Note it, and close another where there are too many."""
        super().connection_made(handler, transport)
        assert isinstance(handler, _Connection)
        self._open.add(handler)
        # asyncio makes room for 256 KB before each read; freed again and again, that leaves holes.
        setattr(transport, "max_size", _READ_BYTES)  # noqa: B010  # a transport without it is fine
        asyncio.get_running_loop().call_later(self._bounds.head_seconds, self._hurry, handler)
        if len(self._open) > self._bounds.connections:
            self._close_one(self._open)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Forget it."""
        super().connection_lost(handler, exc)
        assert isinstance(handler, _Connection)
        self._open.discard(handler)
        self.give_back(handler)

    def close_silent(self, seconds: float) -> int:
        """Close those on which nothing was asked for so long; how many are left."""
        before = time.monotonic() - seconds
        for each in list(self._open):
            if not (each.answering or each.held) and each.since < before:
                self._open.discard(each)
                each.force_close()
        return len(self._open)

    def taken(self, count: int) -> None:
        """So many bytes more are held."""
        self._held += count
        while self._held > self._bounds.held:
            if not self._close_one(each for each in self._open if each.held):
                return

    def give_back(self, connection: _Connection) -> None:
        """What it sent is held no longer."""
        self._held -= connection.held
        connection.held = 0

    def _hurry(self, connection: _Connection) -> None:
        if not connection.begun and connection in self._open:
            self._close(connection)

    def _close_one(self, some: Iterable[_Connection]) -> bool:
        """Close the one that can best be spared; False where none can."""
        spared = [each for each in some if not each.answering]
        if spared:
            self._close(min(spared, key=lambda each: (each.known, each.since)))
        return bool(spared)

    def _close(self, connection: _Connection) -> None:
        self.refusals.note("too slow")
        self._open.discard(connection)
        self.give_back(connection)
        connection.force_close()


class _Refusals:
    """Says at most once a minute how many requests were refused, and nothing of what is in them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: Counter[str] = Counter()
        self._quiet = False

    def note(self, cause: str) -> None:
        """Count one; called on the event loop."""
        self._counts[cause] += 1
        if not self._quiet:
            self._say()

    def _say(self) -> None:
        self._quiet = bool(self._counts)
        if not self._counts:
            return
        told = ", ".join(f"{cause}: {count}" for cause, count in sorted(self._counts.items()))
        log.warning("%s refused requests (%s)", self._name, told)
        self._counts.clear()
        asyncio.get_running_loop().call_later(_LOG_SECONDS, self._say)
