"""A batch is posted at most once, each of its plans once and in its thread, and it ends in the truth,
whichever of its calls the bot dies at."""

import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.sandbox.valkey import Valkey
from deploy.actions.action import Outcome, State
from deploy.actions.batches import Batches
from deploy.actions.connection import connect
from deploy.actions.records import BATCHES
from deploy.actions.store import ActionStore
from handlers.messages.action_messages import ActionMessages
from handlers.messages.batch_messages import BatchMessages
from handlers.messages.family import Family
from handlers.messages.store import MessageRecord, MessageStore
from handlers.views import action as action_view
from handlers.views import notes
from tests.faults.message_scene import Bot, Killed, Life, settle
from tests.support.actions import CODEC
from tests.support.batches import DEV, PRODUCTION, members, restart_each
from tests.support.changes import Changes
from tests.support.redis_servers import started
from tests.support.slack_fixtures import client, person
from tests.support.slack_workspace import ANA, OPS, Person

__all__ = ["client", "person"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


def bots(redis: Any, slack: WebClient, life: Life | None = None) -> list[Bot]:
    """One bot, as what shows plans and what shows batches; both end with its life."""
    life = life or Life()
    messages = MessageStore(redis, "peeking")

    def of_actions(client: Any) -> Family:
        def known(batch: str) -> MessageRecord | None:
            return messages.known(BATCHES, batch)

        store = ActionStore(client, CODEC)
        return ActionMessages(store, action_view.render, notes.notes, batch_message=known)

    def of_batches(client: Any) -> Family:
        where = Changes(redis).authority.environment
        return BatchMessages(Batches(client), ActionStore(client, CODEC), where)

    return [Bot(redis, slack, lambda redis: [of_batches(redis), of_actions(redis)], life)]


def asked(redis: Any) -> Changes:
    """A restart of one gateway outside production and one in it."""
    redis.flushall()
    # A bot has looked here before: what was posted is on record.
    MessageStore(redis, "bot").due(1)
    changes = Changes(redis)
    restart_each(changes, (DEV[0], PRODUCTION[0]), user=ANA, channel=OPS)
    return changes


def end(changes: Changes) -> None:
    """One is carried out, the other denied; may be repeated."""
    first, second = members(changes).values()
    changes.agree(first, ANA)
    store = changes.store
    if store.claim(first.id, "bot", 1, 60):
        store.finish(first.id, "bot", 1, Outcome(State.SUCCEEDED, "It restarted."))
    changes.deny(second, "U2", reason="not today")


_PLAN = re.compile(r"<@\w+>(?: asks|'s request) to restart (\S+) ")


def assert_true_and_once(person: Person) -> None:
    found = person.messages()
    (top,) = [m for m in found if m.get("thread_ts") in (None, m["ts"])]
    assert "1 of 2 done, 1 denied." in top["text"]
    lines = Counter(match[1] for m in found if (match := _PLAN.match(m["text"])))
    assert lines["west/dev/edge-1"] == 1
    assert lines["west/prod/edge-3"] == 1
    texts = Counter(m["text"] for m in found)
    assert [text for text, count in texts.items() if count > 1] == []
    assert sum("has ended" in text for text in texts) == 1
    assert sum("<!subteam^S1>" in text for text in texts) <= 1


def life_of(redis: Any, slack: WebClient) -> int:
    """How many calls it takes to show a batch to its end."""
    life = Life()
    changes = asked(redis)
    both = bots(redis, slack, life)
    settle(redis, both)
    end(changes)
    settle(redis, both)
    return life.calls


_STEP = 5
"""A life of a batch makes some two hundred calls and takes three seconds, so not every one is tried."""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("after", [False, True], ids=["before it is made", "after it is made"])
def test_a_bot_that_dies_at_one_of_its_calls_leaves_a_batch_that_the_next_one_ends(
    person: Person, client: WebClient, server: Valkey, after: bool
) -> None:
    redis = connect(server.url)
    total = life_of(redis, client)
    assert_true_and_once(person)
    for last in range(3 if after else 1, total + 1, _STEP):
        person.post("reset")
        changes = asked(redis)
        dying = bots(redis, client, Life(last, after=after))
        with contextlib.suppress(Killed):
            settle(redis, dying)
            end(changes)
            settle(redis, dying)
        end(changes)
        settle(redis, bots(redis, client))
        assert_true_and_once(person)
