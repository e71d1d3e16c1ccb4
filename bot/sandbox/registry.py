"""An image registry, as far as its tags: the Docker Registry HTTP API V2."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from bot.sandbox.faults import FaultBoard, Switch

_PAGE = 1000


class Registry:
    """One repository and its tags, in no useful order, as in life."""

    def __init__(self, *, repository: str, tags: Sequence[str], port: int = 0) -> None:
        self.faults = FaultBoard(
            "registry",
            (
                Switch("down", "The registry does not answer", "toggle", False),
                Switch("slow_ms", "The registry is slow (ms)", "number", 0.0),
            ),
        )
        self._repository = repository
        self._tags = sorted(tags, key=lambda tag: hashlib.sha256(tag.encode()).digest())
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Serve."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/v2/", self._root),
                web.get("/v2/{name:.+}/tags/list", self._list),
                web.get("/v2/{name:.+}/manifests/{tag}", self._manifest),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    def snapshot(self) -> dict[str, Any]:
        """Nothing changes here."""
        return {}

    def restore(self, data: dict[str, Any]) -> None:
        """Nothing to take over."""

    async def _disturbed(self, request: web.Request) -> None:
        await asyncio.sleep(self.faults.get("slow_ms") / 1000)
        if self.faults.get("down") and request.transport is not None:
            request.transport.close()

    async def _root(self, request: web.Request) -> web.Response:
        await self._disturbed(request)
        return web.json_response({})

    async def _list(self, request: web.Request) -> web.Response:
        await self._disturbed(request)
        if request.match_info["name"] != self._repository:
            return _error("NAME_UNKNOWN", "repository name not known to registry")
        count = request.query.get("n", "")
        size = int(count) if count.isascii() and count.isdigit() and int(count) else _PAGE
        last = request.query.get("last", "")
        start = self._tags.index(last) + 1 if last in self._tags else 0
        page = self._tags[start : start + size]
        headers = {}
        if start + size < len(self._tags):
            headers["Link"] = f'<{request.path}?n={size}&last={page[-1]}>; rel="next"'
        return web.json_response({"name": self._repository, "tags": page}, headers=headers)

    async def _manifest(self, request: web.Request) -> web.Response:
        await self._disturbed(request)
        tag = request.match_info["tag"]
        if request.match_info["name"] != self._repository or tag not in self._tags:
            return _error("MANIFEST_UNKNOWN", "manifest unknown")
        digest = f"sha256:{hashlib.sha256(tag.encode()).hexdigest()}"
        return web.json_response(
            {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"},
            headers={"Docker-Content-Digest": digest},
        )


def _error(code: str, message: str) -> web.Response:
    return web.json_response({"errors": [{"code": code, "message": message}]}, status=404)
