"""An image registry, as far as its tags: the Docker Registry HTTP API V2."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from bot.sandbox.faults import FaultBoard, Switch

_PAGE = 1000
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


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
        self._tags = sorted(set(tags), key=_digest)
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Serve. With port 0 a free one is chosen and kept."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/v2/", self._root),
                web.get("/v2/{name:.+}/tags/list", self._list),
                web.get("/v2/{name:.+}/manifests/{reference}", self._manifest),
            ]
        )
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def snapshot(self) -> dict[str, Any]:
        """Nothing changes here."""
        return {}

    def restore(self, data: dict[str, Any]) -> None:
        """Nothing to take over."""

    async def _disturb(self, request: web.Request) -> None:
        await asyncio.sleep(self.faults.get("slow_ms") / 1000)
        if self.faults.get("down") and request.transport is not None:
            # What a dead registry looks like from here: the connection ends without an answer.
            request.transport.close()
            await asyncio.Event().wait()

    async def _root(self, request: web.Request) -> web.Response:
        await self._disturb(request)
        return _answer({})

    async def _list(self, request: web.Request) -> web.Response:
        await self._disturb(request)
        if request.match_info["name"] != self._repository:
            return _error(404, "NAME_UNKNOWN", "repository name not known to registry")
        count, last = request.query.get("n", str(_PAGE)), request.query.get("last")
        if not (count.isascii() and count.isdigit() and int(count)):
            return _error(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
        size = min(int(count), _PAGE)
        start = self._tags.index(last) + 1 if last in self._tags else 0
        page = self._tags[start : start + size]
        headers = {}
        if start + size < len(self._tags):
            query = urlencode({"n": size, "last": page[-1]})
            headers["Link"] = f'<{request.path}?{query}>; rel="next"'
        return _answer({"name": self._repository, "tags": page}, headers=headers)

    async def _manifest(self, request: web.Request) -> web.Response:
        await self._disturb(request)
        if request.match_info["name"] != self._repository:
            return _error(404, "NAME_UNKNOWN", "repository name not known to registry")
        reference = request.match_info["reference"]
        tag = next((t for t in self._tags if reference in (t, _digest(t))), None)
        if tag is None:
            return _error(404, "MANIFEST_UNKNOWN", f"manifest tagged by '{reference}' is not found")
        headers = {"Docker-Content-Digest": _digest(tag)}
        return _answer(_body(tag), content_type=_MANIFEST, headers=headers)


def _digest(tag: str) -> str:
    """The digest of a tag's manifest: of the very bytes that are served."""
    return f"sha256:{hashlib.sha256(json.dumps(_body(tag)).encode()).hexdigest()}"


def _body(tag: str) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": _MANIFEST, "annotations": {"tag": tag}}


def _answer(
    body: dict[str, Any],
    *,
    status: int = 200,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> web.Response:
    headers = {"Docker-Distribution-Api-Version": "registry/2.0", **(headers or {})}
    return web.json_response(body, status=status, content_type=content_type, headers=headers)


def _error(status: int, code: str, message: str) -> web.Response:
    return _answer({"errors": [{"code": code, "message": message}]}, status=status)
