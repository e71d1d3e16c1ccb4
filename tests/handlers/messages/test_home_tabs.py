"""Home tabs are drawn when they are opened, and again for whoever opened theirs lately."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.actions.owed import Owed
from handlers.messages.engine import Engine
from handlers.messages.home_tabs import (
    ANEW_SECONDS,
    NAME,
    READ_SECONDS,
    HomeReaders,
    HomeTabs,
)
from handlers.messages.store import MessageStore
from handlers.messages.turn import Turns
from handlers.views.reply import View
from tests.support.redis_servers import started
from tests.support.waiting import until

INDEX = "gateway-bot:{messages}:owed"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def redis(server: Valkey) -> Any:
    client = connect(server.url)
    client.flushall()
    return client


@dataclass(frozen=True)
class Drawn:
    view: View
    digest: str
    closed: bool = False


@dataclass
class World:
    """What tabs show, and what Slack was given."""

    state: str = "one request"
    strangers: set[str] = field(default_factory=set)
    published: list[tuple[str, str]] = field(default_factory=list)
    refuses: list[Exception] = field(default_factory=list)

    def draw(self, user: str) -> Drawn:
        if self.state == "a fault":
            raise ZeroDivisionError
        if user in self.strangers:
            return Drawn({"state": "nothing for you"}, "refused", closed=True)
        return Drawn({"state": self.state}, self.state)

    def views_publish(self, *, user_id: str, view: View) -> None:
        if self.refuses:
            raise self.refuses.pop(0)
        self.published.append((user_id, str(view["state"])))


class Bot:
    """One bot's engine over the shared Redis; tabs change `apart` seconds apart."""

    def __init__(self, redis: Any, world: World, owner: str = "bot-1", apart: float = 0.0) -> None:
        slack: Any = world
        self.now = 0.0
        store = MessageStore(redis, owner)
        self.readers = HomeReaders(redis)
        self.tabs = HomeTabs(
            slack,
            store,
            self.readers,
            Owed(redis, NAME),
            world.draw,
            {"state": "plain"},
            apart=apart,
            clock=lambda: self.now,
        )
        self.engine = Engine(Turns(slack, store), [], tabs=[self.tabs])

    def steps(self) -> None:
        """All that is due."""
        while self.engine.step():
            pass


def changed(redis: Any, bot: Bot) -> None:
    """Something that tabs show has changed, and enough time has passed."""
    bot.readers.behind()
    for member, at in redis.zrange(INDEX, 0, -1, withscores=True):
        redis.zadd(INDEX, {member: at - 60_000})


def test_a_tab_that_is_opened_is_drawn(redis: Any) -> None:
    world = World()
    bot = Bot(redis, world)
    bot.tabs.opened("U0ANA")
    bot.steps()
    assert world.published == [("U0ANA", "one request")]
    bot.tabs.opened("U0ANA")
    bot.steps()
    assert len(world.published) == 2, "Refresh shows at least when it was read"


def test_what_changes_is_drawn_for_those_who_opened_their_tab_and_for_nobody_else(
    redis: Any,
) -> None:
    world = World()
    bot = Bot(redis, world)
    for user in ("U0ANA", "U0BEN"):
        bot.tabs.opened(user)
    bot.steps()
    world.state = "decided"
    changed(redis, bot)
    bot.steps()
    assert sorted(world.published[2:]) == [("U0ANA", "decided"), ("U0BEN", "decided")]


def test_a_tab_whose_record_redis_has_lost_is_drawn_again_and_kept_true(redis: Any) -> None:
    world = World()
    bot = Bot(redis, world)
    bot.tabs.opened("U0ANA")
    bot.steps()
    bot.tabs.sweep()
    bot.steps()
    assert len(world.published) == 1, "nothing was lost"
    world.state = "decided"
    redis.flushall()
    bot.now += 60
    bot.tabs.sweep()
    bot.steps()
    assert world.published[1:] == [("U0ANA", "decided")]
    world.state = "done"
    changed(redis, bot)
    bot.steps()
    assert world.published[2:] == [("U0ANA", "done")]


def test_a_tab_that_was_lost_before_it_was_drawn_is_drawn(redis: Any) -> None:
    world = World()
    bot = Bot(redis, world)
    bot.tabs.opened("U0ANA")
    redis.flushall()
    bot.tabs.sweep()
    bot.steps()
    assert world.published == [("U0ANA", "one request")]


def test_a_tab_that_slack_has_lost_is_published_again_in_a_while(redis: Any) -> None:
    world = World()
    bot = Bot(redis, world)
    bot.tabs.opened("U0ANA")
    bot.steps()
    for key in redis.scan_iter("*home:U0ANA*"):
        if redis.hexists(key, "shown"):
            redis.hincrby(key, "shown", -int(ANEW_SECONDS))
    bot.now += ANEW_SECONDS
    bot.tabs.sweep()
    for member, at in redis.zrange(INDEX, 0, -1, withscores=True):
        redis.zadd(INDEX, {member: at - 60_000})
    bot.steps()
    assert world.published == [("U0ANA", "one request")] * 2


def test_nobody_is_restored_who_opened_their_tab_long_ago(redis: Any) -> None:
    world = World()
    bot = Bot(redis, world)
    bot.tabs.opened("U0ANA")
    bot.steps()
    redis.flushall()
    bot.now += READ_SECONDS
    bot.tabs.sweep()
    assert bot.readers.behind() == 0


def test_a_change_that_a_tab_does_not_show_publishes_nothing(redis: Any) -> None:
    world = World()
    bot = Bot(redis, world)
    bot.tabs.opened("U0ANA")
    bot.steps()
    changed(redis, bot)
    bot.steps()
    assert len(world.published) == 1
    assert redis.zcard(INDEX) == 0


def test_of_two_bots_one_draws_a_change(redis: Any) -> None:
    world = World()
    bots = [Bot(redis, world, owner) for owner in ("bot-1", "bot-2")]
    bots[0].tabs.opened("U0ANA")
    bots[0].steps()
    world.state = "decided"
    changed(redis, bots[1])
    for bot in bots:
        bot.steps()
    assert world.published[1:] == [("U0ANA", "decided")]


def test_a_tab_changes_by_itself_only_so_often_and_then_shows_the_newest_state(redis: Any) -> None:
    world = World()
    bot = Bot(redis, world, apart=3600)
    bot.tabs.opened("U0ANA")
    bot.steps()
    for world.state in ("first", "second", "third"):
        changed(redis, bot)
        bot.steps()
    assert len(world.published) == 1
    assert redis.zcard(INDEX) == 1, "what may not be shown yet is still owed"
    soon = Bot(redis, world, "bot-2")
    redis.zadd(INDEX, {f"{NAME}:U0ANA": 0})
    soon.steps()
    assert world.published[1:] == [("U0ANA", "third")]


def test_what_slack_puts_off_is_drawn_later_as_it_is_then(redis: Any) -> None:
    world = World()
    bot = Bot(redis, world)
    limited: Any = SimpleNamespace(
        status_code=429, headers={"Retry-After": "1"}, get=lambda name: "ratelimited"
    )
    world.refuses.append(SlackApiError("ratelimited", limited))
    bot.tabs.opened("U0ANA")
    bot.steps()
    assert world.published == []
    world.state = "newer"
    until(lambda: bot.engine.step() and world.published, "the tab, once Slack accepts it")
    assert world.published == [("U0ANA", "newer")]


def test_nothing_is_kept_true_for_whoever_may_see_nothing(redis: Any) -> None:
    world = World(strangers={"U0GUS"})
    bot = Bot(redis, world)
    bot.tabs.opened("U0GUS")
    bot.steps()
    assert world.published == [("U0GUS", "nothing for you")]
    world.strangers.clear()
    changed(redis, bot)
    bot.steps()
    assert len(world.published) == 1


def test_somebody_who_opened_their_tab_long_ago_is_left_alone(redis: Any) -> None:
    world = World()
    bot = Bot(redis, world)
    bot.tabs.opened("U0ANA")
    bot.steps()
    redis.zadd("gateway-bot:{messages}:readers", {"U0ANA": 1})
    world.state = "decided"
    changed(redis, bot)
    Owed(redis, NAME).now("U0ANA")
    bot.steps()
    assert len(world.published) == 1


def test_a_tab_that_cannot_be_drawn_or_is_refused_has_a_plain_form(redis: Any) -> None:
    world = World(state="a fault")
    bot = Bot(redis, world)
    bot.tabs.opened("U0ANA")
    bot.steps()
    assert world.published == [("U0ANA", "plain")]
    world.state = "mended"
    refused: Any = SimpleNamespace(
        status_code=200, headers={}, get={"error": "invalid_arguments"}.get
    )
    world.refuses.append(SlackApiError("invalid_arguments", refused))
    changed(redis, bot)
    bot.steps()
    assert world.published[1:] == [("U0ANA", "plain")]
    assert redis.zcard(INDEX) == 0, "nothing is repeated unchanged for ever"
