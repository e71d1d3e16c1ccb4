"""The Azure of the sandbox: one https server for Entra, Resource Manager and configuration."""

import asyncio
import datetime
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from bot.sandbox.azure.arm import Arm, Services
from bot.sandbox.azure.entra import Entra
from bot.sandbox.azure.model import ApimService, ClientApp, Gateway, gateway_named
from bot.sandbox.azure.replies import arm_error
from bot.sandbox.faults import FaultBoard, Switch

_ERRORS: Mapping[str, tuple[str, str]] = {
    "401": ("ExpiredAuthenticationToken", "The access token expiry time is over."),
    "403": ("AuthorizationFailed", "The client does not have authorization."),
    "404": ("ResourceNotFound", "The resource was not found."),
    "409": ("Conflict", "Another operation is in progress."),
    "429": ("TooManyRequests", "The request is being throttled."),
    "500": ("InternalServerError", "Encountered internal server error."),
    "503": ("ServiceUnavailable", "The service is temporarily unavailable."),
}
_BUCKETS = {"GET": ("reads", 250, 25.0), "DELETE": ("deletes", 200, 10.0)}
_WRITES = ("writes", 200, 10.0)
"""ARM's token buckets: size and refill a second."""

_SWITCHES = (
    Switch("arm_status", "Resource Manager answers", "choice", "none", ("none", *_ERRORS)),
    Switch("retry_after_seconds", "Retry-After it sends", "number", 1.0),
    Switch("arm_slow_ms", "Resource Manager is slow (ms)", "number", 0.0),
    Switch("arm_garbage", "Resource Manager answers garbage", "toggle", False),
    Switch("throttling", "Resource Manager throttles as in life", "toggle", False),
    Switch("entra_down", "Entra does not sign in", "toggle", False),
    Switch(
        "configuration_status",
        "The configuration endpoint answers",
        "choice",
        "none",
        ("none", "401", "403", "503", "timeout"),
    ),
)


class Azure:
    """Tenants, services and gateways on one loopback port."""

    def __init__(
        self,
        *,
        tenant_id: str,
        clients: Sequence[ClientApp],
        services: Sequence[ApimService],
        tls: ssl.SSLContext,
        port: int = 0,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.faults = FaultBoard("azure", _SWITCHES)
        self._services: Services = {
            (s.subscription.lower(), s.resource_group.lower(), s.name.lower()): (
                s,
                {
                    g.name: Gateway(
                        g.name,
                        {
                            "description": g.description,
                            "locationData": {"name": g.location_name or s.location},
                        },
                    )
                    for g in s.gateways
                },
            )
            for s in services
        }
        self._entra = Entra(tenant_id, clients, self.faults)
        self._arm = Arm(self._services, self._entra, changed)
        self._tls = tls
        self._port = port
        self._changed = changed
        self._tokens: dict[str, tuple[float, float]] = {}
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The authority and the ARM endpoint."""
        return f"https://127.0.0.1:{self._port}"

    @property
    def configuration_url(self) -> str:
        """What stands behind `<service>.configuration.azure-api.net`."""
        return f"{self.url}/configuration"

    async def start(self) -> None:
        """Serve."""
        app = web.Application(middlewares=[self._disturb])
        app.add_routes(self._arm.routes())
        app.add_routes(
            [
                web.get("/configuration/gateways/{gateway}/events", self._events),
                web.post("/configuration/gateways/{gateway}/heartbeat", self._heartbeat),
            ]
        )
        app.add_routes(self._entra.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls).start()
        self._port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    def issue_token(
        self, service: str, gateway: str, expires_at: datetime.datetime, key: str = "primary"
    ) -> str:
        """A token as ARM would have made it, for what ran before the bot came."""
        return self._gateway(gateway, service).token(key, expires_at)

    def snapshot(self) -> dict[str, Any]:
        """Every gateway with its keys."""
        return {
            "/".join(key): [gateway.snapshot() for gateway in gateways.values()]
            for key, (_, gateways) in self._services.items()
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take a snapshot over."""
        for key, (_, gateways) in self._services.items():
            if "/".join(key) in data:
                gateways.clear()
                for item in data["/".join(key)]:
                    gateways[item["name"]] = Gateway.restore(item)

    def _gateway(self, name: str, service: str | None = None) -> Gateway:
        for known, gateways in self._services.values():
            if name in gateways and service in (None, known.name):
                return gateways[name]
        raise KeyError(name)

    async def _events(self, request: web.Request) -> web.Response:
        if (refused := await self._judged(request)) is not None:
            return refused
        return web.json_response({"value": [], "apis": [{"name": "echo", "path": "echo"}]})

    async def _heartbeat(self, request: web.Request) -> web.Response:
        if (refused := await self._judged(request)) is not None:
            return refused
        gateway = self._gateway(request.match_info["gateway"])
        now = datetime.datetime.now(datetime.UTC).isoformat()
        body = await request.json() if request.can_read_body else {}
        gateway.heartbeats[str(body.get("instanceId", "unknown"))] = now
        return web.json_response({})

    async def _judged(self, request: web.Request) -> web.Response | None:
        fault = self.faults.get("configuration_status")
        if fault == "timeout":
            await asyncio.sleep(120)
        if fault != "none":
            return web.json_response({}, status=int(fault))
        authorization = request.headers.get("Authorization", "")
        try:
            gateway = self._gateway(request.match_info["gateway"])
        except KeyError:
            return web.json_response({}, status=401 if not gateway_named(authorization) else 403)
        status = gateway.judge(authorization, datetime.datetime.now(datetime.UTC))
        return None if status == 200 else web.json_response({}, status=status)

    @web.middleware
    async def _disturb(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        if not request.path.startswith("/subscriptions/"):
            return await handler(request)
        await asyncio.sleep(self.faults.get("arm_slow_ms") / 1000)
        wait = {"Retry-After": str(int(self.faults.get("retry_after_seconds")))}
        status = self.faults.get("arm_status")
        if status != "none":
            headers = wait if status in ("429", "503") else None
            return arm_error(int(status), *_ERRORS[status], headers=headers)
        if self.faults.get("arm_garbage"):
            return web.Response(text="<html>gateway</html>", content_type="text/html")
        name, size, refill = _BUCKETS.get(request.method, _WRITES)
        left = self._take(name, size, refill)
        if left < 0 and self.faults.get("throttling"):
            return arm_error(429, *_ERRORS["429"], headers=wait)
        answer = await handler(request)
        answer.headers[f"x-ms-ratelimit-remaining-subscription-{name}"] = str(max(0, int(left)))
        return answer

    def _take(self, name: str, size: int, refill: float) -> float:
        now = time.monotonic()
        left, at = self._tokens.get(name, (float(size), now))
        left = min(size, left + (now - at) * refill) - 1
        self._tokens[name] = (max(left, -1.0), now)
        return left
