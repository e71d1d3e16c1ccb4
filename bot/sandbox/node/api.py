"""A thin asynchronous client for the public Kubernetes API, as much of it as a kubelet needs."""

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml

Json = dict[str, Any]

FIELD_MANAGER = "kubelet"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
_REQUEST_SECONDS = 15.0
_MAX_WATCH_LINE = 16 * 1024 * 1024


class ApiError(Exception):
    """The API server answered with an error; `reason` is the Status object's, as NotFound."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class ApiUnreachableError(Exception):
    """No usable answer came: refused, cut, timed out or not JSON."""


@dataclass(frozen=True)
class Access:
    """How to reach one API server and who to be there."""

    server: str
    tls: ssl.SSLContext | None
    headers: Mapping[str, str] = field(repr=False)

    @classmethod
    def from_kubeconfig(cls, path: Path, context: str) -> Self:
        """Read `context` of a kubeconfig. ValueError names what is absent or not supported."""
        config = yaml.safe_load(path.read_text())
        chosen = _named(config, "contexts", context)["context"]
        cluster = _named(config, "clusters", chosen["cluster"])["cluster"]
        user = _named(config, "users", chosen["user"]).get("user") or {}
        if "exec" in user or "auth-provider" in user:
            raise ValueError(f"user {chosen['user']!r} needs a credential plugin; give it a token")
        server = str(cluster["server"]).rstrip("/")
        headers = {"User-Agent": "kubelet/v1.36.0 (linux/amd64)"}
        token = user.get("token")
        if token is None and "tokenFile" in user:
            token = (path.parent / user["tokenFile"]).read_text().strip()
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        tls = _tls(path.parent, cluster, user) if server.startswith("https:") else None
        return cls(server, tls, headers)


class Api:
    """One HTTP session with one API server. Every call raises ApiError or ApiUnreachableError."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Open the session; needs a running event loop."""
        tls = self._access.tls if self._access.tls is not None else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=64),
            headers=dict(self._access.headers),
            read_bufsize=_MAX_WATCH_LINE,
            trust_env=False,
        )

    async def close(self) -> None:
        """End every call under way."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Json:
        """GET one object or a list."""
        return await self._call("GET", path, params=params)

    async def post(self, path: str, body: Json) -> Json:
        """POST, as create or bind."""
        return await self._call("POST", path, body=body)

    async def patch(self, path: str, body: Json, kind: str = STRATEGIC_MERGE) -> Json:
        """PATCH with one of this module's content types."""
        params = {"fieldManager": FIELD_MANAGER}
        return await self._call("PATCH", path, params=params, body=body, content_type=kind)

    async def delete(self, path: str, body: Json) -> Json:
        """DELETE with DeleteOptions."""
        return await self._call("DELETE", path, body=body)

    async def watch(
        self, path: str, resource_version: str, seconds: int
    ) -> AsyncGenerator[Json, None]:
        """Watch events from `resource_version` until the server ends the stream.

        ApiError(410) also when the server says so inside the stream.
        """
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(seconds),
        }
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=_REQUEST_SECONDS, sock_read=seconds + _REQUEST_SECONDS
        )
        try:
            async with self._open_session().get(
                self._access.server + path, params=params, timeout=timeout
            ) as response:
                if response.status >= 400:
                    raise _error(response.status, await response.text())
                async for line in response.content:
                    if line.strip():
                        event: Json = json.loads(line)
                        if event.get("type") == "ERROR":
                            raise _status_error(event.get("object") or {})
                        yield event
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as problem:
            raise ApiUnreachableError(_describe(problem)) from problem

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        try:
            async with self._open_session().request(
                method,
                self._access.server + path,
                params=params,
                data=None if body is None else json.dumps(body),
                headers={} if body is None else {"Content-Type": content_type},
                timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS),
            ) as response:
                text = await response.text()
                if response.status >= 400:
                    raise _error(response.status, text)
                answer: Json = json.loads(text)
                return answer
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as problem:
            raise ApiUnreachableError(_describe(problem)) from problem

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise ApiUnreachableError("the client is closed")
        return self._session


class Backoff:
    """Growing pauses between attempts, in seconds."""

    def __init__(self, first: float, most: float) -> None:
        self._first = first
        self._most = most
        self._next = first

    def reset(self) -> None:
        """Start again from the first pause."""
        self._next = self._first

    def next(self) -> float:
        """The pause to make now."""
        pause = self._next
        self._next = min(self._most, pause * 2)
        return pause

    async def sleep(self) -> None:
        """Make the next pause."""
        await asyncio.sleep(self.next())


def _describe(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}"


def _error(status: int, text: str) -> ApiError:
    try:
        body = json.loads(text)
    except ValueError:
        return ApiError(status, "", text.strip()[:500])
    return _status_error({"code": status, **body} if isinstance(body, dict) else {"code": status})


def _status_error(status: Json) -> ApiError:
    return ApiError(
        int(status.get("code") or 500), status.get("reason") or "", status.get("message") or ""
    )


def _named(config: Json, section: str, name: str) -> Json:
    for entry in config.get(section) or []:
        if entry.get("name") == name:
            found: Json = entry
            return found
    raise ValueError(f"the kubeconfig's {section} have no {name!r}")


def _tls(base: Path, cluster: Json, user: Json) -> ssl.SSLContext:
    if cluster.get("insecure-skip-tls-verify"):
        tls = ssl.create_default_context()
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    elif "certificate-authority-data" in cluster:
        pem = base64.b64decode(cluster["certificate-authority-data"]).decode()
        tls = ssl.create_default_context(cadata=pem)
    elif "certificate-authority" in cluster:
        tls = ssl.create_default_context(cafile=str(base / cluster["certificate-authority"]))
    else:
        tls = ssl.create_default_context()
    certificate = _inline_or_file(base, user, "client-certificate")
    key = _inline_or_file(base, user, "client-key")
    if certificate and key:
        # ssl loads a chain from a file only; the file holds a private key, so it is gone at once.
        with tempfile.NamedTemporaryFile(suffix=".pem") as chain:
            chain.write(certificate + b"\n" + key)
            chain.flush()
            tls.load_cert_chain(chain.name)
    return tls


def _inline_or_file(base: Path, user: Json, name: str) -> bytes | None:
    if f"{name}-data" in user:
        return base64.b64decode(user[f"{name}-data"])
    if name in user:
        path: Path = base / user[name]
        return path.read_bytes()
    return None
