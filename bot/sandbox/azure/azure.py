"""The Azure of the sandbox: one https server for Entra, Resource Manager and configuration."""

import asyncio
import datetime
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from bot.sandbox.azure.arm import Arm
from bot.sandbox.azure.configuration import STATUS_FAULT, Configuration
from bot.sandbox.azure.entra import Entra
from bot.sandbox.azure.events import EventGrid, Subscription
from bot.sandbox.azure.model import ApimService, ClientApp, Gateway, Service
from bot.sandbox.azure.replies import ArmError
from bot.sandbox.azure.throttle import Buckets, kind_of
from bot.sandbox.faults import FaultBoard, Switch

_ERRORS: Mapping[str, tuple[str, str]] = {
    "401": ("ExpiredAuthenticationToken", "The access token expiry UTC time is over."),
    "403": ("AuthorizationFailed", "The client does not have authorization to do this."),
    "404": ("ResourceNotFound", "The resource was not found."),
    "409": ("Conflict", "Another operation on this resource is in progress."),
    "429": ("TooManyRequests", "The request is being throttled as the limit has been reached."),
    "500": ("InternalServerError", "Encountered internal server error."),
    "503": ("ServiceUnavailable", "The service is temporarily unavailable."),
}
_SWITCHES = (
    Switch("arm_status", "Resource Manager answers", "choice", "none", ("none", *_ERRORS)),
    Switch("retry_after_seconds", "Retry-After it sends", "number", 1.0),
    Switch("arm_slow_ms", "Resource Manager is slow (ms)", "number", 0.0),
    Switch("arm_garbage", "Resource Manager answers garbage", "toggle", False),
    Switch("throttling", "Resource Manager throttles as in life", "toggle", False),
    Switch("entra_down", "Entra does not sign in", "toggle", False),
    Switch("entra_slow_ms", "Entra is slow (ms)", "number", 0.0),
    Switch(
        STATUS_FAULT,
        "The configuration endpoint answers",
        "choice",
        "none",
        ("none", "401", "403", "503", "timeout"),
    ),
)


class Azure:
    """One tenant, its services and their gateways on one loopback port."""

    def __init__(
        self,
        *,
        tenant_id: str,
        clients: Sequence[ClientApp],
        services: Sequence[ApimService],
        tls: ssl.SSLContext,
        port: int = 0,
        changed: Callable[[], None] = lambda: None,
        subscription: Subscription | None = None,
        buckets: Buckets | None = None,
        asked: Callable[[str, str], None] = lambda method, path: None,
    ) -> None:
        """`asked` is called with each request to Resource Manager as it arrives."""
        self.faults = FaultBoard("azure", _SWITCHES)
        self._services = [Service(described) for described in services]
        self._entra = Entra(tenant_id, clients, self.faults)
        self._arm = Arm(self._services, self._entra, changed)
        self._configuration = Configuration(self._services, self._entra, self.faults, changed)
        self._event_grid = EventGrid(self._services, subscription) if subscription else None
        self._buckets = buckets or Buckets()
        self._asked = asked
        self._tls = tls
        self._port = port
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
        """Serve. With port 0 a free one is chosen and kept."""
        app = web.Application()
        app.router.add_route("*", "/{first:(?i:subscriptions)}/{rest:.*}", self._resource_manager)
        app.add_routes(self._configuration.routes())
        app.add_routes(self._entra.routes())
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls).start()
        self._port = int(self._runner.addresses[0][1])
        if self._event_grid is not None:
            self._event_grid.start()

    async def stop(self) -> None:
        """Stop serving."""
        if self._event_grid is not None:
            await self._event_grid.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def issue_token(
        self, service: str, gateway: str, expires_at: datetime.datetime, key: str = "primary"
    ) -> str:
        """A token as ARM would have made it, for what ran before the bot came. KeyError."""
        return self._gateway(service, gateway).token(key, expires_at)

    def heartbeats(self, service: str, gateway: str) -> dict[str, str]:
        """When Azure last heard of each instance. No request tells this, as in life. KeyError."""
        return dict(self._gateway(service, gateway).heartbeats)

    def snapshot(self) -> dict[str, Any]:
        """Every gateway with its keys, and the key that signs bearer tokens."""
        services = {service.described.id.lower(): service.snapshot() for service in self._services}
        return {"entra": self._entra.snapshot(), "services": services}

    def restore(self, data: dict[str, Any]) -> None:
        """Take a snapshot over; services it does not know stay as they are."""
        self._entra.restore(data["entra"])
        for service in self._services:
            kept = data["services"].get(service.described.id.lower())
            if kept is not None:
                service.restore(kept)

    def _gateway(self, service: str, name: str) -> Gateway:
        for known in self._services:
            if known.described.name == service and name in known.gateways:
                return known.gateways[name]
        raise KeyError(f"{service}/{name}")

    async def _resource_manager(self, request: web.Request) -> web.StreamResponse:
        self._asked(request.method, request.path)
        await asyncio.sleep(self.faults.get("arm_slow_ms") / 1000)
        headers: dict[str, str] = {}

        def admit(client: str, method: str) -> None:
            left = self._buckets.take(client, method)
            headers[f"x-ms-ratelimit-remaining-subscription-{kind_of(method)}"] = str(left or 0)
            if left is None and self.faults.get("throttling"):
                raise self._error("429")

        try:
            status = self.faults.get("arm_status")
            if status != "none":
                raise self._error(status)
            if self.faults.get("arm_garbage"):
                return web.Response(text="<html>Our services…</html>", content_type="text/html")
            answer = await self._arm.answer(request, admit)
        except ArmError as error:
            answer = error.response()
        answer.headers.update(headers)
        return answer

    def _error(self, status: str) -> ArmError:
        headers = None
        if status in ("429", "503"):
            headers = {"Retry-After": str(int(self.faults.get("retry_after_seconds")))}
        return ArmError(int(status), *_ERRORS[status], headers=headers)
