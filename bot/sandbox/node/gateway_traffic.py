"""What a gateway answers on port 8080: its status path, and the APIs of its configuration."""

import asyncio
import time
import uuid
from collections.abc import Mapping

from aiohttp import web

from bot.sandbox.node.api import Json
from bot.sandbox.node.gateway_log import INFO, Entry, GatewayLog
from bot.sandbox.node.trouble import Trouble

STATUS_PATHS = ("/status-0123456789abcdef", "/internal-status-0123456789abcdef")


class Traffic:
    """The request side of one gateway, driven by the configuration loaded last."""

    def __init__(self, log: GatewayLog, trouble: Trouble) -> None:
        self._log = log
        self._trouble = trouble
        self._configuration: Json | None = None
        self._apis: dict[str, str] = {}
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def load(self, configuration: Json) -> bool:
        """Take a configuration over; whether it said anything new."""
        if configuration == self._configuration:
            return False
        if self._configuration is not None and not _says_something(configuration):
            return False
        self._configuration = configuration
        self._apis = api_paths(configuration)
        return True

    async def drained(self) -> None:
        """Return when no request is under way."""
        await self._idle.wait()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self._under_way += 1
        self._idle.clear()
        try:
            await self._trouble.while_on("frozen")
            return await self._respond(request)
        finally:
            self._under_way -= 1
            if self._under_way == 0:
                self._idle.set()

    def log_request(
        self, method: str, path: str, status: int, seconds: float, api: str | None
    ) -> None:
        """The GatewayLogs line of one API request."""
        fields = {
            "isRequestSuccess": str(status < 400),
            "totalTime": str(round(seconds * 1000)),
            "category": "GatewayLogs",
            "correlationId": str(uuid.uuid4()),
            "method": method,
            "url": path,
            "responseCode": str(status),
            **({} if api is None else {"apiId": api}),
        }
        self._log(Entry(INFO, "GatewayLogs"), fields)

    async def _respond(self, request: web.BaseRequest) -> web.Response:
        if request.path in STATUS_PATHS:
            ready = self._configuration is not None and not self._trouble.on("not_ready")
            return web.Response(status=200 if ready else 503)
        if self._configuration is None:
            return _refusal(503, "Service Unavailable")
        started = time.perf_counter()
        api = self._match(request.path)
        if api is None:
            response = _refusal(404, "Resource not found")
        else:
            body = await request.text()
            response = web.json_response(
                {"api": api, "method": request.method, "url": request.path_qs, "body": body}
            )
        seconds = time.perf_counter() - started
        self.log_request(request.method, request.path, response.status, seconds, api)
        return response

    def _match(self, path: str) -> str | None:
        for prefix, name in self._apis.items():
            if path == prefix or path.startswith(f"{prefix}/"):
                return name
        return None


def api_paths(configuration: Mapping[str, object]) -> dict[str, str]:
    """Path prefix -> API name, longest prefix first, of a configuration's `apis`.

    An API is `{"name": …, "path": …}`, in that form or inside `properties` as ARM has it.
    """
    found: dict[str, str] = {}
    apis = configuration.get("apis")
    for api in apis if isinstance(apis, list) else []:
        if not isinstance(api, dict):
            continue
        path = api.get("path") or (api.get("properties") or {}).get("path")
        if path:
            prefix = "/" + str(path).strip("/")
            found[prefix] = str(api.get("name") or api.get("id") or prefix.strip("/"))
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _says_something(configuration: Json) -> bool:
    return bool(configuration.get("value")) or "apis" in configuration


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "message": message}, status=status)
