"""The message about Socket Mode connections that belong to no bot, posted by the real engine."""

from collections.abc import Iterator
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from handlers.messages.connection_messages import ConnectionMessages
from handlers.messages.engine import Engine
from handlers.messages.store import MessageStore
from handlers.messages.turn import Turns
from handlers.slack.connections import ConnectionCount
from tests.support.demo import words
from tests.support.redis_servers import started
from tests.support.slack_workspace import OPS, Person


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def redis(server: Valkey) -> Any:
    found = connect(server.url)
    found.flushall()
    # As after an earlier bot: its posts are on record, so none is searched for in Slack.
    MessageStore(found, "bot").due(1)
    return found


@pytest.fixture
def count(redis: Any) -> ConnectionCount:
    return ConnectionCount(redis, "bot", confirm_seconds=0)


def engine(client: WebClient, redis: Any, count: ConnectionCount, channel: str = OPS) -> Engine:
    family = ConnectionMessages(count, channel, "/gateway")
    return Engine(Turns(client, MessageStore(redis, "bot")), [(family, count.marks)])


def hellos(count: ConnectionCount, at_slack: int) -> None:
    for _ in range(2):
        count.hello(2, at_slack)


def test_operators_are_told_once_and_the_message_says_when_it_is_over(
    person: Person, client: WebClient, redis: Any, count: ConnectionCount
) -> None:
    pays = engine(client, redis, count)
    hellos(count, 4)
    pays.step()
    [message] = person.messages()
    assert "Some commands and clicks do not reach the bot" in words(message)
    assert "2 Socket Mode connections of this app held by no running bot" in words(message)
    assert "`/gateway approve ID --plan DIGEST`" in words(message)
    hellos(count, 5)
    pays.step()
    [message] = person.messages()
    assert "3 Socket Mode connections" in words(message)
    hellos(count, 2)
    pays.step()
    [message] = person.messages()
    assert "Commands and clicks reach the bot again" in words(message)
    assert "approve" not in words(message)


def test_the_next_time_there_is_a_new_message(
    person: Person, client: WebClient, redis: Any, count: ConnectionCount
) -> None:
    pays = engine(client, redis, count)
    for at_slack in (4, 2, 3):
        hellos(count, at_slack)
        pays.step()
    first, second = person.messages()
    assert "again" in words(first)
    assert "1 Socket Mode connection of this app" in words(second)


def test_without_a_channel_nothing_is_posted(
    person: Person, client: WebClient, redis: Any, count: ConnectionCount
) -> None:
    pays = engine(client, redis, count, "")
    hellos(count, 4)
    pays.step()
    assert person.messages() == []
    assert pays.step() == 0
