"""The message of an action and its lines are posted once, whatever Slack does meanwhile."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox.valkey import Valkey
from deploy.actions.action import Action, Outcome, State
from deploy.actions.codec import VERSION
from deploy.actions.connection import connect
from deploy.actions.owed import Owed
from deploy.actions.pauses import Pause
from deploy.actions.reminders import remind
from deploy.actions.second_looks import SecondLooks
from deploy.actions.store import ActionStore
from deploy.deadline import Deadline
from deploy.policy import People
from handlers.messages.action_messages import NAME, ActionMessages, Render
from handlers.messages.engine import Engine
from handlers.messages.store import MessageStore
from handlers.messages.turn import Turns
from handlers.views import action as action_view
from handlers.views import notes
from tests.support import actions
from tests.support.actions import CODEC, by_approvers
from tests.support.changes import PROD
from tests.support.redis_servers import started
from tests.support.slack_workspace import ANA, BEN, BOT, OPS, Person
from tests.support.waiting import until

JSON = dict[str, Any]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


@pytest.fixture
def store(server: Valkey) -> ActionStore:
    return ActionStore(connect(server.url), CODEC)


class Forgetful(WebClient):
    """Slack carries out each call, but the first answers are lost on the way back."""

    def __init__(self, like: WebClient, lose: int) -> None:
        super().__init__(token=like.token, base_url=like.base_url)
        self.lose = lose

    def api_call(self, api_method: str, **arguments: Any) -> Any:
        answer = super().api_call(api_method, **arguments)
        if api_method == "chat.postMessage" and self.lose:
            self.lose -= 1
            raise ConnectionResetError
        return answer


def shown(
    action: Action, *, beside: Sequence[Action] = (), paused: Pause | None = None
) -> tuple[str, list[JSON]]:
    return f"{action.id} is {action.state}", []


@contextmanager
def delivering(
    client: WebClient, server: Valkey, owner: str = "bot-1", render: Render = shown
) -> Iterator[Engine]:
    redis = connect(server.url)
    family = ActionMessages(ActionStore(redis, CODEC), render, notes.notes)
    turns = Turns(client, MessageStore(redis, owner))
    made = Engine(turns, [(family, Owed(redis, NAME))], poll_seconds=0.2, sweep_seconds=1)
    made.start()
    try:
        yield made
    finally:
        made.stop(Deadline.after(5))


def ask(store: ActionStore, name: str = "AAAAAA", ttl: int = 600) -> None:
    policy = by_approvers(people=People(groups=("S0APP",)))
    origin = {"channel": OPS}
    actions.ask(store, name, ref=PROD, requester=ANA, policy=policy, origin=origin, ttl=ttl)


def deny(store: ActionStore, name: str = "AAAAAA") -> None:
    actions.deny(store, BEN, name, reason="no")


def owed(server: Valkey) -> list[str]:
    """Messages that are due later than now."""
    found = connect(server.url).zrange("gateway-bot:{messages}:owed", 0, -1, withscores=True)
    return [str(name) for name, at in found if at > 1]


def top(person: Person) -> list[str]:
    return [m["text"] for m in person.messages() if m.get("thread_ts") in (None, m["ts"])]


def replies(person: Person) -> list[str]:
    return [m["text"] for m in person.messages() if m.get("thread_ts") not in (None, m["ts"])]


def settled(person: Person, count: int) -> Callable[[], bool]:
    return lambda: "AAAAAA is denied" in top(person) and len(replies(person)) >= count


def test_a_message_whose_posting_was_not_confirmed_is_found_and_not_posted_again(
    person: Person, client: WebClient, server: Valkey, store: ActionStore
) -> None:
    forgetful = Forgetful(client, lose=3)
    with delivering(forgetful, server):
        ask(store)
        until(lambda: "AAAAAA is pending" in top(person), "the message")
        deny(store)
        until(settled(person, 2), "the end", 60)
    assert top(person) == ["AAAAAA is denied"]
    asked, ended = replies(person)
    assert f"<@{ANA}> asked for this" in asked
    assert f"<@{BEN}>" in ended


def test_a_slack_that_says_to_wait_is_waited_for_and_told_everything_once(
    person: Person, client: WebClient, server: Valkey, store: ActionStore
) -> None:
    person.set_fault("burst_429", True)
    with delivering(client, server):
        ask(store)
        deny(store)
        until(settled(person, 2), "the end", 60)
    assert top(person) == ["AAAAAA is denied"]
    assert len(replies(person)) == 2


def test_the_message_of_a_newer_action_is_reported_once_as_left_alone(
    person: Person,
    client: WebClient,
    server: Valkey,
    store: ActionStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ask(store)
    redis = connect(server.url)
    redis.hset("gateway-bot:{a:AAAAAA}:act", "format", VERSION + 1)
    with delivering(client, server):
        until(lambda: caplog.records, "the report")
        ask(store, "BBBBBB")
        until(lambda: "BBBBBB is pending" in top(person), "the other message")
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert [line.partition(":")[0] for line in said] == [
        "Action AAAAAA cannot be read by this version of the bot"
    ]
    assert top(person) == ["BBBBBB is pending"]


class Refusing(WebClient):
    """A Slack that rejects every message with the given error."""

    def __init__(self, like: WebClient, status: int, reason: str) -> None:
        super().__init__(token=like.token, base_url=like.base_url)
        self.status, self.reason = status, reason
        self.refused = 0

    def chat_postMessage(self, **arguments: Any) -> Any:  # noqa: N802  # as the SDK has it
        self.refused += 1
        answer: Any = SimpleNamespace(
            get=lambda name: {"error": self.reason}.get(name),
            status_code=self.status,
            headers={"Retry-After": "300"},
        )
        raise SlackApiError(self.reason, answer)


@pytest.mark.parametrize(("status", "reason"), [(429, "ratelimited"), (200, "token_revoked")])
def test_every_bot_waits_where_slack_says_so(
    client: WebClient, server: Valkey, store: ActionStore, status: int, reason: str
) -> None:
    slack = Refusing(client, status, reason)
    with delivering(slack, server):
        ask(store)
        until(lambda: slack.refused, "the refusal")
        until(lambda: owed(server), "the message to wait")
    assert MessageStore(connect(server.url), "bot-1").take(NAME, "AAAAAA") is None
    assert MessageStore(connect(server.url), "bot-2").take(NAME, "AAAAAA") is None
    assert slack.refused == 1


def test_a_message_that_somebody_deleted_is_posted_anew_in_its_newest_state(
    person: Person, client: WebClient, server: Valkey, store: ActionStore
) -> None:
    with delivering(client, server):
        ask(store)
        until(lambda: "AAAAAA is pending" in top(person), "the message")
        until(lambda: len(replies(person)) == 1, "its thread")
        (message,) = [m for m in person.messages() if m["text"] == "AAAAAA is pending"]
        client.chat_delete(channel=OPS, ts=message["ts"])
        deny(store)
        until(lambda: "AAAAAA is denied" in top(person), "the new message")


def test_four_bots_tell_everything_once(
    person: Person, client: WebClient, server: Valkey, store: ActionStore
) -> None:
    with (
        delivering(client, server, "bot-1"),
        delivering(client, server, "bot-2"),
        delivering(client, server, "bot-3"),
        delivering(client, server, "bot-4"),
    ):
        for name in ("AAAAAA", "BBBBBB", "CCCCCC"):
            ask(store, name)
            deny(store, name)
        until(lambda: len(replies(person)) >= 6, "the threads", 60)
        every = [f"{name} is denied" for name in ("AAAAAA", "BBBBBB", "CCCCCC")]
        until(lambda: sorted(top(person)) == every, "the messages")
    assert sorted(top(person)) == every
    assert len(replies(person)) == 6


def test_a_revert_is_reported_once_in_the_thread_of_what_succeeded(
    person: Person, client: WebClient, server: Valkey, store: ActionStore
) -> None:
    redis = connect(server.url)
    with delivering(client, server, "bot-1"), delivering(client, server, "bot-2"):
        ask(store)
        actions.approve(store, BEN)
        action = actions.carried_out(redis, store)
        until(lambda: "AAAAAA is succeeded" in top(person), "the end")
        until(lambda: len(replies(person)) == 3, "its line")
        for _ in range(2):
            looks = SecondLooks(redis, CODEC, store, lambda action: "Undone <since>.", after=0.0)
            assert action.outcome is not None
            looks.expect(action, action.outcome)
            looks.step()
        until(lambda: len(replies(person)) == 4, "the revert")
        until(lambda: not owed(server), "all to be shown")
    assert replies(person)[3] == ":warning: Undone &lt;since&gt;."
    assert top(person) == ["AAAAAA is succeeded"]


def test_approvers_are_reminded_in_the_thread_and_the_requester_hears_of_the_expiry(
    person: Person, client: WebClient, server: Valkey, store: ActionStore
) -> None:
    ask(store)
    redis, key = connect(server.url), "gateway-bot:{a:AAAAAA}:act"
    # Move the request into the past, so that a quarter of the time to decide is left.
    redis.hincrby(key, "created", -6_000_000)
    (action,) = store.open()
    with delivering(client, server):
        assert remind(store, action)
        assert not remind(store, action)
        until(lambda: any("still waits" in line for line in replies(person)), "the reminder")
        redis.hset(key, "expires", 1)
        assert getattr(store.look_after("AAAAAA")[0], "final", False)
        until(lambda: "AAAAAA is expired" in top(person), "the message")
        direct = until(
            lambda: [
                c["id"] for c in person.get("state")["channels"] if str(c["id"]).startswith("D")
            ],
            "a direct message",
        )
        until(lambda: person.messages(direct[0], user="ana"), "words to the requester")
    assert "<!subteam^S0APP>" in "".join(replies(person))


class Announcements(WebClient):
    """A channel in which neither members nor apps may post."""

    def __init__(self, like: WebClient, reason: str, lose: int = 0) -> None:
        super().__init__(token=like.token, base_url=like.base_url)
        self.reason = reason
        self.lose = lose

    def chat_postMessage(self, *, channel: str, **arguments: Any) -> Any:  # noqa: N802  # as the SDK has it
        if channel == OPS:
            answer: Any = SimpleNamespace(
                get=lambda name: {"error": self.reason}.get(name), status_code=200, headers={}
            )
            raise SlackApiError(self.reason, answer)
        posted = super().chat_postMessage(channel=channel, **arguments)
        if self.lose:
            self.lose -= 1
            raise ConnectionResetError
        return posted


@pytest.mark.parametrize("reason", ["restricted_action_read_only_channel", "is_archived"])
def test_where_nobody_may_post_the_requester_is_shown_the_plan_in_person(
    person: Person, client: WebClient, server: Valkey, store: ActionStore, reason: str
) -> None:
    direct: Any = client.conversations_open(users=ANA)
    channel = direct["channel"]["id"]
    with delivering(Announcements(client, reason), server):
        ask(store)
        until(
            lambda: (
                "AAAAAA is pending"
                in [m["text"] for m in client.conversations_history(channel=channel)["messages"]]
            ),
            "the plan",
        )


def buttons_in(client: WebClient, channel: str) -> set[str]:
    """Those of the newest message there that has any."""
    history: Any = client.conversations_history(channel=channel)
    for message in history["messages"]:
        found = [b for b in message.get("blocks", ()) if b["type"] == "actions"]
        if found:
            return {e["action_id"] for b in found for e in b["elements"]}
    return set()


def test_a_plan_in_the_requester_s_direct_messages_has_no_button_for_approvers(
    person: Person, client: WebClient, server: Valkey, store: ActionStore
) -> None:
    direct: Any = client.conversations_open(users=ANA)
    channel = direct["channel"]["id"]
    render = action_view.render
    with delivering(Announcements(client, "is_archived"), server, render=render):
        ask(store)
        until(lambda: buttons_in(client, channel), "the plan")
        assert buttons_in(client, channel) == {"action_cancel", "action_details"}
    with delivering(client, server, render=render):
        ask(store, "BBBBBB")
        until(lambda: buttons_in(client, OPS), "the plan in the channel")
        assert "action_approve" in buttons_in(client, OPS)


@pytest.mark.parametrize("end", ["deny", "cancel", "supersede"])
def test_the_message_of_a_plan_names_what_is_pending_beside_it_until_that_ends(
    person: Person, client: WebClient, server: Valkey, store: ActionStore, end: str
) -> None:
    def named(
        action: Action, *, beside: Sequence[Action] = (), paused: Pause | None = None
    ) -> tuple[str, list[JSON]]:
        return f"{action.id} beside {[each.id for each in beside]}", []

    def said() -> set[str]:
        return {str(m["text"]) for m in person.messages()}

    with delivering(client, server, render=named):
        ask(store)
        until(lambda: "AAAAAA beside []" in said(), "the first plan")
        ask(store, "BBBBBB")
        both = {"AAAAAA beside ['BBBBBB']", "BBBBBB beside ['AAAAAA']"}
        until(lambda: both <= said(), "each names the other")
        if end == "deny":
            deny(store, "BBBBBB")
        elif end == "cancel":
            store.cancel("BBBBBB", by=ANA, digest="d1", request_id="c1")
        else:
            store.supersede("BBBBBB", Outcome(State.SUPERSEDED, "Replaced."))
        until(lambda: "AAAAAA beside []" in said(), "the first plan alone")


def words_to_ana(client: WebClient) -> list[str]:
    direct: Any = client.conversations_open(users=ANA)
    history: Any = client.conversations_history(channel=direct["channel"]["id"])
    return [str(m["text"]) for m in history["messages"]]


def test_a_bot_that_is_taken_out_of_the_channel_tells_the_requester_in_person_how_it_ended(
    person: Person, client: WebClient, server: Valkey, store: ActionStore
) -> None:
    with delivering(client, server):
        ask(store)
        until(lambda: len(replies(person)) == 1, "the thread")
        person.post("members", channel=OPS, user=BOT, member=False)
        deny(store)
        until(
            lambda: [w for w in words_to_ana(client) if "Your request to deploy" in w],
            "words to the requester",
        )
        # A final action stays in the index until every message owed for it is posted.
        redis = connect(server.url)
        until(lambda: redis.zcard("gateway-bot:{messages}:owed") == 0, "everything to be paid")


class OutOfReach(WebClient):
    """The channel is private, and the bot is no longer a member. The answer to one post is lost on
    the way back."""

    gone = loses = False

    def __init__(self, like: WebClient) -> None:
        super().__init__(token=like.token, base_url=like.base_url)

    def api_call(self, api_method: str, **arguments: Any) -> Any:
        told = str(arguments.get("params") or arguments.get("json") or "")
        if self.gone and api_method != "conversations.open" and OPS in told:
            answer: Any = SimpleNamespace(
                get=lambda name: {"error": "channel_not_found"}.get(name),
                status_code=200,
                headers={},
            )
            raise SlackApiError("channel_not_found", answer)
        done = super().api_call(api_method, **arguments)
        if self.loses and api_method == "chat.postMessage":
            self.loses = False
            raise ConnectionResetError
        return done


def test_a_message_in_a_channel_out_of_reach_is_shown_to_the_requester_in_its_newest_state(
    person: Person, client: WebClient, server: Valkey, store: ActionStore
) -> None:
    slack = OutOfReach(client)
    with delivering(slack, server):
        ask(store)
        until(lambda: len(replies(person)) == 1, "the thread")
        slack.gone = slack.loses = True
        deny(store)
        until(
            lambda: [w for w in words_to_ana(client) if "Your request to deploy" in w],
            "words to the requester, which come last",
        )
    assert words_to_ana(client).count("AAAAAA is denied") == 1


class Unreachable(WebClient):
    """Nobody's direct messages can be opened."""

    def __init__(self, like: WebClient, reason: str) -> None:
        super().__init__(token=like.token, base_url=like.base_url)
        self.reason = reason

    def chat_postMessage(self, *, channel: str, **arguments: Any) -> Any:  # noqa: N802  # as the SDK has it
        if channel != ANA:
            return super().chat_postMessage(channel=channel, **arguments)
        answer: Any = SimpleNamespace(
            get=lambda name: {"error": self.reason}.get(name), status_code=200, headers={}
        )
        raise SlackApiError(self.reason, answer)


def test_a_requester_without_direct_messages_is_named_in_the_thread_and_holds_nothing_back(
    person: Person, client: WebClient, server: Valkey, store: ActionStore
) -> None:
    with delivering(Unreachable(client, "user_disabled"), server):
        ask(store)
        deny(store)
        until(settled(person, 3), "the end")
        redis = connect(server.url)
        until(lambda: redis.zcard("gateway-bot:{messages}:owed") == 0, "everything to be paid")
    assert replies(person)[2].startswith(f"<@{ANA}> Your request to deploy edge-1")


def test_what_is_to_be_told_in_person_later_keeps_no_line_of_the_thread(
    person: Person, client: WebClient, server: Valkey, store: ActionStore
) -> None:
    with delivering(Unreachable(client, "internal_error"), server):
        ask(store)
        actions.approve(store, BEN)
        store.cancel("AAAAAA", by=ANA, digest="d1", request_id="no")
        until(lambda: any("cancelled this" in line for line in replies(person)), "the last line")


def test_a_plan_sent_in_person_whose_posting_was_not_confirmed_is_not_sent_again(
    person: Person, client: WebClient, server: Valkey, store: ActionStore
) -> None:
    direct: Any = client.conversations_open(users=ANA)
    channel = direct["channel"]["id"]
    lossy = Announcements(client, "not_in_channel", lose=1)

    def told() -> list[str]:
        found: Any = client.conversations_history(channel=channel)
        return [m["text"] for m in found["messages"]]

    with delivering(lossy, server):
        ask(store)
        until(lambda: "AAAAAA is pending" in told(), "the plan")
        deny(store)
        until(lambda: "AAAAAA is denied" in told(), "the end")
        ts = next(
            m["ts"]
            for m in client.conversations_history(channel=channel)["messages"]
            if m["text"] == "AAAAAA is denied"
        )

        def thread() -> str:
            found: Any = client.conversations_replies(channel=channel, ts=ts)
            return " ".join(m["text"] for m in found["messages"])

        until(lambda: "no approver sees this" in thread(), "the line")
    assert [text for text in told() if text.startswith("AAAAAA")] == ["AAAAAA is denied"]
