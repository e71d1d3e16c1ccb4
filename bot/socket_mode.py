"""Slack's Socket Mode, kept alive.

slack_sdk's aiohttp client recovers fastest of the four, but its Bolt adapter runs listeners on the
event loop, where one slow listener delays every ack and ping; so each envelope is dispatched on a
thread. A client that has gone deaf is thrown away and built anew (python-slack-sdk #1922, #1379).
"""

import asyncio
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from slack_bolt import App
from slack_bolt.adapter.socket_mode.aiohttp import SocketModeHandler
from slack_bolt.adapter.socket_mode.async_internals import send_async_response
from slack_bolt.adapter.socket_mode.internals import run_bolt_app
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from deploy.deadline import Deadline

log = logging.getLogger(__name__)

_PING_SECONDS = 2
_DEAF_SECONDS = 4 * _PING_SECONDS + 2
_CONNECT_SECONDS = 15
_CHECK_SECONDS = 1
_FIRST_SECONDS = 30
_LONGEST_WAIT = 30


class _Handler(SocketModeHandler):
    """Bolt's adapter with the listeners on threads."""

    def __init__(self, app: App, token: str, client: AsyncWebClient, pool: ThreadPoolExecutor):
        super().__init__(app, token, web_client=client, ping_interval=_PING_SECONDS)
        self._pool = pool

    async def handle(self, client: SocketModeClient, req: SocketModeRequest) -> None:  # type: ignore[override]  # as in the class it extends
        started = time.time()
        loop = asyncio.get_running_loop()
        response = await loop.run_in_executor(self._pool, run_bolt_app, self.app, req)
        await send_async_response(client, req, response, started)


class SocketMode:
    """Several connections on one event loop, each watched.

    Slack sends an envelope to any one of an app's connections, so with two of them a refresh of
    one leaves no gap.
    """

    def __init__(
        self, app: App, app_token: str, api_url: str, *, connections: int, threads: int = 64
    ) -> None:
        self._app = app
        self._token = app_token
        self._api_url = api_url
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="slack-dispatch")
        self._handlers: list[_Handler | None] = [None] * connections
        self._connected = [False] * connections
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="socket-mode", daemon=True)
        self._first = threading.Event()
        self._watchers: tuple[asyncio.Task[None], ...] = ()

    def start(self) -> None:
        """Connect, waiting a while for the first connection to stand. It goes on trying."""
        self._thread.start()
        if not self._first.wait(_FIRST_SECONDS):
            log.warning("Slack cannot be reached yet; the bot goes on trying")

    def stop(self, deadline: Deadline) -> None:
        """Close every connection. Envelopes not acked yet are sent by Slack to another bot."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        deadline.join([self._thread])
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def live(self) -> bool:
        """Whether every connection is looked after, be Slack there or not."""
        watched = not any(watcher.done() for watcher in self._watchers)
        return self._thread.is_alive() and watched

    @property
    def connected(self) -> bool:
        """Whether a connection stands and answered a ping lately."""
        return any(self._connected)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._watch_all())
        finally:
            self._loop.close()

    async def _watch_all(self) -> None:
        self._watchers = tuple(
            asyncio.create_task(self._watch(n)) for n in range(len(self._handlers))
        )
        await self._stopping.wait()
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for handler in self._handlers:
            await _close(handler)

    async def _watch(self, number: int) -> None:
        wait = 1.0
        while True:
            handler = await self._connect(number)
            if handler is None:
                await asyncio.sleep(wait)
                wait = min(_LONGEST_WAIT, wait * 2)
                continue
            wait = 1.0
            deaf_since: float | None = None
            while deaf_since is None or time.monotonic() - deaf_since < _DEAF_SECONDS:
                await asyncio.sleep(_CHECK_SECONDS)
                alive = await handler.client.is_connected()
                self._connected[number] = alive
                deaf_since = None if alive else deaf_since or time.monotonic()
            log.warning("Socket Mode connection %d went deaf; building a new one", number)
            self._handlers[number] = None
            await _close(handler)

    async def _connect(self, number: int) -> _Handler | None:
        client = AsyncWebClient(token=self._token, base_url=self._api_url)
        handler = _Handler(self._app, self._token, client, self._pool)
        self._handlers[number] = handler
        try:
            await asyncio.wait_for(handler.client.connect(), _CONNECT_SECONDS)
        except TimeoutError:
            log.warning("Socket Mode connection %d did not stand in time", number)
            self._handlers[number] = None
            await _close(handler)
            return None
        self._connected[number] = True
        self._first.set()
        return handler


async def _close(handler: Any) -> None:
    if handler is None:
        return
    try:
        await asyncio.wait_for(handler.close_async(), 5)
    except (TimeoutError, OSError, RuntimeError) as error:
        log.info("a Socket Mode connection did not close cleanly: %s", type(error).__name__)
