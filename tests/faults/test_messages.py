"""What becomes of an action's message where Slack does not accept what it says, or where it is said."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.sandbox.valkey import Valkey
from deploy.actions.action import Action, Outcome, State
from deploy.actions.connection import connect
from deploy.actions.owed import Owed
from deploy.actions.pauses import Pause
from deploy.actions.store import ActionStore
from deploy.policy import People
from handlers.messages.action_messages import ActionMessages
from handlers.messages.family import Family, Message
from handlers.messages.store import MessageRecord, MessageStore, Place
from handlers.views import action as action_view
from handlers.views import notes
from handlers.views.text import section
from tests.faults.message_cases import LONG
from tests.faults.message_scene import Bot, Call, Lost, refusal, settle
from tests.faults.message_troubles import both, looks, once, posts
from tests.support import actions
from tests.support.actions import CODEC, by_approvers
from tests.support.changes import PROD
from tests.support.redis_servers import started
from tests.support.slack_fixtures import client, person
from tests.support.slack_workspace import ANA, BEN, OPS, Person

__all__ = ["client", "person"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def redis(server: Valkey) -> Any:
    found = connect(server.url)
    found.flushall()
    # A bot has looked here before: what was posted is on record.
    MessageStore(found, "bot").due(1)
    return found


def shown(
    action: Action, *, beside: Sequence[Action] = (), paused: Pause | None = None
) -> tuple[str, list[dict[str, Any]]]:
    text = f"{action.id} is {action.state}"
    return text, [section(text)]


def family(redis: Any) -> Family:
    return ActionMessages(ActionStore(redis, CODEC), shown, notes.notes)


def ask(redis: Any, name: str) -> None:
    policy = by_approvers(people=People(groups=("S0APP",)))
    store, origin = ActionStore(redis, CODEC), {"channel": OPS}
    actions.ask(store, name, ref=PROD, requester=ANA, policy=policy, origin=origin, ttl=LONG)


def deny(redis: Any, name: str) -> None:
    actions.deny(ActionStore(redis, CODEC), BEN, name, reason="no")


@pytest.mark.parametrize("reason", ["invalid_blocks", "msg_blocks_too_long", "never_seen_before"])
def test_what_slack_refuses_for_its_content_is_shown_in_a_plain_form(
    person: Person, client: WebClient, redis: Any, reason: str
) -> None:
    refused: list[Call] = []

    def trouble(call: Call) -> Exception | None:
        if call[0] == "chat.update" and call[1].get("blocks") not in (None, [], "[]"):
            refused.append(call)
            return refusal(reason)
        return None

    bot = Bot(redis, client, family, trouble=trouble)
    ask(redis, "AAAAAA")
    settle(redis, [bot])
    deny(redis, "AAAAAA")
    settle(redis, [bot])
    assert len(refused) == 1
    tops = [m["text"] for m in person.messages() if m.get("thread_ts") in (None, m["ts"])]
    assert len(tops) == 1
    assert tops[0].startswith(f"deploy {PROD}: denied.")


def test_what_slack_refuses_even_then_ends_in_a_line_to_the_requester(
    person: Person, client: WebClient, redis: Any, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[Call] = []

    def trouble(call: Call) -> Exception | None:
        calls.append(call)
        refuses = call[0] == "chat.update" or (posts(call) and call[1].get("channel") == OPS)
        return refusal("invalid_arguments") if refuses else None

    ask(redis, "AAAAAA")
    bot = Bot(redis, client, family, trouble=trouble)
    settle(redis, [bot])
    deny(redis, "AAAAAA")
    settle(redis, [bot])
    direct: Any = client.conversations_open(users=ANA)
    told = [m["text"] for m in person.messages(str(direct["channel"]["id"]), user="ana")]
    assert sum("could not be posted" in text for text in told) == 1
    assert sum("denied" in text for text in told) == 1
    assert "action:AAAAAA" in caplog.text
    assert len(calls) < 15


def test_an_outcome_that_is_too_long_for_a_message_is_whole_in_its_thread(
    person: Person, client: WebClient, redis: Any
) -> None:
    store = ActionStore(redis, CODEC)
    refusal_of_a_webhook = "admission webhook denied the request: " + "policy violated; " * 900

    def real(redis: Any) -> Family:
        return ActionMessages(ActionStore(redis, CODEC), action_view.render, notes.notes)

    bot = Bot(redis, client, real)
    actions.ask(store, "AAAAAA", ref=PROD, requester=ANA, origin={"channel": OPS}, ttl=LONG)
    settle(redis, [bot])
    actions.confirm(store, by=ANA)
    assert store.claim("AAAAAA", "bot-1", 1, 30) is not None
    store.finish("AAAAAA", "bot-1", 1, Outcome(State.FAILED, refusal_of_a_webhook))
    settle(redis, [bot])
    tops = [m for m in person.messages() if m.get("thread_ts") in (None, m["ts"])]
    assert len(tops) == 1
    assert "admission webhook denied the request" in str(tops[0]["blocks"])
    lines = [m["text"] for m in person.messages() if m.get("thread_ts") not in (None, m["ts"])]
    assert lines[0].startswith(f"<@{ANA}> ")
    assert refusal_of_a_webhook.replace(" ", "") in "".join(lines).replace(" ", "")


@pytest.mark.parametrize("reason", ["is_archived", "not_in_channel", "channel_not_found"])
def test_a_channel_that_closes_meanwhile_is_followed_by_the_requester_s_own(
    person: Person, client: WebClient, redis: Any, reason: str
) -> None:
    ask(redis, "AAAAAA")
    settle(redis, [Bot(redis, client, family)])

    def closed(call: Call) -> Exception | None:
        return refusal(reason) if call[1].get("channel") == OPS else None

    deny(redis, "AAAAAA")
    settle(redis, [Bot(redis, client, family, trouble=closed)])
    direct: Any = client.conversations_open(users=ANA)
    told = [m["text"] for m in person.messages(str(direct["channel"]["id"]), user="ana")]
    assert told.count("AAAAAA is denied") == 1


def test_a_post_that_cannot_be_looked_for_is_not_made_again_and_its_requester_hears_of_it(
    person: Person, client: WebClient, redis: Any
) -> None:
    trouble = both(
        once(lambda c: Lost() if posts(c) else None),
        lambda c: refusal("missing_scope") if looks(c) else None,
    )
    ask(redis, "AAAAAA")
    settle(redis, [Bot(redis, client, family, trouble=trouble)])
    deny(redis, "AAAAAA")
    settle(redis, [Bot(redis, client, family, trouble=trouble)])
    tops = [m["text"] for m in person.messages() if m["text"].startswith("AAAAAA")]
    assert tops == ["AAAAAA is pending"]
    direct: Any = client.conversations_open(users=ANA)
    told = [m["text"] for m in person.messages(str(direct["channel"]["id"]), user="ana")]
    assert sum("`/gateway approve AAAAAA`" in text for text in told) == 1
    assert sum("denied" in text for text in told) == 1


class Titled:
    """A family of one message that stands in the thread of its title."""

    name = "titled"

    def load(self, key: str, record: MessageRecord) -> str:
        return key

    def render(self, state: str, record: MessageRecord) -> Message:
        return Message(1, state, (section(state),), (OPS,), 0.0, title="a title", final=True)

    def plain(self, state: str, record: MessageRecord) -> Message:
        return Message(1, f"plain {state}", (), (OPS,), 0.0, title="a title", final=True)

    def versions(self) -> dict[str, int]:
        return {}


def test_a_title_is_posted_once_though_slack_refuses_what_stands_in_its_thread(
    person: Person, client: WebClient, redis: Any
) -> None:
    def trouble(call: Call) -> Exception | None:
        return refusal("invalid_blocks") if posts(call) and call[1].get("blocks") else None

    Owed(redis, Titled.name).now("first")
    settle(redis, [Bot(redis, client, lambda redis: Titled(), trouble=trouble)])
    assert [m["text"] for m in person.messages()] == ["a title", "plain first"]


def test_a_long_line_that_goes_elsewhere_is_there_once(
    person: Person, client: WebClient, redis: Any
) -> None:
    def closed(call: Call) -> Exception | None:
        personal = posts(call) and call[1].get("channel") == ANA
        return refusal("user_disabled") if personal else None

    store, end = ActionStore(redis, CODEC), "it is so " * 900
    ask(redis, "AAAAAA")
    actions.approve(store, BEN)
    assert store.claim("AAAAAA", "bot-1", 1, 30) is not None
    store.finish("AAAAAA", "bot-1", 1, Outcome(State.FAILED, end))
    settle(redis, [Bot(redis, client, family, trouble=closed)])
    lines = [m["text"] for m in person.messages() if "it is so" in m["text"]]
    # Once for everybody, and once for the requester by name.
    assert "".join(lines).count("it is so") == 2 * 900


def test_what_was_marked_while_nothing_was_found_is_looked_at_again(redis: Any) -> None:
    store, owed = MessageStore(redis, "bot-1"), Owed(redis, "action")
    owed.now("AAAAAA")
    record = store.take("action", "AAAAAA")
    assert record is not None
    owed.now("AAAAAA")
    store.drop(record)
    assert store.due(10).members == (("action", "AAAAAA"),)
    later = MessageStore(redis, "bot-2").take("action", "AAAAAA")
    assert later is not None
    store.drop(record)
    assert MessageStore(redis, "bot-2").posted(later, Place("C1", "1.0"), "d").place is not None
    assert store.place("action", "AAAAAA") == Place("C1", "1.0")
