"""Event Grid's deliveries in both schemas, and every way in which they can be wrong."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.errors import InvalidInput
from deploy.expiry.azure_events import AzureEvents
from deploy.expiry.event_grid import NEAR, GridDelivery, TokenEvent, read
from deploy.health.heartbeat import AzureEvent
from tests.support.redis_servers import started

NOW = 1_745_000_000.0
SERVICE = "/subscriptions/s1/resourceGroups/rg/providers/Microsoft.ApiManagement/service/Contoso"
EXPIRES = 1_740_473_760.0


def event(**changes: Any) -> dict[str, Any]:
    """An event in Event Grid's own schema, as the documentation shows it."""
    return {
        "id": "9d1a64f6-f4ed-4a1a-b1a8-9d3b0e8e4c11",
        "topic": SERVICE,
        "subject": "/gateways/edge-1/edge-1-abc",
        "eventType": "Microsoft.ApiManagement.GatewayTokenExpired",
        "eventTime": "2025-04-02T00:47:47.8536532Z",
        "data": {
            "gatewayInfo": {"gatewayId": "edge-1", "instanceId": "edge-1-abc"},
            "tokenInfo": {"expiredAtUtc": "2025-02-25T08:56:00.0000000Z"},
        },
        "dataVersion": "1",
        "metadataVersion": "1",
        **changes,
    }


def body(*items: Any) -> bytes:
    return json.dumps(list(items)).encode()


def test_both_schemas_tell_the_same() -> None:
    (first,) = read(body(event()), NOW).events
    cloud = event(type=event()["eventType"], source=SERVICE, time=event()["eventTime"])
    for name in ("eventType", "topic", "eventTime", "dataVersion", "metadataVersion"):
        del cloud[name]
    (second,) = read(json.dumps(cloud).encode(), NOW).events
    assert first == second
    assert first == TokenEvent(
        "9d1a64f6-f4ed-4a1a-b1a8-9d3b0e8e4c11", "contoso", "edge-1", "edge-1-abc", True, EXPIRES,
        first.at,
    )  # fmt: skip
    assert first.at == pytest.approx(1_743_554_867.85, abs=0.01)


def test_a_gateway_named_by_its_full_id_and_one_that_is_near_its_expiry_are_read() -> None:
    data = {
        "gatewayInfo": {"gatewayId": f"{SERVICE}/gateways/Edge-1", "instanceId": "i"},
        "tokenInfo": {"expiresAtUtc": "2025-02-25T08:56:00.0000000Z"},
    }
    near = "Microsoft.ApiManagement.GatewayTokenNearExpiry"
    (found,) = read(body(event(data=data, eventType=near)), NOW).events
    assert (found.gateway, found.expired, found.expires_at) == ("edge-1", False, EXPIRES)


def test_a_validation_is_answered_with_its_code() -> None:
    asked = event(
        eventType="Microsoft.EventGrid.SubscriptionValidationEvent",
        data={"validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"},
    )
    assert read(body(asked), NOW) == GridDelivery("512d38b6-c7b8-40c8-89fe-f46f9e9622b6")
    with pytest.raises(InvalidInput):
        read(body({**asked, "data": {"validationCode": "a\r\nb"}}), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"eventType": "Microsoft.ApiManagement.GatewayUpdated"},
        {"topic": "/subscriptions/s1"},
        {"id": ""},
        {"id": 5},
        {"data": None},
        {"data": {"gatewayInfo": "edge-1", "tokenInfo": {}}},
        {"data": {**event()["data"], "tokenInfo": {"expiredAtUtc": "yesterday"}}},
        {"data": {**event()["data"], "gatewayInfo": {"gatewayId": "a b", "instanceId": "i"}}},
        {"data": {**event()["data"], "gatewayInfo": {"gatewayId": "a", "instanceId": "{x}\n"}}},
    ],
)
def test_what_is_no_event_about_a_token_is_passed_over(changes: dict[str, Any]) -> None:
    found = read(body(event(), event(**changes)), NOW)
    assert len(found.events) == 1
    assert found.ignored == 1


def test_nothing_is_from_the_future() -> None:
    (found,) = read(body(event(eventTime="2099-01-01T00:00:00Z")), NOW).events
    assert found.at == NOW


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["eventType", "data", "type", "id", "topic"]), inner),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_no_body_is_answered_with_anything_but_a_refusal_or_a_delivery(raw: bytes) -> None:
    try:
        assert isinstance(read(raw, NOW), GridDelivery)
    except InvalidInput:
        return


def test_a_body_of_many_brackets_is_refused() -> None:
    with pytest.raises(InvalidInput):
        read(b"[" * 100_000, NOW)


told = st.builds(
    AzureEvent,
    st.just("edge-1-abc"),
    st.booleans(),
    st.sampled_from([EXPIRES, EXPIRES + 60, EXPIRES + 86_400]),
    st.sampled_from([EXPIRES + hours * 3600 for hours in range(-3, 30)]),
)


@given(st.lists(told, min_size=1, max_size=6).flatmap(st.permutations))
def test_what_counts_of_an_instance_does_not_depend_on_the_order_in_which_events_come(
    found: list[AzureEvent],
) -> None:
    kept = found[0]
    for one in found[1:]:
        kept = max(one, kept, key=lambda e: e.order)
    assert kept.order == max(e.order for e in found)
    if not kept.expired:
        same = [e for e in found if e.expires_at == kept.expires_at and e.at >= e.expires_at]
        assert not any(e.expired for e in same), "Azure said after it that this token had expired"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


def test_an_event_is_kept_once_and_the_last_one_of_an_instance_counts(server: Valkey) -> None:
    events = AzureEvents(connect(server.url))
    (first,) = read(body(event()), NOW).events
    assert events.take(first)
    assert not events.take(first)
    (late,) = read(body(event(id="late", eventType=NEAR)), NOW).events
    assert not events.take(late), "it was near its expiry before it had expired"
    (kept,) = events.about("Contoso", "EDGE-1")
    assert (kept.instance, kept.expired, kept.expires_at) == ("edge-1-abc", True, EXPIRES)
    renewed = dataclasses.replace(late, id="renewed", expires_at=NOW + 86_400, at=NOW)
    assert events.take(renewed)
    assert not events.take(dataclasses.replace(first, id="first again"))
    (kept,) = events.about("Contoso", "EDGE-1")
    assert (kept.expired, kept.expires_at) == (False, NOW + 86_400)
    assert events.of_services(["other", "contoso"], "edge-1") == (kept,)
    assert events.about("contoso", "edge-2") == ()
    assert events.known() == (("contoso", "edge-1"),)
    connect(server.url).delete("gateway-bot:{azure:contoso/edge-1}")
    assert events.known() == ()
