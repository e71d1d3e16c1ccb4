"""A mark set while a bot works on the message is handled when it is due, and not before."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect, now_of
from deploy.actions.owed import Owed
from handlers.messages.store import MessageRecord, MessageStore
from tests.support.redis_servers import started

NAME = ("action", "AAAAAA")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path)


@pytest.fixture
def redis(server: Valkey) -> Any:
    return connect(server.url)


def taken(redis: Any, owner: str) -> MessageRecord:
    record = MessageStore(redis, owner).take(*NAME)
    assert record is not None
    return record


def due_in(redis: Any) -> float | None:
    """In how many seconds it is due; None where nothing is owed."""
    at = redis.zscore("gateway-bot:{messages}:owed", ":".join(NAME))
    return None if at is None else float(at) / 1000 - now_of(redis)


def test_what_may_be_behind_for_a_while_is_not_due_because_a_turn_has_ended(redis: Any) -> None:
    owed, store = Owed(redis, NAME[0]), MessageStore(redis, "bot-1")
    owed.now(NAME[1])
    record = taken(redis, "bot-1")
    owed.within(NAME[1], 20)
    store.done(record, 1, "digest", 0, final=False)
    assert due_in(redis) == pytest.approx(20, abs=15)


def test_what_is_behind_at_once_is_due_as_soon_as_the_turn_has_ended(redis: Any) -> None:
    owed, store = Owed(redis, NAME[0]), MessageStore(redis, "bot-1")
    owed.now(NAME[1])
    record = taken(redis, "bot-1")
    owed.now(NAME[1])
    store.done(record, 1, "digest", 0, final=False)
    assert store.due(10).members == (NAME,)


def test_what_another_bot_had_to_put_off_is_due_as_soon_as_the_turn_has_ended(redis: Any) -> None:
    owed, store = Owed(redis, NAME[0]), MessageStore(redis, "bot-1")
    owed.now(NAME[1])
    record = taken(redis, "bot-1")
    owed.now(NAME[1])
    assert MessageStore(redis, "bot-2").take(*NAME) is None
    assert store.due(10).members == ()
    store.done(record, 1, "digest", 0, final=False)
    assert store.due(10).members == (NAME,)


def test_what_was_shown_and_not_marked_again_owes_nothing(redis: Any) -> None:
    owed, store = Owed(redis, NAME[0]), MessageStore(redis, "bot-1")
    owed.now(NAME[1])
    store.done(taken(redis, "bot-1"), 1, "digest", 0, final=False)
    assert due_in(redis) is None
