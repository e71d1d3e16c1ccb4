"""Where gateways were seen, on a real Valkey: kept for 30 days, strict where anything is unknown."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.gateway import GatewayRef, GatewayResource
from deploy.governance.placements import PlacementRecord
from deploy.governance.sightings import Sighting
from tests.support.redis_servers import ENGINES, started

DAY_MS = 86_400_000
EDGE = GatewayResource("/subscriptions/s/service/contoso", "edge-1")
FABRIKAM = GatewayResource("/subscriptions/s/service/fabrikam", "edge-1")
ANY = GatewayResource("", "edge-1")
DEV = GatewayRef("west", "dev", "edge-1")
PROD = GatewayRef("west", "prod", "edge-1")


@pytest.fixture(scope="module", params=ENGINES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Valkey]:
    yield from started(request.param, tmp_path_factory.mktemp("redis"))


@pytest.fixture
def redis(server: Valkey) -> Any:
    client = connect(server.url)
    client.flushall()
    return client


@pytest.fixture
def record(redis: Any) -> PlacementRecord:
    return PlacementRecord(redis)


def shown(*placed: tuple[GatewayResource, GatewayRef], **more: Any) -> Sighting:
    return Sighting("west", frozenset(placed), **more)


def rewrite(redis: Any, key: str, change: dict[str, Any]) -> None:
    """Change what is stored under every field of a record."""
    for name in redis.scan_iter(f"*{key}*"):
        for field, text in redis.hgetall(name).items():
            redis.hset(name, field, json.dumps({**json.loads(text), **change}))


def now_ms(redis: Any) -> int:
    seconds, micros = redis.time()
    return int(seconds * 1000 + micros // 1000)


def test_what_a_cluster_shows_is_seen_and_the_cluster_counts_as_read(
    record: PlacementRecord, redis: Any
) -> None:
    record.note(shown((EDGE, DEV), (EDGE, PROD)))
    found = record.read(EDGE)
    assert found.seen == {DEV, PROD}
    assert abs(found.read_at["west"] * 1000 - now_ms(redis)) < 60_000
    assert record.read(GatewayResource(EDGE.service, "edge-2")).seen == frozenset()
    assert record.read(FABRIKAM).seen == frozenset()


def test_a_gateway_whose_service_cannot_be_told_counts_for_every_service_of_that_name(
    record: PlacementRecord,
) -> None:
    record.note(shown((ANY, PROD), (EDGE, DEV)))
    assert record.read(EDGE).seen == {DEV, PROD}
    assert record.read(FABRIKAM).seen == {PROD}
    assert record.read(ANY).seen == {DEV, PROD}


def test_a_place_counts_for_30_days_after_the_gateway_was_last_seen_there(
    record: PlacementRecord, redis: Any
) -> None:
    record.note(shown((EDGE, PROD)))
    rewrite(redis, "seen:", {"seen_at": now_ms(redis) - 30 * DAY_MS + 60_000})
    assert record.read(EDGE).seen == {PROD}
    rewrite(redis, "seen:", {"seen_at": now_ms(redis) - 30 * DAY_MS - 60_000})
    assert record.read(EDGE).seen == frozenset()
    record.note(shown((EDGE, DEV)))
    (key,) = redis.scan_iter("*seen:*")
    assert [field.rpartition("|")[2] for field in redis.hkeys(key)] == [str(DEV)]


def test_a_gateway_that_was_deleted_or_renamed_still_counts(record: PlacementRecord) -> None:
    record.note(shown((EDGE, PROD)))
    record.note(shown())
    assert record.read(EDGE).seen == {PROD}


def test_a_cluster_that_was_not_read_whole_keeps_what_was_seen_and_does_not_count_as_read(
    record: PlacementRecord,
) -> None:
    record.note(shown((EDGE, PROD), whole=False))
    found = record.read(EDGE)
    assert found.seen == {PROD}
    assert found.read_at == {}


def test_a_token_about_to_be_minted_is_on_record_before_any_cluster_shows_it(
    record: PlacementRecord,
) -> None:
    record.record_now(EDGE, DEV)
    found = record.read(EDGE)
    assert found.seen == {DEV}
    assert found.read_at == {}


def test_a_gateway_that_nothing_identifies_counts_until_it_is_identified(
    record: PlacementRecord,
) -> None:
    record.note(shown(unidentified=frozenset({PROD})))
    assert record.read(EDGE).unidentified == {PROD}
    record.note(shown((FABRIKAM, PROD)))
    assert record.read(EDGE).unidentified == frozenset()


def test_an_emptied_redis_has_read_no_cluster_until_each_is_read_again(
    record: PlacementRecord, redis: Any
) -> None:
    record.note(shown((EDGE, PROD)))
    redis.flushall()
    assert record.read(EDGE).read_at == {}
    record.note(shown((EDGE, PROD)))
    assert record.read(EDGE).seen == {PROD}
    assert set(record.read(EDGE).read_at) == {"west"}


def test_a_cluster_that_was_not_read_for_30_days_counts_as_never_read(
    record: PlacementRecord, redis: Any
) -> None:
    """By then everything that was seen there is forgotten."""
    record.note(shown((EDGE, PROD)))
    rewrite(redis, "clusters", {"read_at": now_ms(redis) - 30 * DAY_MS + 60_000})
    assert set(record.read(EDGE).read_at) == {"west"}
    rewrite(redis, "clusters", {"read_at": now_ms(redis) - 30 * DAY_MS - 60_000})
    assert record.read(EDGE).read_at == {}


def test_records_carry_version_1(record: PlacementRecord, redis: Any) -> None:
    record.note(shown((EDGE, PROD)))
    stored = [text for key in redis.scan_iter("*") for text in redis.hvals(key)]
    assert [json.loads(text)["version"] for text in stored] == [1, 1]


def test_a_record_of_a_later_version_is_left_alone_counts_strictly_and_is_reported_once(
    record: PlacementRecord, redis: Any, caplog: pytest.LogCaptureFixture
) -> None:
    record.note(shown((EDGE, PROD)))
    later = {"version": 2, "seen_at": 0, "read_at": 0}
    rewrite(redis, "placements", later)
    record.note(shown((EDGE, PROD), (EDGE, DEV)))
    with caplog.at_level(logging.WARNING):
        found = record.read(EDGE)
        record.read(EDGE)
    assert found.seen == {DEV, PROD}, "its place counts, though it cannot be read"
    assert found.read_at == {}, "its cluster counts as never read"
    reports = [r.getMessage() for r in caplog.records]
    assert sorted(reports) == [
        f"what is recorded of {EDGE.service}|west/prod/edge-1 is not of version 1; it is left alone",
        "what is recorded of west is not of version 1; it is left alone",
    ]
    (key,) = redis.scan_iter("*seen:*")
    assert json.loads(redis.hget(key, f"{EDGE.service}|{PROD}"))["version"] == 2


def test_thousands_of_gateways_are_recorded_in_one_step(record: PlacementRecord) -> None:
    many = [
        (GatewayResource(EDGE.service, f"gw-{n}"), GatewayRef("west", "prod", f"gw-{n}"))
        for n in range(3000)
    ]
    record.note(shown(*many))
    assert record.read(many[2999][0]).seen == {many[2999][1]}
