"""A proxy before an API that can be told to answer with an error that repeats a secret.

Real servers do that: an admission webhook quotes the object it denies, a gateway its upstream's
answer. Everything else is passed on as it is, watches and all.
"""

import base64
import contextlib
import json
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web

Spoil = Callable[[str, str, bytes, bytes], tuple[int, Any] | None]
"""Given method, path, request body and the real answer's body: a status and a body instead."""
_HOP = ("host", "content-length", "transfer-encoding", "connection", "content-encoding")


class EchoingProxy:
    """One https server before another of the same authority. `heard` keeps what it passed on."""

    def __init__(self, upstream: str, tls: ssl.SSLContext) -> None:
        self._upstream = upstream.rstrip("/")
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self.spoil: Spoil | None = None
        self.spoiled = 0
        self.heard: list[bytes] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._runner is not None
        return f"https://127.0.0.1:{self._runner.addresses[0][1]}"

    async def start(self) -> None:
        """Serve."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=False), auto_decompress=False
        )
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._answer)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()

    async def stop(self) -> None:
        """Stop serving."""
        assert self._runner is not None
        assert self._session is not None
        await self._session.close()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        sent = await request.read()
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
        headers["Host"] = request.host
        url = self._upstream + request.raw_path
        forever = aiohttp.ClientTimeout(total=None)
        async with self._session.request(
            request.method, url, data=sent, headers=headers, timeout=forever
        ) as upstream:
            kept = {k: v for k, v in upstream.headers.items() if k.lower() not in _HOP}
            if "watch=" in request.query_string or "follow=" in request.query_string:
                stream = web.StreamResponse(status=upstream.status, headers=kept)
                await stream.prepare(request)
                # Whoever watches may go at any time, and so may the server.
                with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                    async for part in upstream.content.iter_any():
                        await stream.write(part)
                return stream
            told = await upstream.read()
            if request.method != "GET":
                self.heard += [sent, told]
            instead = self.spoil(request.method, request.path, sent, told) if self.spoil else None
            if instead is not None:
                self.spoiled += 1
                return web.json_response(instead[1], status=instead[0])
            return web.Response(status=upstream.status, headers=kept, body=told)


def arm_error(status: int) -> Spoil:
    """Resource Manager fails after it has minted, and quotes the token."""

    def spoil(method: str, path: str, sent: bytes, told: bytes) -> tuple[int, Any] | None:
        if not path.endswith("/generateToken"):
            return None
        token = json.loads(told)["value"]
        message = f"Upstream said: GatewayKey {token} (value={token})"
        return status, {"error": {"code": "InternalServerError", "message": message}}

    return spoil


def webhook_denial(method: str, path: str, sent: bytes, told: bytes) -> tuple[int, Any] | None:
    """An admission webhook denies a Secret and quotes it, as it is and decoded."""
    if method not in ("POST", "PATCH") or "/secrets" not in path:
        return None
    data = json.loads(sent)
    values = {**data.get("data", {}), **data.get("stringData", {})}
    plain = []
    for value in values.values():
        try:
            plain.append(base64.b64decode(value, validate=True).decode())
        except ValueError:
            plain.append(value)
    message = f'admission webhook "deny" denied the request: {json.dumps(data)} {plain}'
    return 403, {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": "Forbidden",
        "code": 403,
    }
