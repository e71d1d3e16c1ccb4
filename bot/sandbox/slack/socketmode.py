"""Socket Mode: tickets, connections, envelopes and their acknowledgements.

Protocol: docs.slack.dev/apis/events-api/using-socket-mode.
"""

import asyncio
import json
import secrets
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import WSMsgType, web

from bot.sandbox.faults import FaultBoard
from bot.sandbox.slack.delivery import DEADLINE_SECONDS, Answer, Delivery
from bot.sandbox.slack.model import JSON, AppConfig
from bot.sandbox.slack.traffic import TrafficLog

CONNECTION_LIMIT = 10
TICKET_SECONDS = 30.0
WARNING_SECONDS = 10.0
PING_SECONDS = 10.0
UNANSWERED_PINGS = 3
DEBUG_REFRESH_SECONDS = 360.0
GHOST_SECONDS = 18060.0
"""How long Slack counts a connection whose end it never heard of: "about five hours", says a
maintainer (python-slack-sdk #1940), which is the `approximate_connection_time` of a hello."""


class _Connection:
    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.transport = request.transport
        self.name = secrets.token_hex(4)
        self.leaving = False
        self.dead = False
        self.unheard = False
        self.unanswered = 0

    @property
    def open(self) -> bool:
        return not self.socket.closed

    async def send(self, message: JSON) -> None:
        if not self.dead and not self.socket.closed:
            await self.socket.send_str(json.dumps(message))

    def abort(self) -> None:
        self.dead = True
        if self.transport is not None:
            self.transport.abort()


class _Ghost:
    """A connection that ended without Slack's knowing: it counts and gets its share."""

    open = True
    leaving = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.expiry: asyncio.TimerHandle | None = None

    def forget(self) -> None:
        if self.expiry is not None:
            self.expiry.cancel()

    async def send(self, message: JSON) -> None:
        """Nobody hears it."""


class SocketMode:
    """The transport of apps without a public URL. `ghost_seconds` is how long a connection whose
    end was not heard of is taken for an open one."""

    def __init__(
        self,
        app: AppConfig,
        faults: FaultBoard,
        log: TrafficLog,
        base_url: Callable[[], str],
        ghost_seconds: float = GHOST_SECONDS,
    ) -> None:
        self._app, self._faults, self._log, self._base_url = app, faults, log, base_url
        self._tickets: dict[str, float] = {}
        self._ghost_seconds = ghost_seconds
        self._connections: list[_Connection] = []
        self._ghosts: list[_Ghost] = []
        self._waiting: dict[str, asyncio.Future[JSON]] = {}
        self._turn = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_connections: Callable[[], None] = lambda: None
        faults.on_change(self._strike)

    @property
    def connections(self) -> int:
        """How many connections Slack believes to be open."""
        return len(self._connections) + len(self._ghosts)

    def open_url(self) -> str:
        """A websocket URL, good for one connection."""
        ticket = str(uuid.uuid4())
        self._tickets[ticket] = time.monotonic()
        host = self._base_url().removeprefix("http://")
        return f"ws://{host}/link/?ticket={ticket}&app_id={self._app.app_id}"

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /link/`."""
        if self._faults.get("network_down") and request.transport is not None:
            request.transport.abort()
            return web.Response()
        born = self._tickets.pop(request.query.get("ticket", ""), None)
        if born is None or time.monotonic() - born > TICKET_SECONDS:
            return web.Response(status=401, text="invalid ticket")
        socket = web.WebSocketResponse(autoping=False, autoclose=False)
        await socket.prepare(request)
        connection = _Connection(request, socket)
        refusal = self._refusal()
        if refusal:
            await connection.send(self._disconnect(refusal))
            await socket.close()
            return socket
        self._connections.append(connection)
        if self._faults.get("drop_sockets") == "black_hole":
            connection.dead = connection.unheard = True
        self._log.add("connection", event="opened", name=connection.name, open=self.connections)
        self.on_connections()
        pings = self._spawn(self._ping(connection))
        if request.query.get("debug_reconnects") == "true":
            self._spawn(self._leave(connection, "refresh_requested", DEBUG_REFRESH_SECONDS))
        try:
            await connection.send(self._hello())
            await self._listen(connection)
        except ConnectionResetError:
            pass
        finally:
            pings.cancel()
            self._connections.remove(connection)
            if connection.unheard:
                self._haunt(connection.name)
                self._show_ghosts()
            else:
                self._log.add(
                    "connection", event="closed", name=connection.name, open=self.connections
                )
                self.on_connections()
        return socket

    async def send(self, delivery: Delivery) -> Answer:
        """Put an envelope on the next connection and wait for an acknowledgement on any."""
        connection = self._next()
        if connection is None:
            self._log.add("delivery", transport="socket", type=delivery.kind, error="no connection")
            return Answer(error="dispatch_failed", reason="connection_failed")
        envelope: JSON = {
            "envelope_id": str(uuid.uuid4()),
            "type": delivery.kind,
            "payload": delivery.payload,
            "accepts_response_payload": delivery.accepts_response,
        }
        if delivery.kind == "events_api" or delivery.retry_attempt:
            envelope["retry_attempt"] = delivery.retry_attempt
            envelope["retry_reason"] = delivery.retry_reason
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[envelope["envelope_id"]] = waiting
        self._log.add("delivery", transport="socket", connection=connection.name, **envelope)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                # A write may block or fail on a dying connection; the deadline covers that too.
                try:
                    await connection.send(envelope)
                except ConnectionResetError:
                    self._log.add("delivery", error="connection reset", name=connection.name)
                ack = await waiting
        except TimeoutError:
            self._log.add("ack", envelope_id=envelope["envelope_id"], error="timeout")
            return Answer(error="operation_timeout", reason="timeout")
        finally:
            del self._waiting[envelope["envelope_id"]]
        payload = ack.get("payload")
        if not delivery.accepts_response or not isinstance(payload, dict):
            payload = None
        return Answer(payload=payload or None)

    async def close(self) -> None:
        """Close every connection."""
        for ghost in tuple(self._ghosts):
            ghost.forget()
        for connection in tuple(self._connections):
            connection.unheard = False
            connection.abort()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self, connection: _Connection) -> None:
        loop = asyncio.get_running_loop()
        async for message in connection.socket:
            if connection.dead:
                continue
            if message.type is WSMsgType.PING:
                await connection.socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                connection.unanswered = 0
            elif message.type is WSMsgType.TEXT:
                if latency := self._latency:
                    loop.call_later(latency, self._acknowledge, connection, message.data)
                else:
                    self._acknowledge(connection, message.data)
        # Until the app's Close is here, it gets its share.
        await asyncio.sleep(self._latency)
        await connection.socket.close()

    @property
    def _latency(self) -> float:
        return float(self._faults.get("socket_latency_ms")) / 1000

    def _acknowledge(self, connection: _Connection, text: str) -> None:
        try:
            ack = json.loads(text)
        except ValueError:
            ack = None
        if not isinstance(ack, dict):
            self._log.add("ack", connection=connection.name, error="not a JSON object")
            return
        lost = self._faults.get("lose_acks")
        self._log.add("ack", connection=connection.name, **ack, **({"lost": True} if lost else {}))
        waiting = self._waiting.get(str(ack.get("envelope_id")))
        if waiting is not None and not waiting.done() and not lost:
            waiting.set_result(ack)

    def _next(self) -> _Connection | _Ghost | None:
        """Round robin; a connection about to be closed gets work only when it is the last."""
        everyone: list[_Connection | _Ghost] = [*self._connections, *self._ghosts]
        open_ones = [c for c in everyone if c.open]
        staying = [c for c in open_ones if not c.leaving] or open_ones
        if not staying:
            return None
        self._turn += 1
        return staying[self._turn % len(staying)]

    async def _ping(self, connection: _Connection) -> None:
        while connection.unanswered < UNANSWERED_PINGS:
            await asyncio.sleep(PING_SECONDS)
            connection.unanswered += 1
            if not connection.dead:
                try:
                    await connection.socket.ping(f"Ping from {self._app.app_id}".encode())
                except ConnectionResetError:
                    return
        connection.unheard = True
        connection.abort()

    async def _leave(self, connection: _Connection, reason: str, after: float = 0) -> None:
        if after:
            await asyncio.sleep(after)
        connection.leaving = True
        try:
            await connection.send(self._disconnect(reason))
            if reason == "warning":
                await asyncio.sleep(WARNING_SECONDS)
            await connection.socket.close()
        except ConnectionResetError:
            return

    def _refusal(self) -> str:
        """Why there is no further connection; empty where there may be one."""
        if self._faults.get("socket_mode_off"):
            return "link_disabled"
        crowded = self.connections >= CONNECTION_LIMIT
        return "too_many_websockets" if crowded or self._faults.get("too_many_websockets") else ""

    def _haunt(self, name: str) -> None:
        """A connection of that name is gone, and goes on counting."""
        ghost = _Ghost(name)
        loop = asyncio.get_running_loop()
        ghost.expiry = loop.call_later(self._ghost_seconds, self._expire, ghost)
        self._ghosts.append(ghost)
        self._log.add("connection", event="ghost", name=name, open=self.connections)
        self.on_connections()

    def _lay(self, ghost: _Ghost) -> None:
        """Slack forgets a ghost."""
        ghost.forget()
        self._ghosts.remove(ghost)
        self._log.add("connection", event="closed", name=ghost.name, open=self.connections)
        self.on_connections()

    def _expire(self, ghost: _Ghost) -> None:
        self._lay(ghost)
        self._show_ghosts()

    def _show_ghosts(self) -> None:
        """Have the switch say how many there are."""
        if self._faults.get("ghost_connections") != len(self._ghosts):
            self._faults.set("ghost_connections", len(self._ghosts))

    def _strike(self) -> None:
        wanted = int(self._faults.get("ghost_connections"))
        off = self._faults.get("socket_mode_off")
        while len(self._ghosts) > (0 if off else wanted):
            self._lay(self._ghosts[0])
        while not off and len(self._ghosts) < wanted and self.connections < CONNECTION_LIMIT:
            self._haunt(secrets.token_hex(4))
        self._show_ghosts()
        for connection in tuple(self._connections) if off else ():
            if not connection.leaving:
                connection.leaving = True
                self._spawn(self._leave(connection, "link_disabled"))
        if self._faults.get("network_down"):
            for connection in self._connections:
                connection.dead = connection.unheard = True
        fault = self._faults.get("drop_sockets")
        if fault == "none":
            return
        for connection in tuple(self._connections):
            if fault == "black_hole":
                connection.dead = connection.unheard = True
            elif fault == "tcp_abort":
                connection.abort()
            else:
                reason = "warning" if fault == "disconnect_warning" else "refresh_requested"
                self._spawn(self._leave(connection, reason))
        if fault != "black_hole":
            self._faults.set("drop_sockets", "none")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _hello(self) -> JSON:
        return {
            "type": "hello",
            "num_connections": self.connections,
            "connection_info": {"app_id": self._app.app_id},
            "debug_info": {
                "host": "applink-local",
                "build_number": 1,
                "approximate_connection_time": 18060,
            },
        }

    def _disconnect(self, reason: str) -> JSON:
        message: JSON = {
            "type": "disconnect",
            "reason": reason,
            "debug_info": {"host": "applink-local"},
        }
        if reason == "too_many_websockets":
            message["num_connections"] = self.connections
            message["connection_info"] = {"app_id": self._app.app_id}
        return message
