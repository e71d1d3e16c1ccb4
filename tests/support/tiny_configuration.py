"""A configuration endpoint for gateways, as small as it can be."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

TOKEN = "GatewayKey edge-1&203001010000&c2lnbmF0dXJl"


class TinyConfiguration:
    """Answers polls with `status` and `body`; remembers who polled and which heartbeats came."""

    def __init__(self) -> None:
        self.status = 200
        self.body: dict[str, Any] = {"value": [], "apis": [{"name": "echo-api", "path": "echo"}]}
        self.polls: list[str] = []
        self.heartbeats: list[str] = []
        self.url = ""

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["TinyConfiguration"]:
        """Listen on a free port until the block ends."""
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_get("/gateways/{gateway}/events", self._events)
        app.router.add_post("/gateways/{gateway}/heartbeat", self._heartbeat)
        app.router.add_post("/{tenant}/oauth2/v2.0/token", self._token)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close."""
        await self._runner.cleanup()

    async def _events(self, request: web.Request) -> web.Response:
        self.polls.append(request.headers.get("Authorization", ""))
        if self.status != 200:
            return web.json_response({"error": {"code": "Denied"}}, status=self.status)
        return web.json_response(self.body)

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form["client_secret"] != "right":
            return web.json_response({"error": "invalid_client"}, status=401)
        return web.json_response({"access_token": "entra", "expires_in": 3600})

    async def _heartbeat(self, request: web.Request) -> web.Response:
        self.heartbeats.append((await request.json())["instanceId"])
        return web.Response(status=204)
