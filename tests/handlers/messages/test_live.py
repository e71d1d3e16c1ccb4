"""Live messages end in the true state, and nothing keeps running unseen."""

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.actions.owed import Owed
from deploy.deadline import Deadline
from deploy.errors import Conflict, Unavailable
from deploy.health.live_messages import LiveMessages
from handlers.messages.budgets import Order, buckets_of
from handlers.messages.engine import Engine
from handlers.messages.left_behind import LeftBehind
from handlers.messages.live import STOP, Live, Look
from handlers.messages.live_family import LiveFamily
from handlers.messages.store import MessageStore
from handlers.messages.turn import Turns
from handlers.slack.payloads import Request, request_from_mapping, request_to_mapping
from handlers.verbs import logs, status
from handlers.views import errors, sharing
from handlers.views.reply import Reply
from handlers.views.text import section
from tests.support.clicks import clicked
from tests.support.needs import needs
from tests.support.redis_servers import started
from tests.support.slack_workspace import ANA, BEN, ELSEWHERE, OPS, Person
from tests.support.waiting import until

ASKED = {"id": "r1", "user": ANA, "channel": OPS}
FAMILY = "watch"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


class Bot:
    """One bot's part in live messages."""

    def __init__(self, url: str, name: str, *, lease: float = 15.0, **options: Any) -> None:
        self.redis = connect(url)
        self.name = name
        self.store = LiveMessages(self.redis, name, FAMILY, lease=lease)
        messages = MessageStore(self.redis, name)
        self.live = Live(self.store, messages, FAMILY, look_seconds=0.05, **options)

    @contextmanager
    def posting(self, client: WebClient) -> Iterator[Engine]:
        """Run its engine."""
        family = LiveFamily(FAMILY, self.store, STOP)
        turns = Turns(client, MessageStore(self.redis, self.name), retry_seconds=1.0)
        owed = Owed(self.redis, FAMILY)
        engine = Engine(turns, [(family, owed)], poll_seconds=0.1, sweep_seconds=0.5)
        engine.start()
        try:
            yield engine
        finally:
            engine.stop(Deadline.after(5))

    @contextmanager
    def sweeping(self, look: Look) -> Iterator[None]:
        """End the live messages that other bots left behind."""
        sweep = LeftBehind(self.live, look, sweep_seconds=0.1)
        sweep.start()
        try:
            yield
        finally:
            sweep.stop(Deadline.after(5))

    def paid(self) -> None:
        """Wait until no message is behind."""
        until(lambda: not self.redis.zcard("gateway-bot:{messages}:owed"), "every message")


@pytest.fixture
def bot(server: Valkey) -> Iterator[Bot]:
    made = Bot(server.url, "bot-1")
    yield made
    made.live.stop(Deadline.after(1))


class Counting:
    """Shows how often it was read, and notes that it was closed."""

    def __init__(self) -> None:
        self.looks = 0
        self.ends: list[bool] = []

    def look(self, asked: Mapping[str, Any]) -> Reply:
        self.looks += 1
        return Reply(f"look {self.looks}")


def still(asked: Mapping[str, Any]) -> Reply:
    return Reply("still")


def left(asked: Mapping[str, Any]) -> Reply:
    return Reply("left")


def shown(text: str) -> dict[str, Any]:
    return {"text": text, "blocks": []}


def texts(person: Person) -> list[str]:
    return [begins(m) for m in person.messages()]


def begins(message: Mapping[str, Any]) -> str:
    """The text without the note on whom it is kept current for."""
    return re.split(", (?:no longer )?kept current for|, for", message["text"])[0]


def says(person: Person, words: str) -> bool:
    """Whether the one message has these words."""
    found = person.messages()
    return len(found) == 1 and words in str(found[0]["blocks"])


def test_what_came_since_the_last_update_is_shown_in_the_end(
    person: Person, client: WebClient, bot: Bot
) -> None:
    counting = Counting()
    with bot.posting(client):
        bot.live.begin(ASKED, 300, counting.look, ended=counting.ends.append)
        until(lambda: texts(person), "the message")
    seen = counting.looks
    until(lambda: counting.looks > seen + 3, "some looks that nobody posts")
    bot.store.stop("r1", ANA)
    until(lambda: counting.ends, "the end")
    assert counting.ends == [True]
    with bot.posting(client):
        until(lambda: says(person, f"no longer kept current: stopped by <@{ANA}>"), "its end")
    assert texts(person) == [f"look {counting.looks}"]


class Counted(WebClient):
    """Counts updates."""

    updates = 0

    def chat_update(self, **more: Any) -> Any:
        self.updates += 1
        return super().chat_update(**more)


def test_progress_that_the_budget_does_not_allow_is_dropped_and_the_end_is_shown(
    person: Person, client: WebClient, bot: Bot
) -> None:
    counting = Counting()
    counted = Counted(token=client.token, base_url=client.base_url, retry_handlers=[])
    (allowed,) = buckets_of("chat.update", Order.PERSON)
    began = time.monotonic()
    with bot.posting(counted):
        bot.live.begin(ASKED, 300, counting.look)
        until(lambda: counting.looks > 60, "more looks than updates are allowed")
        bot.store.stop("r1", ANA)
        until(lambda: says(person, "no longer kept current"), "its end")
        bot.paid()
    assert (
        0 < counted.updates <= allowed.burst + allowed.per_second * (time.monotonic() - began) + 1
    )


def test_a_message_whose_record_is_gone_says_so(
    person: Person, client: WebClient, bot: Bot
) -> None:
    counting = Counting()
    with bot.posting(client):
        bot.live.begin(ASKED, 300, counting.look, ended=counting.ends.append)
        until(lambda: texts(person), "the message")
        bot.redis.flushall()
        until(lambda: counting.ends, "the end")
        until(lambda: says(person, "store was emptied"), "its end in the message")


def test_a_message_below_a_title_whose_record_is_gone_says_so(
    person: Person, client: WebClient, bot: Bot
) -> None:
    with bot.posting(client):
        bot.live.begin({**ASKED, "title": "Logs"}, 300, Counting().look)
        until(lambda: len(texts(person)) == 2, "the message")
        bot.redis.flushall()
        until(
            lambda: any("store was emptied" in str(m) for m in person.messages()),
            "its end in the message",
        )
        bot.paid()
    assert len(texts(person)) == 2


def test_a_message_whose_look_fails_ends_all_the_same(
    person: Person, client: WebClient, bot: Bot, server: Valkey
) -> None:
    counting = Counting()

    def failing(asked: Mapping[str, Any]) -> Reply:
        if counting.looks:
            raise KeyError("an odd object")
        return counting.look(asked)

    with bot.posting(client):
        bot.live.begin(ASKED, 300, failing, ended=counting.ends.append)
        until(lambda: counting.ends, "the end")
        until(lambda: says(person, "no longer kept current"), "its end in the message")
        bot.paid()
    assert counting.ends == [True]


def test_a_message_left_behind_whose_look_fails_ends_with_what_it_showed(
    person: Person, client: WebClient, bot: Bot, server: Valkey
) -> None:
    gone = Bot(server.url, "bot-2", lease=0.5)
    with bot.posting(client):
        gone.live.begin(ASKED, 300, still)
        until(lambda: texts(person), "the message")
        gone.live.stop(Deadline.after(0))

        def failing(asked: Mapping[str, Any]) -> Reply:
            raise KeyError("an odd object")

        with bot.sweeping(failing):
            until(lambda: says(person, "no longer kept current"), "its end in the message")
            bot.paid()
    assert "still" in str(person.messages()[0]["blocks"]) or texts(person) == ["still"]


def test_what_cannot_be_kept_is_let_go_of(server: Valkey) -> None:
    counting = Counting()
    redis = connect(server.url, timeout=0.2, retries=0)
    store = LiveMessages(redis, "bot-1", FAMILY)
    server.kill()
    live = Live(store, MessageStore(redis, "bot-1"), FAMILY)
    with pytest.raises(Unavailable):
        live.begin(ASKED, 300, counting.look, ended=counting.ends.append)
    assert counting.ends == [False]


def test_a_message_whose_time_is_over_says_so_and_is_looked_at_no_longer(
    person: Person, client: WebClient, bot: Bot
) -> None:
    counting = Counting()
    with bot.posting(client):
        bot.live.begin(ASKED, 1, counting.look, ended=counting.ends.append)
        until(lambda: counting.ends, "the end")
        until(lambda: says(person, "its time is over"), "its end in the message")
    (message,) = person.messages()
    assert "Stop" not in str(message["blocks"])
    assert begins(message) == f"look {counting.looks}"


def test_a_message_continues_and_ends_whatever_slack_refuses_meanwhile(
    person: Person, client: WebClient, bot: Bot
) -> None:
    counting = Counting()
    with bot.posting(client), bot.sweeping(left):
        bot.live.begin(ASKED, 300, counting.look, ended=counting.ends.append)
        until(lambda: texts(person), "the message")
        person.set_fault("api_error", "503")
        seen = counting.looks
        until(lambda: counting.looks > seen + 3, "looks that cannot be shown")
        before = texts(person)
        person.set_fault("api_error", "none")
        until(lambda: texts(person) != before, "the message to be current again")
        person.set_fault("api_error", "503")
        bot.store.stop("r1", ANA)
        until(lambda: counting.ends, "the end that cannot be shown yet")
        person.set_fault("api_error", "none")
        until(lambda: says(person, "no longer kept current"), "its end")


def test_many_messages_are_ended_together_when_the_bot_stops(
    person: Person, client: WebClient, bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.messages.live._ENDED_SECONDS", 60.0)
    with bot.posting(client):
        for number in range(4):
            bot.live.begin({**ASKED, "id": f"r{number}"}, 300, still)
        until(lambda: len(texts(person)) == 4, "the messages")
        bot.live.stop(Deadline.after(120))
    assert all("the bot was restarted" in str(m["blocks"]) for m in person.messages())


def test_one_person_keeps_only_so_many_and_is_told_which_they_are(server: Valkey) -> None:
    bot = Bot(server.url, "bot-1", at_once=4, each=3)
    live, first = bot.live, Counting()
    for number, gateway in enumerate(("edge-1", "edge-1", "")):
        asked = {**ASKED, "id": f"r{number}", "gateway": gateway}
        live.begin(asked, 300, Counting().look, ended=first.ends.append)
    refused = Counting()
    with pytest.raises(Conflict) as told:
        live.begin({**ASKED, "id": "r3"}, 300, refused.look, ended=refused.ends.append)
    assert "3 messages are being kept current for you already" in told.value.happened
    assert f"edge-1 in <#{OPS}> (2 times), of all gateways in <#{OPS}>" in str(
        errors.trouble(told.value)
    )
    assert refused.ends == [False]
    live.begin({**ASKED, "id": "r4", "user": BEN}, 300, Counting().look)
    with pytest.raises(Conflict, match="4 messages are being kept current already"):
        live.begin({**ASKED, "id": "r5", "user": BEN}, 300, Counting().look)
    bot.store.stop("r0", ANA)
    until(lambda: first.ends, "one to end")
    live.begin({**ASKED, "id": "r6"}, 300, Counting().look)
    live.stop(Deadline.after(5))


def test_a_message_left_behind_that_slack_refuses_keeps_no_other_from_its_end(
    person: Person, client: WebClient, server: Valkey, bot: Bot
) -> None:
    dead = Bot(server.url, "dead", lease=0.2)
    for number in range(8):
        asked = {**ASKED, "id": f"gone{number}", "channel": "C0NOWHERE", "user": "U0NOBODY"}
        dead.store.begin(asked["id"], asked, 300, shown("look"))
    dead.store.begin("r1", ASKED, 300, shown("look"))
    with bot.posting(client), bot.sweeping(left):
        until(lambda: texts(person) == ["left"], "the end of the one that is there")


def test_who_stops_a_message_that_nobody_keeps_is_told_so(
    person: Person, client: WebClient, bot: Bot
) -> None:
    click = clicked(ANA, "r1")
    for reply in (
        status.by_stop(needs(status.Needs, watches=bot.live), click),
        logs.by_stop(needs(logs.Needs, follows=bot.live), click),
    ):
        assert reply is not None
        assert reply.text == "No bot keeps this message current."


class Forgetful(WebClient):
    """The first posts arrive, but their answers are lost."""

    def __init__(self, like: WebClient, lose: int) -> None:
        super().__init__(token=like.token, base_url=like.base_url, retry_handlers=[])
        self.lose = lose

    def chat_postMessage(self, **more: Any) -> Any:  # noqa: N802  # as the SDK has it
        answer = super().chat_postMessage(**more)
        if self.lose:
            self.lose -= 1
            raise ConnectionResetError
        return answer


def test_a_title_and_the_message_in_its_thread_are_posted_once_where_answers_are_lost(
    person: Person, client: WebClient, bot: Bot
) -> None:
    with bot.posting(Forgetful(client, lose=2)):
        bot.live.begin({**ASKED, "title": "Logs"}, 300, still)
        place = bot.live.placed("r1")
        bot.paid()
    title, message = person.messages()
    assert (title["text"], begins(message)) == ("Logs", "still")
    assert message["thread_ts"] == title["ts"]
    assert place is not None
    assert (place.ts, place.thread) == (message["ts"], title["ts"])


def test_what_is_shown_once_is_not_kept_current_and_its_note_is_in_the_thread(
    person: Person, client: WebClient, bot: Bot
) -> None:
    with bot.posting(client):
        for _ in range(2):
            bot.live.once({**ASKED, "title": "Logs"}, Reply("lines"))
        assert bot.live.placed("r1") is not None
        bot.live.note("r1", "no file")
        until(lambda: texts(person) == ["Logs", "lines", "no file"], "all of it")
        bot.paid()
    title, *below = person.messages()
    assert {m["thread_ts"] for m in below} == {title["ts"]}
    assert "current" not in str(below)


def test_a_person_is_shown_in_private_what_the_bot_may_not_post_in_the_channel(
    client: WebClient, bot: Bot
) -> None:
    with bot.posting(client):
        bot.live.begin({**ASKED, "channel": ELSEWHERE, "title": "Logs"}, 300, still)
        assert bot.live.placed("r1") is not None
    direct: Any = client.conversations_open(users=ANA)
    channel = direct["channel"]["id"]
    (title,) = client.conversations_history(channel=channel)["messages"]
    _, message = client.conversations_replies(channel=channel, ts=title["ts"])["messages"]
    assert (title["text"], begins(message)) == ("Logs", "still")


def test_what_is_too_long_for_slack_is_cut_and_its_states_fill_no_thread(
    person: Person, client: WebClient, bot: Bot
) -> None:
    looks = 0

    def long(asked: Mapping[str, Any]) -> Reply:
        nonlocal looks
        looks += 1
        return Reply("long", tuple(section(f"{looks} {'x' * 2900}") for _ in range(6)))

    with bot.posting(client):
        bot.live.begin(ASKED, 300, long)
        until(lambda: looks > 5, "some looks")
        bot.store.stop("r1", ANA)
        until(lambda: says(person, "no longer kept current"), "its end")
        bot.paid()
    assert texts(person) == ["long"]


def test_a_message_that_somebody_deleted_is_not_posted_anew(
    person: Person, client: WebClient, bot: Bot
) -> None:
    counting = Counting()
    with bot.posting(client):
        bot.live.begin(ASKED, 300, counting.look, ended=counting.ends.append)
        until(lambda: texts(person), "the message")
        client.chat_delete(channel=OPS, ts=person.messages()[0]["ts"])
        bot.store.stop("r1", ANA)
        until(lambda: counting.ends, "the end")
        bot.paid()
    assert texts(person) == []


def test_a_message_that_was_taken_over_by_a_bot_that_died_at_it_is_ended_by_the_first(
    person: Person, client: WebClient, server: Valkey
) -> None:
    counting, go = Counting(), threading.Event()

    def held_up(asked: Mapping[str, Any]) -> Reply:
        found = counting.look(asked)
        if counting.looks > 1:
            go.wait(60)
        return found

    bot, dead = Bot(server.url, "bot-1", lease=1.0), Bot(server.url, "bot-2", lease=1.0)
    with bot.posting(client), bot.sweeping(left):
        bot.live.begin(ASKED, 300, held_up, ended=counting.ends.append)
        until(lambda: dead.store.orphans(()), "the other bot to take it over")
        go.set()
        until(lambda: counting.ends, "the first to let go of it")
        assert counting.ends == [False]
        until(lambda: texts(person) == ["left"], "its end")


def test_an_end_that_nobody_marked_is_found(person: Person, client: WebClient, bot: Bot) -> None:
    ends: list[bool] = []
    with bot.posting(client):
        bot.live.begin(ASKED, 300, still, ended=ends.append)
        until(lambda: texts(person), "the message")
        bot.paid()
    bot.store.stop("r1", ANA)
    # Only once all of it is written, of which the mark is then taken away.
    until(lambda: ends, "its end")
    bot.redis.delete("gateway-bot:{messages}:owed")
    bot.redis.sadd("gateway-bot:watch:{live}:all", "r1")
    with bot.posting(client):
        until(lambda: says(person, "stopped by"), "the end in the message")


def test_what_asks_for_a_message_in_a_newer_form_is_reported_once_and_ends_no_other(
    person: Person, client: WebClient, server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    dead = Bot(server.url, "dead", lease=0.1)
    for name, version in (("r1", 3), ("r2", 1)):
        asked = request_to_mapping(Request(name, "status", ANA, OPS)) | {"version": version}
        dead.store.begin(name, asked, 300, shown(name))

    def look(asked: Mapping[str, Any]) -> Reply:
        return Reply(f"{request_from_mapping(asked).id} ended")

    bot = Bot(server.url, "bot-1", lease=0.1)
    with bot.posting(client), bot.sweeping(look):
        until(lambda: sorted(texts(person)) == ["r1", "r2 ended"], "the end of the one")
        until(lambda: "a newer one wrote it" in caplog.text, "the report of the other")
        key = "gateway-bot:watch:{live:r1}"
        leases = [bot.redis.hget(key, "until")]
        until(lambda: bot.redis.hget(key, "until") not in leases, "another look")
    assert caplog.text.count("a newer one wrote it") == 1


def test_what_is_shared_stands_in_the_channel_and_is_nobody_s_alone(
    person: Person, client: WebClient, bot: Bot
) -> None:
    reply = sharing.shared(Reply("edge-1: 2 of 2 pods ready"), ANA, 90.0)
    with bot.posting(client):
        for _ in range(2):
            bot.live.once({**ASKED, "shared": True}, reply)
        bot.paid()
    (message,) = person.messages()
    assert message["text"] == f"edge-1: 2 of 2 pods ready, shared by <@{ANA}>"


def test_what_cannot_be_shared_in_a_channel_without_the_bot_is_told_to_who_shares_it(
    person: Person, client: WebClient, bot: Bot
) -> None:
    with bot.posting(client):
        bot.live.once({**ASKED, "channel": ELSEWHERE, "shared": True}, Reply("2 of 2 pods ready"))
        bot.paid()
    direct: Any = client.conversations_open(users=ANA)
    (told,) = person.messages(direct["channel"]["id"], user="ana")
    assert f"the bot is not allowed to post in <#{ELSEWHERE}>" in told["text"]
    assert "/invite" in told["text"]
