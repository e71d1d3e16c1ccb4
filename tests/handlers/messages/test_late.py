"""How long a message has been late is known, also of one that never gets its turn."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.backlog import BacklogReader, Queue
from deploy.actions.connection import connect
from deploy.actions.owed import Owed
from handlers.messages.store import MessageRecord, MessageStore
from tests.support.redis_servers import started

NAME = ("action", "AAAAAA")
KEY = "gateway-bot:{messages}:record:action:AAAAAA"
INDEX = "gateway-bot:{messages}:owed"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path)


@pytest.fixture
def redis(server: Valkey) -> Any:
    return connect(server.url)


@pytest.fixture
def store(redis: Any) -> MessageStore:
    return MessageStore(redis, "bot-1")


def taken(store: MessageStore) -> MessageRecord:
    record = store.take(*NAME)
    assert record is not None
    return record


def late(redis: Any, *, ahead: float = 0.0) -> Queue:
    """As a bot reads it so many seconds from now."""
    return BacklogReader(redis, (), clock=lambda: time.time() + ahead).read().messages


def test_a_message_that_is_put_off_for_calls_again_and_again_is_ever_later(
    redis: Any, store: MessageStore
) -> None:
    Owed(redis, NAME[0]).now(NAME[1])
    for _ in range(3):
        store.release(taken(store), 3600)
        assert late(redis, ahead=300).oldest >= 290
    redis.hset(KEY, "owed_since", int((time.time() - 1000) * 1000))
    store.release(taken(store), 3600)
    assert late(redis).oldest >= 1000


def test_a_message_that_was_due_before_anybody_took_it_is_late_since_then(
    redis: Any, store: MessageStore
) -> None:
    redis.zadd(INDEX, {":".join(NAME): (time.time() - 400) * 1000})
    store.release(taken(store), 3600)
    assert 400 <= late(redis).oldest < 3600


def test_a_message_that_failed_after_it_had_waited_is_late_since_it_was_owed(
    redis: Any, store: MessageStore
) -> None:
    Owed(redis, NAME[0]).now(NAME[1])
    store.release(taken(store), 3600)
    redis.hset(KEY, "owed_since", int((time.time() - 1000) * 1000))
    store.release(taken(store), 3600, hard=True, failed=True)
    assert late(redis).oldest >= 1000


def test_a_message_that_was_shown_is_late_only_from_its_next_mark_on(
    redis: Any, store: MessageStore
) -> None:
    owed = Owed(redis, NAME[0])
    owed.now(NAME[1])
    store.release(taken(store), 3600)
    redis.hset(KEY, "owed_since", int((time.time() - 1000) * 1000))
    store.done(taken(store), 1, "digest", 0, final=False)
    assert late(redis) == Queue(0, 0.0)
    owed.within(NAME[1], 0)
    assert late(redis, ahead=5).oldest < 900


def test_a_message_that_waits_for_another_one_by_intent_is_not_late(
    redis: Any, store: MessageStore
) -> None:
    Owed(redis, NAME[0]).now(NAME[1])
    store.release(taken(store), 3600, waits=True)
    assert late(redis, ahead=300) == Queue(0, 0.0)


def test_a_record_of_a_bot_that_noted_no_such_moment_is_read_and_kept(
    redis: Any, store: MessageStore
) -> None:
    Owed(redis, NAME[0]).now(NAME[1])
    taken(store)
    redis.hdel(KEY, "owed_since")
    redis.zadd(INDEX, {":".join(NAME): (time.time() - 200) * 1000})
    assert 200 <= late(redis).oldest < 3600
    assert store.known(*NAME).shown == -1
