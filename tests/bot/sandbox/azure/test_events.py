"""The sandbox's Event Grid: a handshake first, then each instance's event until it is taken, once."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from aiohttp import web

from bot.sandbox.azure import ApimService, Azure, GatewayResource, Subscription
from bot.sandbox.azure.events import Schema
from bot.sandbox.tls import Authority
from deploy.expiry.event_grid import read
from tests.support.loops import running
from tests.support.waiting import until

DAY = datetime.timedelta(days=1)


class Subscriber:
    """An endpoint that agrees, and keeps what it is told."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, bool], bytes] = {}
        self.refusals = 1
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Serve."""
        app = web.Application()
        app.router.add_route("*", "/events", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/events"

    async def stop(self) -> None:
        """Stop serving."""
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        if request.method == "OPTIONS":
            origin = request.headers["WebHook-Request-Origin"]
            return web.Response(headers={"WebHook-Allowed-Origin": origin})
        body = await request.read()
        delivery = read(body, 0.0)
        if delivery.validation_code:
            return web.json_response({"validationResponse": delivery.validation_code})
        if self.refusals:
            self.refusals -= 1
            return web.Response(status=503)
        # Whoever tells it and hears of no answer within seconds tells it again, as Event Grid does.
        for event in read(body, 4e9).events:
            self.told.setdefault((event.instance, event.expired), body)
        return web.Response()


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    found = Subscriber()
    with running(found):
        yield found


@pytest.mark.parametrize("schema", ["eventgrid", "cloudevents"])
def test_each_instance_is_told_of_once_when_its_token_nears_its_end_and_when_it_has_ended(
    subscriber: Subscriber, tmp_path: Path, schema: Schema
) -> None:
    authority = Authority.load_or_create(tmp_path)
    azure = Azure(
        tenant_id="72f988bf-0000-4000-8000-000000000001",
        clients=[],
        services=[ApimService("sub-1", "rg-1", "Contoso", gateways=[GatewayResource("edge-1")])],
        tls=authority.server_context(),
        subscription=Subscription(subscriber.url, schema),
    )
    now = datetime.datetime.now(datetime.UTC)

    def beat(instance: str, expires_at: datetime.datetime) -> None:
        token = azure.issue_token("Contoso", "edge-1", expires_at)
        answer = requests.post(
            f"{azure.configuration_url}/gateways/edge-1/heartbeat",
            json={"instanceId": instance},
            headers={"Authorization": f"GatewayKey {token}"},
            verify=str(authority.ca_pem_path),
            timeout=30,
        )
        assert answer.status_code == 200

    with running(azure):
        beat("edge-1-far", now + 20 * DAY)
        beat("edge-1-near", now + 3 * DAY)
        until(lambda: len(subscriber.told) == 1, "the first event")
        shown = _gateway(azure).shown
        shown["edge-1-near"] = now - DAY
        until(lambda: len(subscriber.told) == 2, "the second event")
    events: list[Any] = [
        event for body in subscriber.told.values() for event in read(body, 4e9).events
    ]
    assert [(e.instance, e.expired, e.gateway, e.service) for e in events] == [
        ("edge-1-near", False, "edge-1", "contoso"),
        ("edge-1-near", True, "edge-1", "contoso"),
    ]
    assert len({e.id for e in events}) == 2


def _gateway(azure: Azure) -> Any:
    return azure._gateway("Contoso", "edge-1")
