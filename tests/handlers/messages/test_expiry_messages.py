"""Warnings in channels: one message for each gateway that stays true, and nothing posted twice."""

import datetime
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.actions.owed import Owed
from deploy.deadline import Deadline
from deploy.expiry.rotation_stops import RotationStop, RotationStops
from deploy.expiry.thresholds import DEFAULT
from deploy.expiry.tracked import ExpiryFacts
from deploy.expiry.tracker import Tracker
from deploy.expiry.weekly import Weekly
from deploy.gateway import GatewayRef
from handlers.messages import digest_messages, expiry_messages, rotation_messages
from handlers.messages.digest_messages import DigestMessages, Digests
from handlers.messages.engine import Engine
from handlers.messages.expiry_messages import ExpiryMessages
from handlers.messages.family import Family
from handlers.messages.rotation_messages import RotationMessages, StopMarks
from handlers.messages.store import MessageStore
from handlers.messages.turn import Turns
from tests.support.redis_servers import started
from tests.support.slack_workspace import ANA, BOT, BOT_TOKEN, OPS, Person
from tests.support.waiting import until

DAY = 86_400.0
REF = GatewayRef("west", "dev", "edge-1")
MONDAY = datetime.datetime(2026, 11, 23, 9, 0, tzinfo=datetime.UTC)
WEEKLY = Weekly(0, 8)
INDEX = "gateway-bot:{messages}:owed"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


class Lossy(WebClient):
    """Slack carries out each call, but the answers to posts are lost. With `deaf`, posts do not even
    arrive; with `blind`, nothing can be looked up."""

    posts = 0
    deaf = blind = False

    def api_call(self, api_method: str, **arguments: Any) -> Any:
        if self.blind and api_method.startswith("conversations."):
            raise ConnectionResetError
        if api_method != "chat.postMessage" or self.blind:
            return super().api_call(api_method, **arguments)
        self.posts += 1
        if not self.deaf:
            super().api_call(api_method, **arguments)
        raise ConnectionResetError


class Bed:
    """A Redis, a Slack, and bots that keep messages of tokens true."""

    def __init__(self, server: Valkey, url: str) -> None:
        self.redis = connect(server.url)
        self.redis.flushall()
        self.url = url
        self.tracker = Tracker(self.redis, "one")
        self.now = MONDAY

    def slack(self, kind: type[WebClient] = WebClient) -> WebClient:
        return kind(token=BOT_TOKEN, base_url=self.url, timeout=30, retry_handlers=[])

    @contextmanager
    def bot(self, name: str = "one", slack: WebClient | None = None) -> Iterator[None]:
        tracker = Tracker(self.redis, name)
        families: list[tuple[Family, str]] = [
            (ExpiryMessages(tracker), expiry_messages.NAME),
            (DigestMessages(tracker, WEEKLY, clock=lambda: self.now), digest_messages.NAME),
            (RotationMessages(RotationStops(self.redis)), rotation_messages.NAME),
        ]
        engine = Engine(
            Turns(slack or self.slack(), MessageStore(self.redis, name)),
            [(family, Owed(self.redis, label)) for family, label in families],
            poll_seconds=0.1,
            sweep_seconds=1,
        )
        engine.start()
        try:
            yield
        finally:
            engine.stop(Deadline.after(30))

    def lossy(self, *, deaf: bool = False) -> None:
        """A bot posts, gets no answer, and dies."""
        slack = self.slack(Lossy)
        assert isinstance(slack, Lossy)
        slack.deaf = deaf
        with self.bot("dead", slack):
            until(lambda: slack.posts, "a post")
        self.at_once()

    def waits(self, count: int) -> bool:
        """Whether that many messages failed to be posted and wait, with no bot at work on them."""
        records = self.redis.keys("gateway-bot:{messages}:record:*")
        turns = [name for name in records if self.redis.hget(name, "until") != "0"]
        return self.redis.zcount(INDEX, 1e11, "+inf") == len(records) == count and not turns

    def at_once(self) -> None:
        """Make messages due at once that are pending for a retry or until another bot's turn ends."""
        for key in self.redis.keys("gateway-bot:{messages}:record:*"):
            self.redis.hdel(key, "until", "owner", "not_before")
        for name in self.owed():
            self.redis.zadd(INDEX, {name: 0})

    def owed(self) -> list[str]:
        return [str(name) for name in self.redis.zrange(INDEX, 0, -1)]

    def owes(self) -> list[str]:
        """The same, without the episodes. A sweep may mark anew for a moment what is shown."""
        return [name.partition("#")[0] for name in self.owed()]

    def paid(self) -> None:
        until(lambda: not self.owed(), "everything to be paid", 60)

    def note(self, left: float, ref: GatewayRef = REF, channel: str = OPS) -> None:
        seconds, _ = self.redis.time()
        facts = ExpiryFacts(
            ref, ref.name, "development", seconds + left, "annotation", DEFAULT, (channel,)
        )
        self.tracker.note(facts)
        while self.tracker.tick():
            pass

    def expire(self) -> None:
        tracked = self.tracker.find(REF)
        assert tracked is not None
        self.redis.hset(f"gateway-bot:{{w:{REF}}}:gw", "expires", round((tracked.now - 5) * 1000))
        self.tracker._look(REF)

    def azure(self, left: float, *, expired: bool = False) -> None:
        seconds, _ = self.redis.time()
        self.tracker.azure(REF, expired=expired, expires_at=seconds + left, instance="pod-1")


@pytest.fixture
def bed(server: Valkey, person: Person) -> Bed:
    return Bed(server, person.slack.api_url)


def roots(person: Person) -> list[dict[str, Any]]:
    found = person.messages(OPS)
    return [m for m in found if m.get("thread_ts", m["ts"]) == m["ts"] and m["user"] == BOT]


def thread(person: Person) -> list[str]:
    found = person.messages(OPS)
    return [m["text"] for m in found if m.get("thread_ts", m["ts"]) != m["ts"]]


def test_a_gateway_has_one_message_that_escalates_in_its_thread_and_is_resolved_in_place(
    bed: Bed, person: Person
) -> None:
    with bed.bot("one"), bed.bot("two"):
        bed.note(2 * DAY)
        bed.paid()
        (root,) = roots(person)
        assert "west/dev/edge-1 (development) has a token that expires in" in root["text"]
        assert "Snooze" in json.dumps(root["blocks"])
        bed.tracker.unrotated(REF, "A rule <forbids> it.")
        bed.paid()
        (root,) = roots(person)
        assert "Not rotated automatically: A rule &lt;forbids&gt; it." in json.dumps(root["blocks"])
        assert thread(person) == []
        bed.expire()
        bed.paid()
        (root,) = roots(person)
        assert "has expired" in root["text"]
        (line,) = thread(person)
        assert "It expired" in line
        bed.note(29 * DAY)
        bed.paid()
    (root,) = roots(person)
    assert "has a new token" in root["text"]
    assert "Snooze" not in json.dumps(root["blocks"])
    assert len(thread(person)) == 2


def test_the_next_episode_has_a_message_of_its_own(bed: Bed, person: Person) -> None:
    with bed.bot():
        bed.note(2 * DAY)
        bed.paid()
    # No bot runs while the token is renewed, and the new token expires soon as well.
    bed.note(5 * DAY)
    with bed.bot():
        bed.paid()
    ended, begun = sorted(roots(person), key=lambda m: float(m["ts"]))
    assert "has a new token" in ended["text"]
    assert "expires in" in begun["text"]
    (line,) = thread(person)
    assert "It was renewed" in line


def test_what_azure_said_before_the_message_was_posted_is_shown_in_it(
    bed: Bed, person: Person
) -> None:
    bed.note(2 * DAY)
    bed.azure(2 * DAY)
    with bed.bot():
        bed.paid()
    (root,) = roots(person)
    said = "Azure reports that the token of instance `pod-1` is about to expire."
    assert said in json.dumps(root["blocks"])
    assert thread(person) == []


def test_what_azure_says_afterwards_is_a_line_of_the_thread_and_shown(
    bed: Bed, person: Person
) -> None:
    with bed.bot():
        bed.note(2 * DAY)
        bed.paid()
        bed.azure(2 * DAY)
        bed.paid()
        bed.azure(2 * DAY, expired=True)
        bed.paid()
    assert [line.rpartition("` ")[2] for line in thread(person)] == [
        "is about to expire.",
        "has expired.",
    ]
    (root,) = roots(person)
    assert "`pod-1` has expired." in json.dumps(root["blocks"])
    assert "is about to expire" not in json.dumps(root["blocks"])


def test_four_bots_post_each_warning_once(bed: Bed, person: Person) -> None:
    with bed.bot("1"), bed.bot("2"), bed.bot("3"), bed.bot("4"):
        for number in range(12):
            bed.note((2 + number / 100) * DAY, GatewayRef("west", "dev", f"edge-{number}"))
        bed.paid()
    assert len(roots(person)) == 12


def test_of_many_the_most_urgent_is_posted_first(bed: Bed, person: Person) -> None:
    person.set_fault("rate_limits", True)
    for left, name in ((6, "edge-1"), (1, "edge-3"), (3, "edge-2")):
        bed.note(left * DAY, GatewayRef("west", "dev", name))
    assert [name.partition("|")[2].partition("#")[0] for name in bed.owed()] == [
        "west/dev/edge-3",
        "west/dev/edge-2",
        "west/dev/edge-1",
    ]


@pytest.mark.parametrize("then", ["nothing", "expires", "renewed"])
def test_a_post_whose_end_nobody_noted_is_found_and_made_true(
    bed: Bed, person: Person, then: str
) -> None:
    bed.note(2 * DAY)
    bed.lossy()
    assert len(roots(person)) == 1
    if then == "expires":
        bed.expire()
    elif then == "renewed":
        bed.note(29 * DAY)
    with bed.bot("two"):
        bed.paid()
    (root,) = roots(person)
    expected = {"nothing": "expires in", "expires": "has expired", "renewed": "has a new token"}
    assert expected[then] in root["text"]
    assert ("Snooze" in json.dumps(root["blocks"])) == (then != "renewed")
    # The post itself shows what led to it; only later events get a line in the thread.
    assert len(thread(person)) == (then != "nothing")


def test_a_warning_that_was_never_posted_is_not_posted_once_it_is_over(
    bed: Bed, person: Person
) -> None:
    bed.note(2 * DAY)
    bed.lossy(deaf=True)
    bed.note(29 * DAY)
    with bed.bot("two"):
        bed.paid()
    assert roots(person) == []
    assert bed.redis.keys("gateway-bot:{messages}:record:*") == []


def test_a_line_of_the_thread_whose_end_nobody_noted_is_not_repeated(
    bed: Bed, person: Person
) -> None:
    bed.note(2 * DAY)
    with bed.bot():
        bed.paid()
    bed.azure(2 * DAY)
    bed.lossy()
    with bed.bot("two"):
        bed.paid()
    assert len(thread(person)) == 1


def test_a_look_that_fails_leads_to_no_second_post(bed: Bed, person: Person) -> None:
    bed.note(2 * DAY)
    bed.lossy()
    slack = bed.slack(Lossy)
    assert isinstance(slack, Lossy)
    slack.blind = True
    with bed.bot("blind", slack):
        until(lambda: bed.redis.zrange(INDEX, 0, -1, withscores=True)[0][1] > 0, "a look")
    bed.at_once()
    with bed.bot("two"):
        bed.paid()
    assert len(roots(person)) == 1


def test_a_warning_is_posted_once_its_channel_takes_it_and_delays_no_other(
    bed: Bed, person: Person
) -> None:
    person.post("members", channel=OPS, user=BOT, member=False)
    bed.note(DAY, GatewayRef("west", "dev", "edge-9"), channel="C0NOWHERE")
    bed.note(2 * DAY)
    with bed.bot():
        until(lambda: bed.waits(2), "both to wait")
        assert roots(person) == []
        person.post("members", channel=OPS, user=BOT, member=True)
        bed.at_once()
        until(lambda: len(roots(person)) == 1, "the message")
        left = "expiry:C0NOWHERE|west/dev/edge-9"
        until(lambda: bed.owes() == [left], "the other to wait")


def test_a_message_that_somebody_deleted_is_posted_anew_while_there_is_something_to_warn_of(
    bed: Bed, person: Person
) -> None:
    with bed.bot():
        bed.note(2 * DAY)
        bed.paid()
        bed.slack().chat_delete(channel=OPS, ts=roots(person)[0]["ts"])
        bed.azure(2 * DAY)
        bed.paid()
        (root,) = roots(person)
        assert "expires in" in root["text"]
        assert thread(person) == [], "the new message shows all"
        bed.slack().chat_delete(channel=OPS, ts=root["ts"])
        bed.note(29 * DAY)
        bed.paid()
    assert roots(person) == []


def test_a_change_that_a_dying_bot_did_not_mark_is_found(bed: Bed, person: Person) -> None:
    with bed.bot():
        bed.note(2 * DAY)
        bed.paid()
    bed.azure(2 * DAY)
    bed.redis.delete(INDEX)
    with bed.bot():
        until(lambda: thread(person), "the line")
        bed.note(29 * DAY)
        bed.redis.delete(INDEX)
        until(lambda: "has a new token" in roots(person)[0]["text"], "the end")


def test_a_warning_is_not_posted_again_where_redis_has_lost_what_was_known(
    bed: Bed, person: Person
) -> None:
    expires_at = bed.redis.time()[0] + 2 * DAY
    facts = ExpiryFacts(REF, "edge-1", "development", expires_at, "annotation", DEFAULT, (OPS,))
    for name in ("one", "two"):
        bed.redis.flushall()
        with bed.bot(name):
            bed.tracker.note(facts)
            bed.tracker.tick()
            bed.paid()
    assert len(roots(person)) == 1
    assert thread(person) == []


def test_after_redis_is_wiped_a_warning_keeps_its_message_and_says_that_snoozes_are_lost(
    bed: Bed, person: Person
) -> None:
    expires_at = bed.redis.time()[0] + 2 * DAY
    facts = ExpiryFacts(REF, "edge-1", "development", expires_at, "annotation", DEFAULT, (OPS,))
    with bed.bot():
        bed.tracker.note(facts)
        bed.tracker.tick()
        bed.paid()
        bed.azure(2 * DAY)
        bed.tracker.snooze(REF, by=ANA, why="moving", seconds=DAY, request_id="r1")
        bed.paid()
    before = thread(person)
    assert len(before) == 2
    assert "reset" not in str(roots(person)[0])
    bed.redis.flushall()
    with bed.bot("two"):
        bed.tracker.note(facts)
        bed.tracker.tick()
        bed.paid()
        assert len(roots(person)) == 1
        assert "if this was snoozed before, it no longer is" in str(roots(person)[0]["blocks"])
        assert thread(person) == before
        bed.tracker.snooze(REF, by=ANA, why="still moving", seconds=DAY, request_id="r2")
        bed.paid()
    assert "Snoozed by" in str(roots(person)[0]["blocks"])
    assert "no longer is" not in str(roots(person)[0]["blocks"])
    assert thread(person)[:2] == before
    assert len(thread(person)) == 3


def test_a_record_of_a_newer_bot_holds_nothing_back_and_is_reported_once(
    bed: Bed, person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    others = [GatewayRef("west", "dev", f"edge-{n}") for n in (2, 3)]
    for ref in (REF, *others):
        bed.note(2 * DAY, ref)
    key = f"gateway-bot:{{w:{REF}}}:gw"
    written = bed.redis.hget(key, "format")
    bed.redis.hset(key, "format", 99)
    with bed.bot("older"):
        until(lambda: len(roots(person)) == 2, "the others")
        until(lambda: caplog.records, "the report")
        until(lambda: bed.owes() == [f"expiry:{OPS}|{REF}"], "the others to be paid")
        # Now in a format that this version can read.
        bed.redis.hset(key, "format", written)
        with bed.bot("newer"):
            until(lambda: len(roots(person)) == 3, "the message")
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(said) == 1
    assert "a newer one wrote it" in said[0]


def digests(bed: Bed, name: str = "one") -> Digests:
    messages, owed = MessageStore(bed.redis, name), Owed(bed.redis, digest_messages.NAME)
    return Digests(messages, owed, (OPS,), WEEKLY, clock=lambda: bed.now)


def test_the_digest_is_posted_once_by_whoever_comes_first(bed: Bed, person: Person) -> None:
    bed.note(20 * DAY)
    for name in ("one", "two", "one"):
        with bed.bot(name):
            digests(bed, name).turn()
            bed.paid()
    (root,) = roots(person)
    assert root["text"].startswith("Tokens of 1 gateway this week: ")
    bed.now += datetime.timedelta(days=7)
    with bed.bot():
        digests(bed).turn()
        bed.paid()
    assert len(roots(person)) == 2


def test_a_digest_whose_end_nobody_noted_is_not_repeated(bed: Bed, person: Person) -> None:
    digests(bed).turn()
    bed.lossy()
    assert len(roots(person)) == 1
    with bed.bot("two"):
        digests(bed, "two").turn()
        bed.paid()
    assert len(roots(person)) == 1


def test_a_digest_that_nobody_could_post_for_a_day_is_not_posted_later(
    bed: Bed, person: Person
) -> None:
    digests(bed).turn()
    bed.now += datetime.timedelta(days=2)
    with bed.bot():
        bed.paid()
    assert roots(person) == []


def test_a_digest_is_not_posted_again_where_redis_has_lost_what_was_known(
    bed: Bed, person: Person
) -> None:
    bed.now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    weekly = Weekly(bed.now.weekday(), bed.now.hour)
    for name in ("one", "two"):
        bed.redis.flushall()
        messages, owed = MessageStore(bed.redis, name), Owed(bed.redis, digest_messages.NAME)
        family = DigestMessages(bed.tracker, weekly)
        engine = Engine(Turns(bed.slack(), messages), [(family, owed)], poll_seconds=0.1)
        Digests(messages, owed, (OPS,), weekly).turn()
        engine.start()
        bed.paid()
        engine.stop(Deadline.after(5))
    assert len(roots(person)) == 1


def stop(bed: Bed, environment: str = "development", number: int = 1) -> RotationStop:
    """Stop automatic rotation there, and have every channel notified."""
    stops = RotationStops(bed.redis)
    stops.count(environment, f"try-{number}", failed=f"{REF} ended failed.", allowed=1)
    return mark(bed, environment)


def mark(bed: Bed, environment: str = "development") -> RotationStop:
    found = RotationStops(bed.redis).latest(environment)
    assert found is not None
    messages, owed = MessageStore(bed.redis, "one"), Owed(bed.redis, rotation_messages.NAME)
    StopMarks(messages, owed, {environment: (OPS,)}).mark(found)
    return found


def test_a_stop_is_posted_once_and_shows_who_resumed_it(bed: Bed, person: Person) -> None:
    with bed.bot("one"), bed.bot("two"):
        stop(bed)
        bed.paid()
        mark(bed)
        assert bed.owed() == [], "what is shown is no longer owed"
        (root,) = roots(person)
        assert root["text"] == "Automatic rotation stopped in development: 1 rotation failed"
        assert "west/dev/edge-1 ended failed." in json.dumps(root["blocks"])
        assert "Resume" in json.dumps(root["blocks"])
        assert RotationStops(bed.redis).resume("development", by=ANA, at=1.0)
        mark(bed)
        bed.paid()
    (root,) = roots(person)
    assert root["text"] == f"<@{ANA}> resumed automatic rotation in development"
    assert [block["type"] for block in root["blocks"]] == ["section", "context"]
    assert "in a row" in root["blocks"][0]["text"]["text"], "why it had stopped stays"
    assert root["blocks"][1]["elements"][0]["text"] == f"Resumed by <@{ANA}>."
    (line,) = thread(person)
    assert line == f":arrow_forward: <@{ANA}> resumed automatic rotation in development."


def test_each_stop_has_a_message_of_its_own_that_shows_what_became_of_it(
    bed: Bed, person: Person
) -> None:
    stops = RotationStops(bed.redis)
    with bed.bot():
        stop(bed)
        bed.paid()
    stops.resume("development", by=ANA, at=1.0)
    mark(bed)
    # No bot runs, so the resumption is not shown before the next stop.
    stops.count("development", "try-2", failed="west/dev/edge-2 ended failed.", allowed=1)
    mark(bed)
    with bed.bot():
        bed.paid()
    first, second = sorted(roots(person), key=lambda m: float(m["ts"]))
    assert first["text"] == f"<@{ANA}> resumed automatic rotation in development"
    assert "edge-1 ended failed" in json.dumps(first["blocks"])
    assert second["text"] == "Automatic rotation stopped in development: 1 rotation failed"
    assert "edge-2 ended failed" in json.dumps(second["blocks"])


def test_a_stop_that_was_over_before_anybody_heard_of_it_is_not_posted(
    bed: Bed, person: Person
) -> None:
    stop(bed)
    RotationStops(bed.redis).resume("development", by=ANA, at=1.0)
    with bed.bot():
        bed.paid()
    mark(bed)
    assert bed.owed() == []
    assert roots(person) == []


def test_a_stop_whose_post_nobody_noted_is_found_and_resolved_in_place(
    bed: Bed, person: Person
) -> None:
    stop(bed, "team | one")
    bed.lossy()
    RotationStops(bed.redis).resume("team | one", by=ANA, at=1.0)
    with bed.bot("two"):
        bed.paid()
    (root,) = roots(person)
    assert root["text"] == f"<@{ANA}> resumed automatic rotation in team | one"


def test_a_stop_that_a_newer_bot_wrote_is_left_to_it(
    bed: Bed, person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    stop(bed)
    key = RotationStops(bed.redis).key("development")
    kept = json.loads(bed.redis.hget(key, "stop:1"))
    bed.redis.hset(key, "stop:1", json.dumps(kept | {"version": 2}))
    with bed.bot():
        until(lambda: caplog.records, "the report")
    assert roots(person) == []
    assert bed.owed() == [f"rotation:{OPS}|1|development"]
