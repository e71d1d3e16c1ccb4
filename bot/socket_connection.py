"""One websocket of Slack's Socket Mode, from its opening to its end.

slack_sdk's client holds several websockets one after another and reconnects automatically, at once and
for ever, also where Slack says `too_many_websockets`; what it is told by a hello or a disconnect it
keeps to itself (python-slack-sdk #1940, #1922). Here whoever opens a connection decides what follows
its end. Protocol: docs.slack.dev, Using Socket Mode.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import aiohttp
from slack_sdk.proxy_env_variable_loader import load_http_proxy_from_env
from slack_sdk.web.async_client import AsyncWebClient

from handlers.slack.connections import LIMIT

log = logging.getLogger(__name__)

TOO_MANY = "too_many_websockets"
LINK_DISABLED = "link_disabled"
DEAF = "no answer to pings"

_PING_SECONDS = 2.0
_UNANSWERED = 4
_SEND_SECONDS = 5.0
_CONFLICT = 409
"""Reported at the handshake of one connection too many: bolt-js #2318."""
_WEBSOCKET_TIMEOUT = aiohttp.ClientWSTimeout(ws_close=1.0)

Envelope = dict[str, Any]
Take = Callable[["SocketConnection", Envelope], None]
"""What is done with an envelope; called on the event loop."""


class Refused(Exception):
    """Slack does not let the app have this connection. `at_slack` is how many it counts."""

    def __init__(self, reason: str, at_slack: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at_slack = at_slack


class SocketConnection:
    """A connection that stands; `at_slack` is how many of the app Slack counts with it, where it says.

    `over` is set once it can no longer be relied on, and `reason` says why: Slack's own word for a
    disconnect, or what happened. Envelopes may arrive until it is closed.
    """

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse, at_slack: int | None, take: Take
    ) -> None:
        self.at_slack = at_slack
        self.over = asyncio.Event()
        self.reason = ""
        self.since = time.monotonic()
        self._socket = socket
        self._take = take
        self._unanswered = 0
        self._closing = False
        self._reading = asyncio.create_task(self._read())
        self._pinging = asyncio.create_task(self._ping())

    @property
    def held(self) -> bool:
        """Whether Slack should count it: it has not ended, and answers pings."""
        return not self._reading.done() and self.reason != DEAF

    @property
    def writable(self) -> bool:
        """Whether an ack can be sent over it."""
        return not self._closing and self.held

    @property
    def age(self) -> float:
        """For how many seconds it has stood."""
        return time.monotonic() - self.since

    async def send(self, message: Envelope) -> bool:
        """Whether it could be sent. It may get lost all the same."""
        if not self.writable:
            return False
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self._socket.send_str(json.dumps(message))
        except (TimeoutError, ConnectionError, aiohttp.ClientError):
            return False
        return True

    async def close(self, patience: float) -> None:
        """Tell Slack, take what was on its way, and wait for so many seconds until Slack knows.

        Where the network is away, the system sends it again and again meanwhile: a connection of
        which Slack hears that it ended is not a ghost.
        """
        self._closing = True
        self._end("closed by the bot")
        self._pinging.cancel()
        with contextlib.suppress(TimeoutError, ConnectionError, aiohttp.ClientError):
            async with asyncio.timeout(patience):
                code = aiohttp.WSCloseCode.OK.to_bytes(2, "big")
                await self._socket.send_frame(code, aiohttp.WSMsgType.CLOSE)
                await asyncio.wait([self._reading])
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        await self._socket.close()

    async def ended(self, patience: float) -> None:
        """Wait until Slack closes it, for so many seconds at most."""
        await asyncio.wait([self._reading], timeout=patience)

    def _end(self, reason: str) -> None:
        if not self.over.is_set():
            self.reason = reason
            self.over.set()

    async def _read(self) -> None:
        try:
            while True:
                frame = await self._socket.receive()
                self._unanswered = 0
                if frame.type is aiohttp.WSMsgType.TEXT:
                    self._text(frame.data)
                elif frame.type is aiohttp.WSMsgType.PING:
                    if not self._closing:
                        await self._socket.pong(frame.data)
                elif frame.type is not aiohttp.WSMsgType.PONG:
                    return
        except (ConnectionError, aiohttp.ClientError):
            return
        finally:
            self._end("the connection was lost")

    def _text(self, text: str) -> None:
        message = _json(text)
        if message.get("type") == "disconnect":
            self._end(str(message.get("reason") or "disconnect"))
        elif message.get("envelope_id") and self.reason != DEAF:
            # What arrives over a connection that was deaf is late: Slack has shown an error for it.
            self._take(self, message)

    async def _ping(self) -> None:
        while self._unanswered < _UNANSWERED:
            await asyncio.sleep(_PING_SECONDS)
            self._unanswered += 1
            try:
                async with asyncio.timeout(_SEND_SECONDS):
                    await self._socket.ping()
            except TimeoutError:
                continue
            except (ConnectionError, aiohttp.ClientError):
                return
        self._end(DEAF)


async def connect(
    session: aiohttp.ClientSession, client: AsyncWebClient, app_token: str, take: Take
) -> SocketConnection:
    """Ask Slack for a place, and go there. Refused where Slack says so; else what aiohttp and
    slack_sdk raise. Whoever calls sets a time limit."""
    url = str((await client.apps_connections_open(app_token=app_token))["url"])
    try:
        socket = await session.ws_connect(
            url,
            autoping=False,
            autoclose=False,
            timeout=_WEBSOCKET_TIMEOUT,
            proxy=load_http_proxy_from_env(log),
        )
    except aiohttp.WSServerHandshakeError as error:
        if error.status == _CONFLICT:
            raise Refused(TOO_MANY, LIMIT) from error
        raise
    try:
        hello = await _first(socket)
    except BaseException:
        await socket.close()
        raise
    counted = hello.get("num_connections")
    return SocketConnection(socket, int(counted) if counted else None, take)


async def _first(socket: aiohttp.ClientWebSocketResponse) -> Envelope:
    while True:
        frame = await socket.receive()
        if frame.type is aiohttp.WSMsgType.TEXT:
            message = _json(frame.data)
            if message.get("type") == "hello":
                return message
            if message.get("type") == "disconnect":
                reason = str(message.get("reason") or "disconnect")
                counted = message.get("num_connections") or LIMIT
                raise Refused(reason, int(counted) if reason == TOO_MANY else None)
        elif frame.type is aiohttp.WSMsgType.PING:
            await socket.pong(frame.data)
        elif frame.type is not aiohttp.WSMsgType.PONG:
            raise ConnectionResetError("Slack closed the connection before its hello")


def _json(text: str) -> Envelope:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
