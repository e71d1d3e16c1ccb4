"""`pending` where very many requests are open."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis.connection

from bot.sandbox.valkey import Valkey
from deploy.actions.audit import AuditLog
from deploy.actions.connection import connect
from deploy.gateway import GatewayRef
from deploy.health.levels import Levels
from handlers import home
from handlers.verbs import pending
from handlers.views.reply import Reply
from tests.support.actions import ask, by_approvers
from tests.support.changes import Changes
from tests.support.needs import needs
from tests.support.redis_servers import started

_LETTERS = "ABCDEFGHJK"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def changes(server: Valkey) -> Changes:
    client = connect(server.url)
    client.flushall()
    return Changes(client)


def asked(changes: Changes, since: int, until: int) -> None:
    """So many requests that wait, each for a gateway of its own."""
    for number in range(since, until):
        name = "".join(_LETTERS[number // 10**place % 10] for place in range(6))
        ref = GatewayRef("west", "prod", f"edge-{number}")
        ask(changes.store, name, ref=ref, policy=by_approvers(), ttl=3600)


def home_needs(changes: Changes, client: Any) -> home.Needs:
    """What the Home tab is drawn from where there are no clusters."""
    return needs(
        home.Needs,
        store=changes.store,
        decider=changes.decider,
        authority=changes.authority,
        caches={},
        levels=Levels({}),
        environments=changes.environments,
        windows=changes.windows,
        audit=AuditLog(client),
    )


def shown(changes: Changes, user: str) -> Reply:
    """What that person is shown."""
    given = needs(
        pending.Needs, store=changes.store, decider=changes.decider, authority=changes.authority
    )
    request: Any = SimpleNamespace(user=user)
    return pending.run(given, request)


class Trips:
    """Counts what is sent to a Redis in one piece."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        kind: Any = redis.connection.AbstractConnection
        send = kind.send_packed_command

        def counted(connection: Any, *arguments: Any, **options: Any) -> Any:
            self.count += 1
            return send(connection, *arguments, **options)

        monkeypatch.setattr(kind, "send_packed_command", counted)

    def of(self, changes: Changes, user: str) -> int:
        """How many `pending` takes."""
        before = self.count
        shown(changes, user)
        return self.count - before


@pytest.mark.parametrize("user", ["U2", "U9"], ids=["an approver", "somebody else"])
def test_many_open_requests_take_no_trip_to_redis_for_each(
    changes: Changes, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(changes, 0, 20)
    shown(changes, user)
    trips = Trips(monkeypatch)
    few = trips.of(changes, user)
    asked(changes, 20, 80)
    assert few > 0
    assert trips.of(changes, user) <= few + 5


def test_all_open_requests_are_counted_and_those_that_one_may_decide(changes: Changes) -> None:
    asked(changes, 0, 30)
    assert shown(changes, "U2").text == "30 open requests, 30 for you to decide"
    reply = shown(changes, "U9")
    assert reply.text == "30 open requests"
    assert "… and 20 more requests." in json.dumps(reply.blocks, ensure_ascii=False)


def test_more_requests_than_are_read_are_counted_and_that_is_said(
    changes: Changes, server: Valkey
) -> None:
    asked(changes, 0, 503)
    listing = changes.store.listing()
    assert (len(listing.actions), listing.more) == (500, 3)
    reply = shown(changes, "U9")
    assert reply.text == "503 open requests"
    home_tab = home.drawn(home_needs(changes, connect(server.url)), "U9")
    assert "3 more requests are open." in json.dumps(home_tab.view)
    said = json.dumps(reply.blocks, ensure_ascii=False)
    assert "… and 493 more requests." in said
    assert "Only the 500 requests that are due first were read." in said
