"""The bot signs in to Redis with tokens of Entra ID, and its live connections with each new one.

A real redis-server with an ACL user stands for Azure Managed Redis: as there, the user is the object
id, the password a token, and one that has ended is no longer taken.
"""

import itertools
import logging
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest
import redis
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect, now_of
from deploy.actions.entra import EntraSignIn
from deploy.errors import Unavailable
from tests.support.redis_servers import redis_cluster, started
from tests.support.waiting import until

OBJECT_ID = "6f0d4f3e-0000-4000-8000-00000000000a"
KEY = "a key of thirty-two bytes at least"
LIFE_SECONDS = 8
SECONDS = 120


class Entra:
    """A credential whose every token is the one password of the ACL user from then on."""

    def __init__(self, *admins: Any, life: float = LIFE_SECONDS) -> None:
        self._admins = admins
        self._life = life
        self._count = itertools.count(1)
        self.asked = 0
        self.away = False
        self.answers = threading.Event()
        self.answers.set()
        self.again: AccessToken | None = None
        """What it gives instead of a new one, as azure-identity does from its cache."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A new one."""
        self.asked += 1
        self.answers.wait(SECONDS)
        if self.away:
            raise ClientAuthenticationError("no answer, with secret words")
        if self.again is not None:
            return self.again
        ends = int(time.time() + self._life)
        claims = {"oid": OBJECT_ID, "exp": ends, "n": next(self._count)}
        token = jwt.encode(claims, KEY, algorithm="HS256")
        for admin in self._admins:
            admin.acl_setuser(
                OBJECT_ID,
                enabled=True,
                reset_passwords=True,
                passwords=[f"+{token}"],
                keys=["*"],
                commands=["+@all"],
            )
        self.given = AccessToken(token, ends)
        return self.given


@pytest.fixture(params=["valkey", "redis-server"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Valkey]:
    yield from started(request.param, tmp_path)


@pytest.fixture
def admin(server: Valkey) -> Any:
    return connect(server.url)


@pytest.fixture
def signed_in() -> Iterator[Any]:
    """Makes sign-ins, which end with the test."""
    made: list[EntraSignIn] = []

    def make(entra: Any) -> EntraSignIn:
        made.append(EntraSignIn(entra, again_seconds=0.05))
        return made[-1]

    yield make
    for each in made:
        each.close()


def signed_in_again(admin: Any) -> int:
    """How often somebody signed in by AUTH; a connection that begins does so in HELLO or AUTH."""
    return int(admin.info("commandstats").get("cmdstat_auth", {"calls": 0})["calls"])


def more_than(admin: Any, before: int) -> bool:
    return signed_in_again(admin) > before


def test_a_live_connection_is_signed_in_with_each_new_token(
    server: Valkey, admin: Any, signed_in: Any
) -> None:
    entra = Entra(admin)
    credentials = signed_in(entra)
    client = connect(server.url, credentials=credentials)
    # What a URL has counts for nothing then.
    other = connect(server.url.replace("//", "//u:p@", 1), credentials=credentials)
    first = {client.client_id(), other.client_id()}
    asked, auths = entra.asked, signed_in_again(admin)
    until(lambda: entra.asked >= asked + 2, "two new tokens", SECONDS)
    until(lambda: signed_in_again(admin) >= auths + 4, "AUTH on both connections", SECONDS)
    assert {client.client_id(), other.client_id()} == first
    assert client.acl_whoami() == OBJECT_ID
    assert client.set("a", "b")


def test_every_node_of_a_cluster_is_signed_in_again(tmp_path: Path, signed_in: Any) -> None:
    with redis_cluster(tmp_path) as url:
        cluster = connect(url)
        admins = [redis.Redis(port=n.port, decode_responses=True) for n in cluster.get_nodes()]
        entra = Entra(*admins)
        client = connect(url, credentials=signed_in(entra))
        keys = [f"{{{number}}}" for number in range(8)]
        assert all(client.set(key, "x") for key in keys)
        asked, auths = entra.asked, [signed_in_again(admin) for admin in admins]
        until(lambda: entra.asked > asked, "a new token", SECONDS)
        for admin, before in zip(admins, auths, strict=True):
            until(partial(more_than, admin, before), "AUTH at each node", SECONDS)
        assert all(client.get(key) == "x" for key in keys)


def test_renewals_outlive_an_entra_id_that_is_away(
    server: Valkey, admin: Any, signed_in: Any, caplog: pytest.LogCaptureFixture
) -> None:
    entra = Entra(admin)
    client = connect(server.url, credentials=signed_in(entra))
    assert client.set("a", "b")
    entra.away = True
    asked = entra.asked
    with caplog.at_level(logging.WARNING):
        until(lambda: entra.asked >= asked + 6, "several tries", SECONDS)
    assert (
        "not renewed yet: Entra ID gave no token (the sign-in service does not answer)"
        in caplog.text
    )
    assert "secret words" not in caplog.text
    entra.away = False
    auths = signed_in_again(admin)
    until(lambda: signed_in_again(admin) > auths, "AUTH with a new token", SECONDS)
    assert client.get("a") == "b"


def test_a_connection_that_was_cut_ends_no_renewal(
    server: Valkey, admin: Any, signed_in: Any
) -> None:
    """As Azure does to connections whose token has ended."""
    entra = Entra(admin)
    client = connect(server.url, credentials=signed_in(entra))
    assert client.set("a", "b")
    admin.client_kill_filter(_id=str(client.client_id()))
    asked = entra.asked
    until(lambda: entra.asked >= asked + 2, "two new tokens", SECONDS)
    assert client.get("a") == "b"


def test_without_a_token_it_is_said_that_entra_id_gave_none(server: Valkey, signed_in: Any) -> None:
    entra = Entra()
    entra.away = True
    with pytest.raises(Unavailable) as caught:
        now_of(connect(server.url, retries=0, credentials=signed_in(entra)))
    assert "Entra ID gave no token (the sign-in service does not answer)" in caught.value.happened
    assert "secret words" not in str(caught.value)


def test_a_token_that_the_server_does_not_know_is_said_to_be_rejected(
    server: Valkey, signed_in: Any
) -> None:
    with pytest.raises(Unavailable, match="rejected the user name or password"):
        now_of(connect(server.url, retries=0, credentials=signed_in(Entra(life=3600))))


def test_a_new_connection_signs_in_with_the_newest_token_while_entra_id_hangs(
    server: Valkey, admin: Any, signed_in: Any
) -> None:
    entra = Entra(admin, life=3600)
    credentials = signed_in(entra)
    assert connect(server.url, credentials=credentials).set("a", "b")
    entra.answers.clear()
    asked = entra.asked
    assert connect(server.url, credentials=credentials).get("a") == "b"
    assert entra.asked == asked, "a valid token is not asked for again"
    entra.answers.set()


def test_where_no_token_is_valid_each_client_waits_no_longer_than_its_timeout_and_asks_once(
    server: Valkey, admin: Any, signed_in: Any
) -> None:
    entra = Entra(admin, life=3600)
    entra.answers.clear()
    credentials = signed_in(entra)
    hasty = partial(connect, timeout=0.2, retries=1, retry_timeouts=False, credentials=credentials)
    for _ in range(3):
        with pytest.raises(Unavailable, match="Entra ID does not answer"):
            now_of(hasty(server.url))
    assert entra.asked == 1
    entra.answers.set()
    assert connect(server.url, credentials=credentials).set("a", "b")
    assert entra.asked == 1, "what was asked for is taken when it comes"


def test_the_same_token_is_no_renewal_and_after_its_end_connections_are_signed_in_again(
    server: Valkey, admin: Any, signed_in: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """While Entra ID is away azure-identity returns the token that it has, in the end an expired one."""
    entra = Entra(admin)
    client = connect(server.url, credentials=signed_in(entra))
    assert client.set("a", "b")
    entra.again = entra.given
    auths = signed_in_again(admin)
    with caplog.at_level(logging.WARNING):
        until(lambda: "a token that has expired" in caplog.text, "its end", SECONDS)
    assert signed_in_again(admin) == auths, "nobody signs in with a token that is known"
    entra.again = None
    until(partial(more_than, admin, auths), "AUTH with a new token", SECONDS)
    assert client.get("a") == "b"


def test_renewals_begin_anew_after_whatever_ended_them(
    server: Valkey, admin: Any, signed_in: Any
) -> None:
    entra = Entra(admin)
    credentials = signed_in(entra)
    client = connect(server.url, credentials=credentials)
    failed = threading.Event()

    def pools() -> Any:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("something that nobody foresaw")
        return []

    credentials.signs_in(pools)
    assert client.set("a", "b")
    until(failed.is_set, "a renewal that fails", SECONDS)
    auths = signed_in_again(admin)
    until(partial(more_than, admin, auths), "AUTH with a later token", SECONDS)
    assert client.get("a") == "b"
