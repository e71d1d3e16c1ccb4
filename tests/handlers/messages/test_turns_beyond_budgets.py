"""Messages beyond what Slack takes in a minute wait for their turns, and cost little meanwhile."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.sandbox.slack import Channel
from bot.sandbox.valkey import Valkey
from deploy.actions.action import Action
from deploy.actions.connection import connect
from deploy.actions.owed import Owed
from deploy.actions.pauses import Pause
from deploy.actions.store import ActionStore
from deploy.deadline import Deadline
from deploy.gateway import GatewayRef
from handlers.messages.action_messages import NAME, ActionMessages
from handlers.messages.budgets import Bucket
from handlers.messages.engine import Engine
from handlers.messages.store import Intent, Lack, MessageRecord, MessageStore
from handlers.messages.turn import Turns
from tests.support import actions
from tests.support.actions import CODEC
from tests.support.redis_servers import started
from tests.support.slack_workspace import ANA, BOT, BOT_TOKEN, running, workspace
from tests.support.waiting import until

_MESSAGES = 60
_LETTERS = "ABCDEFGHJK"


class Counting(MessageStore):
    """How often a call was asked for, and given."""

    asked = posts = 0

    def spend(
        self, record: MessageRecord, buckets: Sequence[Bucket], intent: Intent | None = None
    ) -> Lack | None:
        self.asked += 1
        lack = super().spend(record, buckets, intent)
        self.posts += lack is None
        return lack


def shown(
    action: Action, *, beside: Sequence[Action] = (), paused: Pause | None = None
) -> tuple[str, list[dict[str, Any]]]:
    return f"{action.id} is {action.state}", []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


def test_messages_of_many_channels_that_lack_the_workspaces_budget_do_not_all_come_back_each_second(
    server: Valkey,
) -> None:
    channels = [f"C0MANY{number}" for number in range(_MESSAGES)]
    more = [Channel(name, name.lower(), members=(ANA, BOT)) for name in channels]
    redis = connect(server.url)
    store, counting = ActionStore(redis, CODEC), Counting(redis, "bot-1")
    with running(workspace(more=more)) as person:
        family = ActionMessages(store, shown, lambda *_: ())
        turns = Turns(WebClient(token=BOT_TOKEN, base_url=f"{person.slack.url}/api/"), counting)
        engine = Engine(turns, [(family, Owed(redis, NAME))], poll_seconds=0.2)
        engine.start()
        try:
            for number, channel in enumerate(channels):
                name = "AAAA" + _LETTERS[number // 10] + _LETTERS[number % 10]
                ref = GatewayRef("west", "dev", f"edge-{number}")
                actions.ask(store, name, ref=ref, requester=ANA, origin={"channel": channel})
            until(lambda: counting.posts >= _MESSAGES, "all of them", 60)
        finally:
            engine.stop(Deadline.after(5))
    # Each asks when it is due, and once more at its turn; some turns go to others meanwhile.
    assert counting.asked <= 3 * _MESSAGES
