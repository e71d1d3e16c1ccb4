"""A batch is one message, with the plans of its gateways in its thread, whatever Slack does meanwhile."""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.sandbox.valkey import Valkey
from deploy.access import Approval
from deploy.actions.action import Action, Outcome, State
from deploy.actions.batches import Batches
from deploy.actions.connection import connect
from deploy.actions.owed import Owed, tagged
from deploy.actions.records import BATCHES
from deploy.actions.reminders import remind
from deploy.actions.store import ActionStore
from deploy.deadline import Deadline
from deploy.policy import People
from handlers.messages.action_messages import NAME, ActionMessages
from handlers.messages.batch_messages import BatchMessages
from handlers.messages.engine import Engine
from handlers.messages.family import Family
from handlers.messages.store import MessageRecord, MessageStore
from handlers.messages.turn import Turns
from handlers.views import action as action_view
from handlers.views import notes
from tests.faults.message_scene import refusal
from tests.support import actions
from tests.support.actions import CODEC
from tests.support.batches import DEV, PRODUCTION, batch_of, members, restart_each
from tests.support.changes import DEVELOPMENT, Changes, Groups
from tests.support.changes import PRODUCTION as SETTINGS
from tests.support.redis_servers import started
from tests.support.slack_workspace import ANA, ELSEWHERE, OPS, Person
from tests.support.waiting import until

JSON = dict[str, Any]
APPROVERS = "<!subteam^S0APP>"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


@pytest.fixture
def changes(server: Valkey) -> Changes:
    production = dataclasses.replace(SETTINGS, approval=Approval(People(groups=("S0APP",))))
    groups = Groups(S0APP=("U0BEN",))
    return Changes(connect(server.url), production, DEVELOPMENT, groups=groups)


class Disturbed(WebClient):
    """A Slack that fails some posts: `trouble` says how, given a post's arguments. With `lose`, the
    first so many posts take effect but their answers are lost."""

    def __init__(
        self,
        like: WebClient,
        trouble: Callable[[JSON], Exception | None] = lambda post: None,
        lose: int = 0,
    ) -> None:
        super().__init__(token=like.token, base_url=like.base_url)
        self.posts: list[JSON] = []
        self._trouble = trouble
        self._lose = lose

    def api_call(self, api_method: str, **given: Any) -> Any:
        if api_method != "chat.postMessage":
            return super().api_call(api_method, **given)
        post = given["json"]
        error = self._trouble(post)
        if error is not None:
            raise error
        answer = super().api_call(api_method, **given)
        self.posts.append(post)
        if len(self.posts) <= self._lose:
            raise ConnectionResetError
        return answer


@contextmanager
def running(
    client: WebClient,
    server: Valkey,
    changes: Changes,
    sweep: float = 30,
    settling: float = 60,
) -> Iterator[Engine]:
    """A bot that shows the messages of actions and of batches."""
    redis = connect(server.url)
    store, messages = ActionStore(redis, CODEC), MessageStore(redis, "bot-1")
    batches = Batches(redis)

    def known(batch: str) -> MessageRecord | None:
        return messages.known(BATCHES, batch) if batches.get(batch) else None

    families: list[tuple[Family, str]] = [
        (ActionMessages(store, action_view.render, notes.notes, batch_message=known), NAME),
        (
            BatchMessages(
                Batches(redis), store, changes.authority.environment, settling_seconds=settling
            ),
            BATCHES,
        ),
    ]
    made = Engine(
        Turns(client, messages, retry_seconds=0.1),
        [(family, Owed(redis, name)) for family, name in families],
        poll_seconds=0.1,
        sweep_seconds=sweep,
    )
    made.start()
    until(lambda: redis.exists(tagged("gateway-bot", "generation")), "the first look")
    try:
        yield made
    finally:
        made.stop(Deadline.after(5))


def ask(changes: Changes, channel: str = OPS) -> None:
    restart_each(changes, user=ANA, channel=channel)


def end_all(changes: Changes, state: State = State.SUCCEEDED) -> None:
    """Decide on each member, and end it in that state."""
    store = changes.store
    for fence, action in enumerate(members(changes).values(), 1):
        changes.agree(action, "U0BEN" if action.ref in PRODUCTION else ANA)
        assert store.claim(action.id, "bot", fence, 60)
        assert store.finish(action.id, "bot", fence, Outcome(state, "So it ended."))


def settled(server: Valkey) -> bool:
    """Whether nothing is owed."""
    return not connect(server.url).exists("gateway-bot:{messages}:owed")


def tops(person: Person, channel: str = OPS) -> list[JSON]:
    return [m for m in person.messages(channel) if m.get("thread_ts") in (None, m["ts"])]


def thread(person: Person, channel: str = OPS) -> list[str]:
    """The replies in the thread of the only message."""
    (top,) = tops(person, channel)
    found = [m for m in person.messages(channel) if m["ts"] != top["ts"]]
    assert {m["thread_ts"] for m in found} <= {top["ts"]}
    return [m["text"] for m in found]


def plans(lines: list[str]) -> list[str]:
    """The gateways whose plans are among them, with repetitions."""
    found = (_PLAN.match(line) for line in lines)
    return sorted(match["name"] for match in found if match)


def said_of(posts: list[JSON]) -> tuple[list[JSON], list[JSON]]:
    """What is said of single gateways, and of the end of all."""
    ends = [post for post in posts if "has ended" in post["text"]]
    return [post for post in posts if post not in ends], ends


_PLAN = re.compile(r"<@\w+> asks to restart [\w-]+/[\w-]+/(?P<name>[\w-]+): ")
EVERY = sorted(ref.name for ref in (*DEV, *PRODUCTION))


def test_a_batch_is_one_message_with_every_plan_in_its_thread_and_one_call_of_its_approvers(
    person: Person, client: WebClient, server: Valkey, changes: Changes
) -> None:
    slack = Disturbed(client)
    with running(slack, server, changes):
        ask(changes)
        until(lambda: settled(server), "everything to be posted")
    assert plans(thread(person)) == EVERY
    called = [post for post in slack.posts if APPROVERS in str(post)]
    assert len(called) == 1
    assert "asks to restart 3 gateways on west/prod (🔶 production)" in called[0]["text"]
    named = [post for post in slack.posts if f"<@{ANA}>" in str(post)]
    assert [post for post in named[1:] if not _PLAN.match(post["text"])] == called


@pytest.mark.parametrize("lose", [1, 4, 20])
def test_what_was_posted_is_found_in_the_thread_where_its_answers_are_lost(
    person: Person, client: WebClient, server: Valkey, changes: Changes, lose: int
) -> None:
    with running(Disturbed(client, lose=lose), server, changes):
        ask(changes)
        until(lambda: settled(server), "everything to be posted", 60)
    assert plans(thread(person)) == EVERY
    assert len(thread(person)) == len(EVERY) + 1


def test_the_table_follows_every_member_and_whoever_asked_is_notified_once_at_the_end(
    person: Person, client: WebClient, server: Valkey, changes: Changes
) -> None:
    slack = Disturbed(client)
    with running(slack, server, changes):
        ask(changes)
        until(lambda: settled(server), "everything to be posted")
        before = len(slack.posts)
        end_all(changes)
        until(lambda: "5 of 5 done." in tops(person)[0]["text"], "the end")
        until(lambda: settled(server), "the rest")
    assert [post["text"] for post in slack.posts[before:]] == [
        f":white_check_mark: <@{ANA}> Your request to restart 5 gateways has ended: 5 of 5 done."
    ]
    assert not slack.posts[-1].get("reply_broadcast")
    assert str(tops(person)[0]["blocks"]).count(":white_check_mark: *edge-") == 5


def test_a_failure_is_said_beside_its_plan_and_the_end_in_the_channel_too(
    person: Person, client: WebClient, server: Valkey, changes: Changes
) -> None:
    slack = Disturbed(client)
    with running(slack, server, changes):
        ask(changes)
        until(lambda: settled(server), "everything to be posted")
        before = len(slack.posts)
        end_all(changes, State.FAILED)
        until(lambda: settled(server), "the end")
    # A slow bot's line about a gateway may come after the end, which is in another message's turn.
    failures, (end,) = said_of(slack.posts[before:])
    assert sorted(post["text"] for post in failures) == [
        f"*{name}*: :x: Failed: So it ended" for name in EVERY
    ]
    assert not any(post["reply_broadcast"] for post in failures)
    assert end["reply_broadcast"]
    assert "5 failed. Look at edge-1, edge-2, edge-3, edge-4 and edge-5." in end["text"]


def test_where_the_bot_may_not_post_the_batch_and_its_plans_are_in_the_requester_s_messages(
    person: Person, client: WebClient, server: Valkey, changes: Changes
) -> None:
    slack = Disturbed(client)
    with running(slack, server, changes):
        ask(changes, ELSEWHERE)
        until(lambda: settled(server), "everything to be posted")
    assert tops(person, "elsewhere") == []
    assert plans([post["text"] for post in slack.posts]) == EVERY
    (top,) = [post for post in slack.posts if not post.get("thread_ts")]
    assert top["channel"] == ANA
    (unseen,) = [post["text"] for post in slack.posts if "no approver sees this" in str(post)]
    assert f"<#{ELSEWHERE}>" in unseen
    assert not [post for post in slack.posts if APPROVERS in str(post)]


def test_where_the_batch_s_message_cannot_be_shown_each_plan_stands_alone_and_calls_its_own(
    person: Person, client: WebClient, server: Valkey, changes: Changes
) -> None:
    def refused(post: JSON) -> Exception | None:
        batch = "batch:" in str(post["metadata"])
        return refusal("invalid_blocks") if batch else None

    slack = Disturbed(client, refused)
    with running(slack, server, changes):
        ask(changes)
        until(lambda: settled(server), "everything to be posted")
    assert plans([m["text"] for m in tops(person)]) == EVERY
    assert len([post for post in slack.posts if APPROVERS in str(post)]) == len(PRODUCTION)


def test_a_plan_whose_batch_was_deleted_stands_alone(
    person: Person, client: WebClient, server: Valkey, changes: Changes
) -> None:
    def deleted(post: JSON) -> Exception | None:
        return refusal("thread_not_found") if post.get("thread_ts") else None

    slack = Disturbed(client, deleted)
    with running(slack, server, changes):
        ask(changes)
        until(lambda: settled(server), "everything to be posted")
    assert plans([m["text"] for m in tops(person)]) == EVERY


def test_plans_of_a_batch_that_is_gone_stand_alone(
    person: Person, client: WebClient, server: Valkey, changes: Changes
) -> None:
    ask(changes)
    connect(server.url).delete(f"gateway-bot:{{b:{batch_of(changes).id}}}")
    with running(client, server, changes):
        until(lambda: settled(server), "everything to be posted")
    assert plans([m["text"] for m in tops(person)]) == EVERY


def test_plans_stand_in_the_thread_also_where_every_bot_was_away_for_an_hour(
    person: Person, client: WebClient, server: Valkey, changes: Changes
) -> None:
    ask(changes)
    redis, hour = connect(server.url), 3_600_000
    redis.set(tagged("gateway-bot", "generation"), 1)
    for key in ("a", "b"):
        for name in redis.scan_iter(f"gateway-bot:{{{key}:*"):
            if redis.type(name) == "hash" and redis.hexists(name, "created"):
                redis.hincrby(name, "created", -hour)
                redis.hincrby(name, "expires", hour)
    with running(client, server, changes):
        until(lambda: settled(server), "everything to be posted")
    assert plans(thread(person)) == EVERY


def test_a_mark_that_a_crash_left_out_is_made_up_for_by_the_sweep(
    person: Person, client: WebClient, server: Valkey, changes: Changes
) -> None:
    with running(client, server, changes, sweep=0.5):
        ask(changes)
        until(lambda: settled(server), "everything to be posted")
        index = tagged("gateway-bot", "owed")
        redis = connect(server.url)
        first = members(changes)["edge-1"]
        # Run the script alone, as a bot would that dies before it marks the message as owed.
        raw = ActionStore(_Markless(redis, index), CODEC)
        actions.confirm(raw, first.id, by=ANA, digest=first.digest)
        until(lambda: "1 approved" in tops(person)[0]["text"], "the sweep")


class _Markless:
    """A client of Redis that marks no message."""

    def __init__(self, client: Any, index: str) -> None:
        self._client = client
        self._index = index

    def zadd(self, key: str, *given: Any, **named: Any) -> int:
        return 0 if key == self._index else self._client.zadd(key, *given, **named)

    def evalsha(self, sha: str, count: int, *given: Any) -> Any:
        return 0 if self._index in given else self._client.evalsha(sha, count, *given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_the_approvers_are_reminded_once_of_all_that_waits(
    person: Person, client: WebClient, server: Valkey, changes: Changes
) -> None:
    slack = Disturbed(client)
    with running(slack, server, changes):
        ask(changes)
        until(lambda: settled(server), "everything to be posted")
        before = len(slack.posts)
        redis = connect(server.url)
        now = changes.store.now() * 1000
        for action in members(changes).values():
            key = f"gateway-bot:{{a:{action.id}}}:act"
            redis.hset(key, mapping={"created": int(now - 900_000), "expires": int(now + 60_000)})
        assert sum(remind(changes.store, each) for each in changes.store.open()) == len(PRODUCTION)
        until(lambda: len(slack.posts) > before and settled(server), "the reminder")
    (reminder,) = slack.posts[before:]
    assert reminder["text"].startswith(f"{APPROVERS}: 3 plans still wait for a decision, until ")


def test_a_plan_that_no_longer_holds_is_planned_anew_in_the_thread_before_the_batch_ends(
    person: Person, client: WebClient, server: Valkey, changes: Changes
) -> None:
    slack = Disturbed(client)
    with running(slack, server, changes):
        ask(changes)
        until(lambda: settled(server), "everything to be posted")
        first = members(changes)["edge-3"]
        changes.store.supersede(first.id, Outcome(State.SUPERSEDED, "It has changed."))
        end_rest(changes, first)
        until(lambda: "4 of 5 done, 1 superseded." in tops(person)[0]["text"], "the table")
        before = len(slack.posts)
        proposal = changes.proposer.renewed(first, "again:1")
        assert proposal.action is not None
        changes.batches.again(first.batch, first.id, proposal.action.id)
        until(lambda: "1 waiting for approval" in tops(person)[0]["text"], "the new plan")
        until(lambda: settled(server), "the rest")
    said = [post["text"] for post in slack.posts[before:]]
    assert plans(said) == ["edge-3"]
    assert len([text for text in said if APPROVERS in text]) == 1
    assert not [post for post in slack.posts if "has ended" in post["text"]]
    assert batch_of(changes).members[2].actions == (first.id, proposal.action.id)


def end_rest(changes: Changes, but: Action) -> None:
    """Every other member succeeds."""
    store, fences = changes.store, itertools.count(1)
    for action in members(changes).values():
        if action.id != but.id:
            changes.agree(action, "U0BEN" if action.ref in PRODUCTION else ANA)
            fence = next(fences)
            assert store.claim(action.id, "bot", fence, 60)
            store.finish(action.id, "bot", fence, Outcome(State.SUCCEEDED, "Done.", "m", "r"))


def test_a_plan_that_is_not_planned_anew_does_not_keep_its_batch_from_ending(
    person: Person, client: WebClient, server: Valkey, changes: Changes
) -> None:
    slack = Disturbed(client)
    with running(slack, server, changes, sweep=0.5, settling=2):
        ask(changes)
        first = members(changes)["edge-3"]
        changes.store.supersede(first.id, Outcome(State.SUPERSEDED, "It has changed."))
        end_rest(changes, first)
        (end,) = until(lambda: said_of(slack.posts)[1], "the end")
    assert "4 of 5 done, 1 superseded." in end["text"]
