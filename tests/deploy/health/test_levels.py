"""Levels for a table: asked for while that takes seconds, else remembered with their age."""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.deadline import Deadline
from deploy.health.cache import CachedGateway, ClusterCache
from deploy.health.heartbeat import AzureEvent
from deploy.health.levels import Levels
from tests.deploy.health.test_status import in_days, install, portal
from tests.support.gateway_bed import GatewayBed, gateway_bed
from tests.support.waiting import until


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayBed]:
    with gateway_bed(Path(tmp_path_factory.mktemp("bed"))) as ready:
        install(ready, portal("legacy-9", f"legacy-9&{in_days(20)}&c2lnbmF0dXJl", replicas=2))
        yield ready


@pytest.fixture
def cache(bed: GatewayBed) -> Iterator[ClusterCache]:
    found = ClusterCache(bed.cluster)
    until(lambda: ready(found), "two ready pods")
    yield found
    found.stop(Deadline.after(5))


def ready(cache: ClusterCache) -> CachedGateway | None:
    for gateway in cache.read().gateways:
        if gateway.deployment["status"].get("readyReplicas") == 2 and len(gateway.pods) == 2:
            return gateway
    return None


def the(cache: ClusterCache) -> CachedGateway:
    (gateway,) = cache.read().gateways
    return gateway


def test_what_nobody_has_looked_at_is_unknown(cache: ClusterCache) -> None:
    seen = Levels({"west": cache}).last(the(cache))
    assert (seen.heartbeat.level, seen.heartbeat.evidence) == (
        "unknown",
        "nobody has looked at it yet",
    )


def test_a_look_is_remembered_with_its_age(cache: ClusterCache) -> None:
    levels = Levels({"west": cache})
    gateway = the(cache)
    seen = levels.look([gateway])[gateway.ref]
    assert seen.heartbeat.level == "no trouble seen"
    assert levels.last(gateway) == seen
    assert 0 <= time.time() - seen.at < 60


def test_a_gateway_whose_pods_have_changed_since_is_not_called_well(cache: ClusterCache) -> None:
    levels = Levels({"west": cache})
    gateway = the(cache)
    levels.look([gateway])
    fewer = dataclasses.replace(gateway, pods=gateway.pods[:1])
    assert levels.last(fewer).heartbeat.level == "unknown"
    assert levels.last(gateway).heartbeat.level == "no trouble seen"


def test_a_look_of_long_ago_is_no_evidence(
    cache: ClusterCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = Levels({"west": cache})
    gateway = the(cache)
    levels.look([gateway])
    later = time.time() + 600
    monkeypatch.setattr("deploy.health.levels.time.time", lambda: later)
    seen = levels.last(gateway)
    assert seen.heartbeat.level == "unknown"
    assert "10 min ago" in seen.heartbeat.evidence


def test_rounds_look_by_themselves(cache: ClusterCache) -> None:
    levels = Levels({"west": cache}, period=0.5)
    levels.start()
    try:
        until(
            lambda: levels.last(the(cache)).heartbeat.level == "no trouble seen", "the first round"
        )
    finally:
        levels.stop(Deadline.after(5))


def test_what_azure_said_is_evidence_though_logs_are_silent(cache: ClusterCache) -> None:
    gateway = the(cache)
    assert gateway.token is not None
    assert gateway.token.facts is not None
    assert gateway.token.facts.expires_at is not None
    expires_at = gateway.token.facts.expires_at.timestamp()
    event = AzureEvent(gateway.pods[0]["metadata"]["name"], True, expires_at, time.time() - 30)
    seen = Levels({"west": cache}, lambda ref: [event]).look([gateway])[gateway.ref]
    assert seen.heartbeat.level == "denied"
    assert seen.heartbeat.evidence.startswith("1 of 2 pods: Azure reported")
    other = dataclasses.replace(event, expires_at=expires_at - 86_400)
    seen = Levels({"west": cache}, lambda ref: [other]).look([gateway])[gateway.ref]
    assert seen.heartbeat.level == "no trouble seen", "it is about a token of before"


def test_a_table_does_not_wait_for_a_cluster_that_hangs(
    bed: GatewayBed, cache: ClusterCache
) -> None:
    levels = Levels({"west": cache})
    gateway = the(cache)
    bed.api("api_slow_ms", 20_000)
    try:
        began = time.monotonic()
        seen = levels.look([gateway])[gateway.ref]
        assert time.monotonic() - began < 18
        assert seen.heartbeat.level == "unknown"
    finally:
        bed.api("api_slow_ms", 0)
