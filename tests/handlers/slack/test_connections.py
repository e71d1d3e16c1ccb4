"""The count of all bots' Socket Mode connections, on a real Redis."""

from collections.abc import Iterator
from typing import Any

import pytest

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from handlers.slack.connections import ConnectionCount, Counted
from tests.support.redis_servers import started
from tests.support.waiting import until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def redis(server: Valkey) -> Any:
    found = connect(server.url)
    found.flushall()
    return found


def count(
    redis: Any, owner: str = "one", *, lease: float = 60, confirm: float = 0
) -> ConnectionCount:
    return ConnectionCount(redis, owner, lease_seconds=lease, confirm_seconds=confirm)


def told(found: Counted | None) -> Counted:
    assert found is not None
    return found


def test_the_connections_of_all_bots_are_added_up(redis: Any) -> None:
    count(redis, "one").report(2)
    assert told(count(redis, "two").report(3)).of_bots == 5
    assert told(count(redis, "two").report(1)).of_bots == 3
    assert told(count(redis, "one").report(0)).of_bots == 1


def test_those_of_a_dead_bot_end_by_themselves(redis: Any) -> None:
    count(redis, "dead", lease=0.05).report(2)
    alive = count(redis, "alive")
    until(lambda: told(alive.report(2)).of_bots == 2)


def test_one_hello_that_counts_more_is_doubted_and_a_second_one_believed(redis: Any) -> None:
    bot = count(redis)
    first = told(bot.hello(2, 4))
    assert (first.lost, first.doubted) == (0, True)
    second = told(bot.hello(2, 4))
    assert (second.lost, second.doubted) == (2, False)
    assert [found.ended for found in map(bot.find, bot.versions()) if found] == [0.0]


def test_two_hellos_within_moments_count_as_one(redis: Any) -> None:
    bot = count(redis, confirm=600)
    bot.hello(2, 4)
    again = told(bot.hello(2, 4))
    assert (again.lost, again.doubted) == (0, True)


def test_a_second_hello_that_agrees_with_the_bots_ends_the_doubt(redis: Any) -> None:
    bot = count(redis)
    bot.hello(2, 4)
    assert not told(bot.hello(2, 2)).doubted
    assert told(bot.hello(2, 4)).lost == 0


def test_the_doubt_of_one_bot_is_confirmed_by_another(redis: Any) -> None:
    one, two = count(redis, "one"), count(redis, "two")
    two.report(2)
    one.hello(2, 5)
    assert told(two.hello(2, 5)).lost == 1
    assert told(one.report(2)).lost == 1


def test_a_time_of_lost_connections_is_one_record_from_its_beginning_to_its_end(redis: Any) -> None:
    bot = count(redis)
    for _ in range(2):
        bot.hello(2, 4)
    [(key, version)] = bot.versions().items()
    bot.hello(2, 5)
    grown = bot.find(key)
    assert grown is not None
    assert (grown.lost, grown.version) == (3, version + 1)
    for _ in range(2):
        ended = told(bot.hello(2, 2))
    assert ended.lost == 0
    over = bot.find(key)
    assert over is not None
    assert over.ended >= over.began > 0
    assert bot.versions() == {key: version + 2}
    for _ in range(2):
        bot.hello(2, 3)
    assert len(bot.versions()) == 2


def test_only_so_many_records_are_kept(redis: Any) -> None:
    bot = count(redis)
    for _ in range(30):
        for at_slack in (4, 4, 2, 2):
            bot.hello(2, at_slack)
    assert len(bot.versions()) == 20


def test_a_change_is_marked_in_the_index_of_messages_once(redis: Any) -> None:
    bot = count(redis)
    for _ in range(2):
        bot.hello(2, 4)
    index = "gateway-bot:{messages}:owed"
    assert redis.zrange(index, 0, -1) == ["connections:1"]
    redis.delete(index)
    bot.hello(2, 4)
    bot.report(2)
    assert redis.zrange(index, 0, -1) == []


@pytest.mark.parametrize(
    ("counted", "room"),
    [
        (Counted(of_bots=2, at_slack=2, age=0, lost=0, doubted=False), True),
        (Counted(of_bots=2, at_slack=8, age=0, lost=0, doubted=True), True),
        (Counted(of_bots=2, at_slack=9, age=0, lost=0, doubted=True), False),
        (Counted(of_bots=2, at_slack=9, age=600, lost=0, doubted=False), True),
        (Counted(of_bots=2, at_slack=9, age=600, lost=7, doubted=False), False),
        (Counted(of_bots=2, at_slack=2, age=60, lost=7, doubted=True), True),
        (Counted(of_bots=2, at_slack=9, age=7200, lost=7, doubted=False), True),
        (Counted(of_bots=9, at_slack=4, age=7200, lost=0, doubted=False), False),
    ],
)
def test_the_tenth_place_is_left_free(counted: Counted, room: bool) -> None:
    assert counted.room is room


def test_what_a_newer_bot_counts_is_left_alone(redis: Any) -> None:
    redis.hset("gateway-bot:{slack}:connections", "format", 99)
    assert count(redis).hello(2, 4) is None
