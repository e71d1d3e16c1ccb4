"""Event Grid's part: tells a subscriber of instances whose token expires soon, or has expired.

What it knows is what Azure would: an instance's heartbeat came with a token. The payloads are those
of "API Management as an Event Grid source"; how long before the expiry Azure tells is not documented,
Azure Advisor does it seven days before.
"""

import asyncio
import datetime
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp

from bot.sandbox.azure.model import Gateway, Service

log = logging.getLogger(__name__)

Schema = Literal["eventgrid", "cloudevents"]
_NEAR = datetime.timedelta(days=7)
_LOOK_SECONDS = 1.0
_PREFIX = "Microsoft.ApiManagement.GatewayToken"


@dataclass(frozen=True)
class Subscription:
    """Where events are delivered; the URL holds the subscriber's secret."""

    url: str = field(repr=False)
    schema: Schema = "eventgrid"


class EventGrid:
    """Delivers each event until it is taken, and the subscription's handshake before the first."""

    def __init__(self, services: Sequence[Service], subscription: Subscription) -> None:
        self._services = services
        self._subscription = subscription
        self._told: set[tuple[str, str, str, str]] = set()
        self._agreed = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while True:
                try:
                    await self._look(session)
                except (aiohttp.ClientError, OSError, ValueError) as error:
                    log.info("a delivery waits: %s", type(error).__name__)
                await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self, session: aiohttp.ClientSession) -> None:
        if not self._agreed:
            self._agreed = await self._handshake(session)
            return
        now = datetime.datetime.now(datetime.UTC)
        for service in self._services:
            for gateway in list(service.gateways.values()):
                for instance, expires_at in list(gateway.shown.items()):
                    await self._about(session, service, gateway, instance, expires_at, now)

    async def _about(
        self,
        session: aiohttp.ClientSession,
        service: Service,
        gateway: Gateway,
        instance: str,
        expires_at: datetime.datetime,
        now: datetime.datetime,
    ) -> None:
        kind = "Expired" if expires_at <= now else "NearExpiry"
        if expires_at - now > _NEAR:
            return
        mark = (service.described.id, gateway.name, instance, f"{kind} {expires_at}")
        if mark in self._told:
            return
        body = self._event(service, gateway.name, instance, kind, expires_at, now)
        async with session.post(self._subscription.url, json=body, headers=self._headers) as answer:
            if answer.status == 200:
                self._told.add(mark)

    @property
    def _headers(self) -> dict[str, str]:
        if self._subscription.schema == "cloudevents":
            return {"Content-Type": "application/cloudevents+json; charset=utf-8"}
        return {"aeg-event-type": "Notification"}

    async def _handshake(self, session: aiohttp.ClientSession) -> bool:
        url = self._subscription.url
        if self._subscription.schema == "cloudevents":
            asking = {"WebHook-Request-Origin": "eventgrid.azure.net"}
            async with session.options(url, headers=asking) as answer:
                allowed = answer.headers.get("WebHook-Allowed-Origin")
                return answer.status == 200 and allowed in ("eventgrid.azure.net", "*")
        code = str(uuid.uuid4())
        event = {
            "id": str(uuid.uuid4()),
            "topic": self._services[0].described.id,
            "subject": "",
            "data": {"validationCode": code},
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": datetime.datetime.now(datetime.UTC).isoformat(),
            "metadataVersion": "1",
            "dataVersion": "1",
        }
        headers = {"aeg-event-type": "SubscriptionValidation"}
        async with session.post(url, json=[event], headers=headers) as answer:
            if answer.status != 200:
                return False
            told: Any = await answer.json(content_type=None)
            return isinstance(told, dict) and told.get("validationResponse") == code

    def _event(
        self,
        service: Service,
        gateway: str,
        instance: str,
        kind: str,
        expires_at: datetime.datetime,
        now: datetime.datetime,
    ) -> Any:
        name = "expiredAtUtc" if kind == "Expired" else "expiresAtUtc"
        data = {
            "gatewayInfo": {"gatewayId": gateway, "instanceId": instance},
            "tokenInfo": {name: f"{expires_at:%Y-%m-%dT%H:%M:%S}.0000000Z"},
        }
        common = {"id": str(uuid.uuid4()), "subject": f"/gateways/{gateway}/{instance}"}
        moment = f"{now:%Y-%m-%dT%H:%M:%S.%f}0Z"
        if self._subscription.schema == "cloudevents":
            return {
                **common,
                "specVersion": "1.0",
                "type": f"{_PREFIX}{kind}",
                "source": service.described.id,
                "time": moment,
                "data": data,
            }
        return [
            {
                **common,
                "topic": service.described.id,
                "eventType": f"{_PREFIX}{kind}",
                "eventTime": moment,
                "data": data,
                "dataVersion": "1",
                "metadataVersion": "1",
            }
        ]
