"""Tokens that decided actions put there, and one action at a time for each gateway resource."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.actions.leases import GatewayLeases
from deploy.errors import Unavailable
from deploy.gateway import GatewayRef, GatewayResource
from deploy.governance.admitted import AdmittedTokens, TokenInUse
from deploy.governance.custody import SharedCustody
from deploy.governance.placements import PlacementRecord
from tests.support.redis_servers import started

EDGE = GatewayResource("/subscriptions/s/service/contoso", "edge-1")
OTHER = GatewayResource("/subscriptions/s/service/contoso", "edge-2")
REF = GatewayRef("west", "dev", "edge-1")
DECIDED = frozenset({"development", "production"})
TOKEN = TokenInUse(REF, "cluster-uid", "edge-1-token-abc234", "secret-uid")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def redis(server: Valkey) -> Any:
    client = connect(server.url)
    client.flushall()
    return client


def custody(redis: Any, owner: str = "one") -> SharedCustody:
    return SharedCustody(GatewayLeases(redis), PlacementRecord(redis), AdmittedTokens(redis), owner)


def test_a_token_is_admitted_where_an_action_put_it_and_nowhere_else(redis: Any) -> None:
    admitted = AdmittedTokens(redis)
    assert not admitted.decided_by(TOKEN, EDGE)
    admitted.admit(TOKEN, EDGE, "ABC234", DECIDED)
    assert admitted.decided_by(TOKEN, EDGE) == DECIDED
    assert admitted.decided_by(TOKEN, GatewayResource(EDGE.service.upper(), "EDGE-1"))
    assert not admitted.decided_by(TOKEN, OTHER)


@pytest.mark.parametrize(
    "change",
    [
        {"secret_uid": "made-again"},
        {"secret_uid": ""},
        {"secret": "another"},
        {"cluster_uid": "another"},
        {"ref": GatewayRef("west", "dev", "edge-1-copy")},
        {"ref": GatewayRef("west", "prod", "edge-1")},
    ],
    ids=str,
)
def test_another_secret_gateway_or_cluster_is_not_admitted(
    redis: Any, change: dict[str, Any]
) -> None:
    admitted = AdmittedTokens(redis)
    admitted.admit(TOKEN, EDGE, "ABC234", DECIDED)
    assert not admitted.decided_by(dataclasses.replace(TOKEN, **change), EDGE)


def test_an_emptied_redis_has_admitted_nothing(redis: Any) -> None:
    admitted = AdmittedTokens(redis)
    admitted.admit(TOKEN, EDGE, "ABC234", DECIDED)
    redis.flushall()
    assert not admitted.decided_by(TOKEN, EDGE)


@pytest.mark.parametrize("stored", ["{", "[]", "null", '{"version": 2}'])
def test_a_record_that_cannot_be_read_admits_nothing(redis: Any, stored: str) -> None:
    admitted = AdmittedTokens(redis)
    admitted.admit(TOKEN, EDGE, "ABC234", DECIDED)
    (key,) = redis.scan_iter("*admitted*")
    assert json.loads(redis.get(key))["version"] == 1
    good = json.loads(redis.get(key))
    redis.set(key, json.dumps({**good, "version": 2}) if "2" in stored else stored)
    assert not admitted.decided_by(TOKEN, EDGE)


def test_a_resource_is_held_by_one_action_at_a_time_on_every_bot(redis: Any) -> None:
    with custody(redis).held(EDGE, "ABC234"):
        for owner in ("one", "two"):
            with (
                pytest.raises(Unavailable, match="Action ABC234 is changing the tokens of edge-1"),
                custody(redis, owner).held(EDGE, "XYZ789"),
            ):
                pytest.fail("two actions hold one resource")
        with custody(redis, "two").held(OTHER, "XYZ789"):
            pass
    with custody(redis, "two").held(EDGE, "XYZ789"):
        pass


def test_a_resource_is_let_go_of_when_its_mint_fails(redis: Any) -> None:
    with pytest.raises(ValueError, match="trouble"), custody(redis).held(EDGE, "ABC234"):
        raise ValueError("trouble")
    with custody(redis, "two").held(EDGE, "XYZ789"):
        pass


def test_an_action_that_lost_its_turn_does_not_ask_azure(redis: Any) -> None:
    with custody(redis).held(EDGE, "ABC234") as keep:
        keep()
        for key in redis.scan_iter("*apim:*"):
            redis.hset(key, "until", 0)
        with (
            custody(redis, "two").held(EDGE, "XYZ789"),
            pytest.raises(Unavailable, match="waited too long for its turn"),
        ):
            keep()


def test_two_names_of_one_resource_are_one_lease(redis: Any) -> None:
    shouted = GatewayResource(EDGE.service.upper(), "EDGE-1")
    with (
        custody(redis).held(EDGE, "ABC234"),
        pytest.raises(Unavailable),
        custody(redis, "two").held(shouted, "XYZ789"),
    ):
        pytest.fail("letter case made another resource")
