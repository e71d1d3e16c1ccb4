"""An image registry, as far as its tags: the Docker Registry HTTP API V2, with sign-in where it has
accounts."""

import asyncio
import hashlib
import json
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from bot.sandbox.faults import FaultBoard, Switch
from bot.sandbox.registry_accounts import Accounts, Door

_PAGE = 1000
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_PLATFORMS = ("amd64", "arm64")


class Registry:
    """One repository and its tags, in no useful order, as in life. With `accounts` it asks who is there;
    `several` are tags that name an image for each of two platforms, `page` how many tags it gives at
    once."""

    def __init__(
        self,
        *,
        repository: str,
        tags: Sequence[str],
        port: int = 0,
        accounts: Accounts | None = None,
        several: Sequence[str] = (),
        page: int = _PAGE,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.faults = FaultBoard(
            "registry",
            (
                Switch("down", "The registry does not answer", "toggle", False),
                Switch("slow_ms", "The registry is slow (ms)", "number", 0.0),
            ),
        )
        self._repository = repository
        self._several = frozenset(several)
        self._tags = sorted(set(tags), key=self.digest)
        self._port = port
        self._page = page
        self._tls = tls
        self._door = Door(accounts) if accounts is not None else None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self._port}"

    @property
    def name(self) -> str:
        """The repository as a manifest names it."""
        return f"127.0.0.1:{self._port}/{self._repository}"

    def digest(self, tag: str) -> str:
        """That of a tag's manifest: of the very bytes that are served."""
        return _sum(self._body(tag))

    def platforms(self, tag: str) -> list[str]:
        """The digests of the images that a tag names, where it names several."""
        return (
            [_sum(_image(tag, platform)) for platform in _PLATFORMS] if tag in self._several else []
        )

    def end_tokens(self) -> None:
        """Every token that was made has ended."""
        if self._door is not None:
            self._door.made.clear()

    async def start(self) -> None:
        """Serve. With port 0 a free one is chosen and kept."""
        app = web.Application()
        if self._door is not None:
            app.add_routes(self._door.routes())
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
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls)
        await site.start()
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

    def _stopped(self, request: web.Request) -> web.Response | None:
        """What whoever may not come in is answered."""
        if self._door is None:
            return None
        challenge = self._door.challenge(self.url, request)
        if challenge is None:
            return None
        refusal = _error(401, "UNAUTHORIZED", "authentication required")
        refusal.headers["WWW-Authenticate"] = challenge
        return refusal

    async def _root(self, request: web.Request) -> web.Response:
        await self._disturb(request)
        return self._stopped(request) or _answer({})

    async def _list(self, request: web.Request) -> web.Response:
        await self._disturb(request)
        if (stopped := self._stopped(request)) is not None:
            return stopped
        if request.match_info["name"] != self._repository:
            return _error(404, "NAME_UNKNOWN", "repository name not known to registry")
        count, last = request.query.get("n", str(self._page)), request.query.get("last")
        if not (count.isascii() and count.isdigit() and int(count)):
            return _error(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
        size = min(int(count), self._page)
        start = self._tags.index(last) + 1 if last in self._tags else 0
        page = self._tags[start : start + size]
        headers = {}
        if start + size < len(self._tags):
            query = urlencode({"n": size, "last": page[-1]})
            headers["Link"] = f'<{request.path}?{query}>; rel="next"'
        return _answer({"name": self._repository, "tags": page}, headers=headers)

    async def _manifest(self, request: web.Request) -> web.Response:
        await self._disturb(request)
        if (stopped := self._stopped(request)) is not None:
            return stopped
        if request.match_info["name"] != self._repository:
            return _error(404, "NAME_UNKNOWN", "repository name not known to registry")
        reference = request.match_info["reference"]
        bodies = [self._body(t) for t in self._tags if reference in (t, self.digest(t))]
        bodies += [
            _image(tag, platform)
            for tag in self._several
            for platform in _PLATFORMS
            if _sum(_image(tag, platform)) == reference
        ]
        if not bodies:
            return _error(404, "MANIFEST_UNKNOWN", f"manifest tagged by '{reference}' is not found")
        headers = {"Docker-Content-Digest": _sum(bodies[0])}
        return _answer(bodies[0], content_type=bodies[0]["mediaType"], headers=headers)

    def _body(self, tag: str) -> dict[str, Any]:
        if tag not in self._several:
            return {"schemaVersion": 2, "mediaType": _MANIFEST, "annotations": {"tag": tag}}
        images = [(platform, _sum(_image(tag, platform))) for platform in _PLATFORMS]
        return {
            "schemaVersion": 2,
            "mediaType": _INDEX,
            "manifests": [
                {
                    "mediaType": _MANIFEST,
                    "digest": digest,
                    "platform": {"os": "linux", "architecture": platform},
                }
                for platform, digest in images
            ],
        }


def _image(tag: str, platform: str) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "annotations": {"tag": tag, "platform": platform},
    }


def _sum(body: dict[str, Any]) -> str:
    return f"sha256:{hashlib.sha256(json.dumps(body).encode()).hexdigest()}"


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
