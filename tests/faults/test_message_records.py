"""What bots know of one message together is neither forgotten nor replaced by what is older, and a wait
concerns what Slack's answer was about."""

from collections.abc import Iterator
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from slack_sdk import WebClient

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.actions.owed import Owed
from deploy.errors import Conflict, NotFound, Unavailable
from deploy.health.live_messages import LiveMessages
from handlers.messages import lookup
from handlers.messages.engine import Engine
from handlers.messages.live import STOP
from handlers.messages.live_family import LiveFamily
from handlers.messages.store import (
    LEASE_SECONDS,
    Intent,
    LostTurn,
    MessageRecord,
    MessageStore,
    Place,
    PostedTwice,
)
from handlers.messages.turn import Turns
from handlers.messages.unshown import UnshownMessages
from handlers.views.text import section
from tests.faults.message_scene import (
    INDEX,
    Bot,
    Call,
    Clock,
    Life,
    Lost,
    MortalSlack,
    Seen,
    pass_by,
    refusal,
    settle,
)
from tests.support.redis_servers import started
from tests.support.slack_fixtures import client, person
from tests.support.slack_workspace import ANA, BEN, BOT, ELSEWHERE, OPS, SECRETS, Person
from tests.support.waiting import until

__all__ = ["client", "person"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


@pytest.fixture
def redis(server: Valkey) -> Any:
    found = connect(server.url)
    found.flushall()
    MessageStore(found, "bot").due(1)
    return found


def begun(redis: Any, name: str, channel: str = OPS) -> LiveMessages:
    """Something that is kept current there."""
    store = LiveMessages(redis, "keeper", "watch")
    shown = {"text": "first look", "blocks": [section("first look")]}
    store.begin(name, {"id": name, "user": ANA, "channel": channel}, 600, shown)
    return store


def watches(redis: Any) -> LiveFamily:
    return LiveFamily("watch", LiveMessages(redis, "keeper", "watch"), STOP)


def taken(redis: Any, bot: str, key: str = "a") -> MessageRecord:
    record = MessageStore(redis, bot).take("watch", key)
    assert record is not None
    return record


def taken_over(redis: Any) -> tuple[MessageRecord, MessageRecord]:
    """A message as the bot knows it that has lost its turn meanwhile, and as the next one does."""
    Owed(redis, "watch").now("a")
    first = taken(redis, "one")
    pass_by(redis, 41, Clock())
    return first, taken(redis, "two")


def test_a_place_that_comes_late_is_kept_where_none_is_known(redis: Any) -> None:
    first, second = taken_over(redis)
    MessageStore(redis, "one").posted(first, Place(OPS, "1.0"), "d1")
    assert MessageStore(redis, "two").place("watch", "a") == Place(OPS, "1.0")
    MessageStore(redis, "two").release(second, 0)
    assert taken(redis, "three").digest == "d1"


def test_a_place_that_comes_late_replaces_no_newer_one_and_nothing_that_is_known_of_that(
    redis: Any,
) -> None:
    first, second = taken_over(redis)
    two = MessageStore(redis, "two")
    second = two.posted(second, Place(OPS, "2.0"), "d2", 5)
    two.done(second, 3, "d2", 5, final=False)
    one = MessageStore(redis, "one")
    with pytest.raises(PostedTwice):
        one.posted(first, Place(OPS, "1.0"), "d1", 2)
    one.line_posted(first, "once:note", "1.1")
    known = taken(redis, "three")
    assert (known.place, known.digest, known.cursor) == (Place(OPS, "2.0"), "d2", 5)
    assert known.lines == {"once:note": "1.1"}


def test_what_a_bot_without_its_turn_made_of_a_call_is_not_for_it_to_say(redis: Any) -> None:
    first, second = taken_over(redis)
    two = MessageStore(redis, "two")
    assert two.spend(second, [], Intent("", OPS)) is None
    one = MessageStore(redis, "one")
    one.closed(first, OPS)
    one.not_posted(first)
    one.lost(first, "gone")
    two.release(second, 0)
    known = taken(redis, "three")
    assert (known.closed, known.looked, known.lost) == ((), False, "")
    assert known.intent is not None
    with pytest.raises(LostTurn):
        one.spend(first, [])


def test_a_mark_that_is_not_urgent_and_comes_during_a_turn_is_not_lost_with_it(redis: Any) -> None:
    owed = Owed(redis, "watch")
    owed.now("a")
    record = taken(redis, "one")
    owed.within("a", 3600)
    MessageStore(redis, "one").done(record, 1, "d", 0, final=False)
    assert redis.zrange(INDEX, 0, -1) == ["watch:a"]


def test_a_mark_that_is_not_urgent_makes_no_message_wait_for_longer(redis: Any) -> None:
    owed = Owed(redis, "watch")
    owed.within("a", 10)
    before = redis.zscore(INDEX, "watch:a")
    owed.within("a", 20)
    assert before - 10 < redis.zscore(INDEX, "watch:a") <= before


def test_an_update_of_a_bot_that_was_frozen_is_not_the_last_word(
    redis: Any, person: Person, client: WebClient
) -> None:
    clock, frozen = Clock(), [True]
    other = Bot(redis, client, watches, clock=clock)
    store = begun(redis, "r1")
    settle(redis, [other], clock=clock)

    def freezes(call: Call) -> Exception | None:
        if call[0] == "chat.update" and frozen.pop():
            pass_by(redis, LEASE_SECONDS + 1, clock)
            kept = store.find("r1")
            assert kept is not None
            store.end(kept, {"text": "last look", "blocks": []}, "stopped", BEN)
            settle(redis, [other], clock=clock)
            assert Seen(person).says("stopped by")
        return None

    store.show("r1", {"text": "second look", "blocks": []})
    settle(redis, [Bot(redis, client, watches, trouble=freezes, clock=clock), other], clock=clock)
    assert not frozen
    assert Seen(person).says("stopped by")


def limited(*channels: str, reason: str = "ratelimited") -> Any:
    """Slack says to wait half a minute wherever it is posted to one of these."""

    def answers(call: Call) -> Exception | None:
        struck = call[0] == "chat.postMessage" and call[1]["channel"] in channels
        return refusal(reason, 429, 30) if struck else None

    return answers


def posted_while_limited(
    redis: Any, person: Person, client: WebClient, answers: Any
) -> dict[str, int]:
    """How many messages are in each of three channels, less than half a minute later."""
    person.post("members", channel="elsewhere", user=BOT, member=True)
    bot = Bot(redis, client, watches, trouble=answers)
    for number, channel in enumerate((OPS, SECRETS, ELSEWHERE)):
        begun(redis, f"r{number}", channel)
        settle(redis, [bot], minutes=0.1)
    return {channel: len(person.messages(channel)) for channel in (OPS, SECRETS, ELSEWHERE)}


def test_a_channel_that_must_wait_lets_the_others_be(
    redis: Any, person: Person, client: WebClient
) -> None:
    found = posted_while_limited(redis, person, client, limited(OPS))
    assert found == {OPS: 0, SECRETS: 1, ELSEWHERE: 1}


def test_two_channels_that_must_wait_are_taken_for_the_workspace(
    redis: Any, person: Person, client: WebClient
) -> None:
    found = posted_while_limited(redis, person, client, limited(OPS, SECRETS))
    assert found == {OPS: 0, SECRETS: 0, ELSEWHERE: 0}


def test_where_slack_speaks_of_the_workspace_every_channel_waits(
    redis: Any, person: Person, client: WebClient
) -> None:
    answers = limited(OPS, reason="message_limit_exceeded")
    found = posted_while_limited(redis, person, client, answers)
    assert found == {OPS: 0, SECRETS: 0, ELSEWHERE: 0}


def test_a_state_that_slack_refuses_is_reported_and_the_next_one_is_shown(
    redis: Any, person: Person, client: WebClient, caplog: pytest.LogCaptureFixture
) -> None:
    refusing = [False]
    updates: list[Call] = []

    def answers(call: Call) -> Exception | None:
        updates.extend([call] if call[0] == "chat.update" else [])
        struck = refusing[0] and call[0] == "chat.update"
        return refusal("invalid_arguments") if struck else None

    bot = Bot(redis, client, watches, trouble=answers)
    store = begun(redis, "r1")
    settle(redis, [bot])
    refusing[0] = True
    store.show("r1", {"text": "second look", "blocks": [section("second look")]})
    settle(redis, [bot])
    assert len(updates) == 2
    told = [m["text"] for channel, m in Seen(person).all if channel.startswith("D")]
    assert len(told) == 1
    assert "watch:r1" in caplog.text
    Owed(redis, "watch").now("r1")
    settle(redis, [bot])
    assert len(updates) == 2
    refusing[0] = False
    kept = store.find("r1")
    assert kept is not None
    store.end(kept, {"text": "last look", "blocks": [section("last look")]}, "stopped", BEN)
    settle(redis, [bot])
    assert Seen(person).says("stopped by")
    assert Seen(person).twice() == []


def test_a_message_that_slack_refused_is_tried_anew_or_dropped_for_whoever_keeps_the_bot(
    redis: Any, person: Person, client: WebClient
) -> None:
    refusing = [False]

    def answers(call: Call) -> Exception | None:
        struck = refusing[0] and call[0] == "chat.update"
        return refusal("invalid_arguments") if struck else None

    def texts() -> str:
        return "\n".join(message["text"] for _, message in Seen(person).all)

    bot = Bot(redis, client, watches, trouble=answers)
    stores = {name: begun(redis, name) for name in ("r1", "r2")}
    settle(redis, [bot])
    unshown = UnshownMessages(redis, "operator")
    assert unshown.all() == []
    refusing[0] = True
    for name, store in stores.items():
        text = f"second look of {name}"
        store.show(name, {"text": text, "blocks": [section(text)]})
    settle(redis, [bot])
    assert sorted(each.name for each in unshown.all()) == ["watch:r1", "watch:r2"]
    refusing[0] = False
    unshown.drop("watch:r2", "dropped by ana: not worth it")
    unshown.again("watch:r1")
    settle(redis, [bot])
    assert "second look of r1" in texts()
    assert "second look of r2" not in texts()
    assert [(e.name, e.why) for e in unshown.all()] == [
        ("watch:r2", "dropped by ana: not worth it")
    ]
    with pytest.raises(NotFound):
        unshown.again("watch:r3")
    assert MessageStore(redis, "bot-2").take("watch", "r1") is not None
    with pytest.raises(Conflict, match="A bot works on the message watch:r1 now"):
        unshown.drop("watch:r1", "no")


def test_a_post_that_may_stand_is_found_among_all_that_was_posted_after_it(
    redis: Any, person: Person, client: WebClient
) -> None:
    store = MessageStore(redis, "one")
    begun(redis, "r1")
    record = taken(redis, "one", "r1")
    assert store.spend(record, [], Intent("", OPS)) is None
    posted = client.chat_postMessage(
        channel=OPS, text="first look", metadata=lookup.metadata(record)
    )
    store.release(record, 0)
    record = taken(redis, "one", "r1")
    record = store.lost(record, "cannot be known", record.intent)
    store.done(record, 1, "d", 0, final=False)
    UnshownMessages(redis, "operator").again("watch:r1")
    record = taken(redis, "one", "r1")
    intent = record.intent
    assert intent is not None
    asked: list[Call] = []

    def answers(call: Call) -> Exception | None:
        asked.append(call)
        return None

    slack = MortalSlack(client, Life(), answers)
    place = lookup.find(slack, record, intent, lambda method: None)
    assert place == Place(OPS, posted["ts"])
    ((_, window),) = asked
    assert float(window["latest"]) == pytest.approx(intent.until + lookup.SKEW_SECONDS)
    assert float(window["oldest"]) < float(posted["ts"]) < float(window["latest"])


@pytest.mark.parametrize("stands", [True, False])
def test_a_message_whose_post_may_stand_is_looked_for_before_an_operator_has_it_posted_again(
    redis: Any, person: Person, client: WebClient, stands: bool
) -> None:
    posts: list[Call] = []
    away = [True]

    def answers(call: Call) -> Exception | None:
        if call[0] == "chat.postMessage" and call[1]["channel"] == OPS:
            posts.append(call)
            if len(posts) == 1:
                return Lost() if stands else ConnectionResetError()
        looks = call[0] == "conversations.history" and away[0]
        return ConnectionResetError() if looks else None

    bot = Bot(redis, client, watches, trouble=answers)
    begun(redis, "r1")
    settle(redis, [bot])
    unshown = UnshownMessages(redis, "operator")
    assert [each.name for each in unshown.all()] == ["watch:r1"]
    unshown.drop("watch:r1", "not now")
    settle(redis, [bot])
    away[0] = False
    unshown.again("watch:r1")
    settle(redis, [bot])
    assert len(posts) == (1 if stands else 2)
    assert [channel for channel, _ in Seen(person).tops] == [OPS]
    assert Seen(person).says("first look")
    assert unshown.all() == []


def test_the_end_of_a_message_that_somebody_deleted_is_logged_with_its_key(
    redis: Any, person: Person, client: WebClient, caplog: pytest.LogCaptureFixture
) -> None:
    bot = Bot(redis, client, watches)
    store = begun(redis, "r1")
    settle(redis, [bot])
    ((channel, message),) = Seen(person).tops
    client.chat_delete(channel=channel, ts=message["ts"])
    kept = store.find("r1")
    assert kept is not None
    store.end(kept, {"text": "last look", "blocks": []}, "stopped", BEN)
    settle(redis, [bot])
    assert Seen(person).all == []
    assert [r.levelname for r in caplog.records if "watch:r1" in r.getMessage()][-1] == "ERROR"


class Away:
    """A client whose server is away when something is put off."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.away = True

    def __getattr__(self, name: str) -> Any:
        if name == "zadd" and self.away:
            raise RedisConnectionError
        return getattr(self._client, name)


def test_a_message_that_only_a_newer_bot_knows_is_not_kept_from_it(
    redis: Any, client: WebClient
) -> None:
    older = Engine(
        Turns(client, MessageStore(redis, "one")), [(watches(redis), Owed(redis, "watch"))]
    )
    Owed(redis, "of a newer version").now("x")
    older.step()
    assert MessageStore(redis, "two").due(10).members == (("of a newer version", "x"),)


def test_messages_that_a_bot_does_not_know_keep_it_from_no_other(
    redis: Any, person: Person, client: WebClient
) -> None:
    engine = Engine(
        Turns(client, MessageStore(redis, "one")), [(watches(redis), Owed(redis, "watch"))]
    )
    for number in range(300):
        Owed(redis, "of a newer version").now(str(number))
    begun(redis, "r1")
    until(lambda: engine.step() == 1, "the turn of its own")
    assert Seen(person).says("first look")


def test_a_redis_that_is_away_for_a_moment_keeps_no_message_waiting_afterwards(
    redis: Any, person: Person, client: WebClient
) -> None:
    away = Away(redis)
    engine = Engine(
        Turns(client, MessageStore(away, "one")), [(watches(redis), Owed(redis, "watch"))]
    )
    begun(redis, "r1")
    for number in range(199):
        Owed(redis, "of another version").now(str(number))
    with pytest.raises(Unavailable):
        engine.step()
    away.away = False
    assert engine.step() == 1
    assert Seen(person).says("first look")
