"""The configuration endpoint: what a gateway polls, and where its heartbeats go."""

import asyncio
import contextlib
import datetime
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from bot.sandbox.azure.entra import BearerError, Entra
from bot.sandbox.azure.keytoken import expiry
from bot.sandbox.azure.model import Gateway, Service
from bot.sandbox.faults import FaultBoard

STATUS_FAULT = "configuration_status"
_PATH = "/configuration/gateways/{gateway}"
_GET_CONFIGURATION = "Microsoft.ApiManagement/service/gateways/getConfiguration/action"
_TIMEOUT_SECONDS = 120.0
"""Longer than a gateway waits (100 s by default)."""


class Configuration:
    """Answers gateways that show a good token; 401 for an expired one, 403 for a wrong one."""

    def __init__(
        self,
        services: Sequence[Service],
        entra: Entra,
        faults: FaultBoard,
        changed: Callable[[], None],
    ) -> None:
        self._services = services
        self._entra = entra
        self._faults = faults
        self._changed = changed

    def routes(self) -> list[web.RouteDef]:
        """The paths under the endpoint."""
        return [
            web.get(f"{_PATH}/events", self._events),
            web.post(f"{_PATH}/heartbeat", self._heartbeat),
        ]

    async def _events(self, request: web.Request) -> web.Response:
        service, gateway = await self._admitted(request)
        associated = gateway.children["apis"]
        apis = [
            {"name": api.name, "path": api.path}
            for api in service.described.apis
            if api.name in associated
        ]
        return web.json_response({"value": [], "apis": apis})

    async def _heartbeat(self, request: web.Request) -> web.Response:
        _, gateway = await self._admitted(request)
        body: Any = None
        with contextlib.suppress(ValueError):
            body = await request.json()
        instance = body.get("instanceId") if isinstance(body, dict) else None
        if not isinstance(instance, str) or not instance:
            raise web.HTTPBadRequest(text="instanceId is missing")
        now = datetime.datetime.now(datetime.UTC)
        gateway.heartbeats[instance] = now.isoformat(timespec="seconds")
        expires_at = expiry(request.headers.get("Authorization", ""))
        if expires_at is not None:
            gateway.shown[instance] = expires_at
        self._changed()
        return web.json_response({})

    async def _admitted(self, request: web.Request) -> tuple[Service, Gateway]:
        fault = self._faults.get(STATUS_FAULT)
        if fault == "timeout":
            await self._silence()
        elif fault != "none":
            raise _refusal(int(fault))
        authorization = request.headers.get("Authorization", "")
        if authorization.startswith("Bearer "):
            self._check_entra(authorization.removeprefix("Bearer "))
        worst = 403 if authorization else 401
        for service, gateway in self._named(request):
            if authorization.startswith("Bearer "):
                return service, gateway
            worst = gateway.judge(authorization, datetime.datetime.now(datetime.UTC))
            if worst == 200:
                return service, gateway
        raise _refusal(worst)

    async def _silence(self) -> None:
        """Say nothing for as long as the switch stands so, then drop the caller."""
        waited = 0.0
        while waited < _TIMEOUT_SECONDS and self._faults.get(STATUS_FAULT) == "timeout":
            await asyncio.sleep(0.1)
            waited += 0.1
        raise _refusal(503)

    def _check_entra(self, token: str) -> None:
        try:
            client = self._entra.bearer(token).client
        except BearerError:
            raise _refusal(401) from None
        if _GET_CONFIGURATION not in client.actions:
            raise _refusal(403)

    def _named(self, request: web.Request) -> list[tuple[Service, Gateway]]:
        """Gateways of the path's name: of the service whose host was asked, if that is one."""
        asked = [s for s in self._services if s.configuration_host == request.host.lower()]
        found = [(s, s.find(request.match_info["gateway"])) for s in asked or self._services]
        return [(service, gateway) for service, gateway in found if gateway is not None]


def _refusal(status: int) -> web.HTTPException:
    kind = {401: web.HTTPUnauthorized, 403: web.HTTPForbidden, 503: web.HTTPServiceUnavailable}
    return kind[status](text="{}", content_type="application/json")
