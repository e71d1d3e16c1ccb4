"""Real Bolt apps for tests, over real Socket Mode and real HTTP."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from types import SimpleNamespace
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from slack_bolt import App
from slack_bolt.adapter.socket_mode.aiohttp import SocketModeHandler
from slack_bolt.adapter.socket_mode.async_internals import send_async_response
from slack_bolt.adapter.socket_mode.internals import run_bolt_app
from slack_bolt.adapter.wsgi import SlackRequestHandler
from slack_sdk import WebClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from bot.dispatch import Dispatch
from bot.http_mode import HttpMode
from bot.sandbox.slack import SlackWorkspace
from bot.socket_mode import SocketMode
from deploy.deadline import Deadline
from handlers.slack.acks import Acks
from tests.support.slack_workspace import APP_TOKEN, BOT_TOKEN, SECRET
from tests.support.waiting import until


def web_client(slack: SlackWorkspace, token: str = BOT_TOKEN) -> WebClient:
    """slack_sdk's client, pointed at the workspace and without retries."""
    return WebClient(token=token, base_url=slack.api_url, retry_handlers=[])


def bolt_app(slack: SlackWorkspace) -> App:
    """A Bolt app without listeners yet."""
    return App(
        client=web_client(slack),
        signing_secret=SECRET,
        listener_executor=ThreadPoolExecutor(20),
    )


class _Handler(SocketModeHandler):
    """Runs listeners off the event loop, so that a slow one delays no other."""

    async def handle(self, client: AsyncBaseSocketModeClient, req: SocketModeRequest) -> None:
        loop = asyncio.get_running_loop()
        response = await loop.run_in_executor(None, run_bolt_app, self.app, req)
        await send_async_response(client, req, response, 0)


async def _never() -> bool:
    return False


@contextmanager
def over_sockets(app: App, slack: SlackWorkspace, connections: int = 1) -> Iterator[None]:
    """Connect the app by Socket Mode for the length of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def connect() -> list[Any]:
        handlers: list[Any] = [
            _Handler(
                app,
                APP_TOKEN,
                web_client=AsyncWebClient(token=APP_TOKEN, base_url=slack.api_url),
                ping_interval=1,
            )
            for _ in range(connections)
        ]
        for handler in handlers:
            # It looks each second whether its connection is closed; on a slow machine a pong takes longer.
            handler.client.is_ping_pong_failing = _never
            await handler.connect_async()
        return handlers

    handlers = asyncio.run_coroutine_threadsafe(connect(), loop).result(60)
    try:
        until(lambda: slack.connections == connections)
        yield
    finally:
        for handler in handlers:
            asyncio.run_coroutine_threadsafe(handler.close_async(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def over_http(app: App, slack: SlackWorkspace) -> Iterator[str]:
    """Serve the app with Bolt's WSGI adapter and tell the workspace where."""
    handler: Any = SlackRequestHandler(app, path="/slack/events")
    server = make_server("127.0.0.1", 0, handler, _Server, _Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    slack.request_url = slack.options_url = f"http://127.0.0.1:{server.server_port}/slack/events"
    try:
        yield slack.request_url
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)


@contextmanager
def reached(
    mode: str, listeners: Dispatch, slack: SlackWorkspace, acks: Acks | None = None
) -> Iterator[None]:
    """Slack reaches them over the bot's own transport for the length of the block."""
    uncounted: Any = SimpleNamespace(report=lambda own: None, hello=lambda own, at_slack: None)
    transport = (
        HttpMode(
            listeners, lambda: SECRET, host="127.0.0.1", port=0, path="/slack/events", acks=acks
        )
        if mode == "http"
        else SocketMode(
            listeners, lambda: APP_TOKEN, slack.api_url, uncounted, connections=1, acks=acks
        )
    )
    if isinstance(transport, HttpMode):
        slack.request_url = f"http://127.0.0.1:{transport.port}/slack/events"
    transport.start()
    try:
        until(lambda: transport.connected)
        yield
    finally:
        transport.stop(Deadline.after(30))
