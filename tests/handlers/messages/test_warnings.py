"""Warnings in channels: one message for each gateway that stays true, and nothing told twice."""

import datetime
import json
from collections.abc import Iterator
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.expiry.notices import Notices
from deploy.expiry.thresholds import DEFAULT
from deploy.expiry.tracked import ExpiryFacts
from deploy.expiry.tracker import Tracker
from deploy.expiry.weekly import Weekly
from deploy.gateway import GatewayRef
from handlers.messages.budget import Budgets
from handlers.messages.notices import Poster
from handlers.messages.warnings import Warner
from handlers.messages.weekly_digest import Digest
from tests.support.redis_servers import started
from tests.support.slack_workspace import BOT_TOKEN, OPS, Person

DAY = 86_400.0
REF = GatewayRef("west", "dev", "edge-1")


class Clock:
    """A time that passes when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path_factory.mktemp("redis"))


class Bed:
    """A Redis, a Slack, and bots that warn."""

    def __init__(self, server: Valkey, url: str) -> None:
        self.redis = connect(server.url)
        self.redis.flushall()
        self.url = url
        self.clock = Clock()
        self.tracker = Tracker(self.redis, "one")

    def slack(self, kind: type[WebClient] = WebClient) -> WebClient:
        return kind(token=BOT_TOKEN, base_url=self.url, timeout=5, retry_handlers=[])

    def bot(self, name: str = "one", kind: type[WebClient] = WebClient) -> Warner:
        tracker = Tracker(self.redis, name)
        return Warner(self.slack(kind), tracker, budgets=Budgets(self.clock), clock=self.clock)

    def note(self, left: float, ref: GatewayRef = REF, channel: str = OPS) -> None:
        seconds, _ = self.redis.time()
        facts = ExpiryFacts(
            ref, ref.name, "development", seconds + left, "annotation", DEFAULT, (channel,)
        )
        self.tracker.note(facts)
        while self.tracker.tick():
            pass

    def tell(self, *bots: Warner, turns: int = 3, seconds: float = 10) -> None:
        for _ in range(turns):
            self.clock.now += seconds
            for bot in bots:
                bot.turn()

    def crash(self, name: str) -> None:
        """What is left of a bot that was killed: its leases end by themselves."""
        for key in self.redis.keys("*lease*"):
            if self.redis.get(key) == name:
                self.redis.delete(key)


@pytest.fixture
def bed(server: Valkey, person: Person) -> Bed:
    return Bed(server, person.slack.api_url)


def roots(person: Person) -> list[dict[str, Any]]:
    found = person.messages(OPS)
    return [m for m in found if m.get("thread_ts", m["ts"]) == m["ts"]]


def thread(person: Person) -> list[str]:
    found = person.messages(OPS)
    return [m["text"] for m in found if m.get("thread_ts", m["ts"]) != m["ts"]]


def test_a_gateway_has_one_message_that_escalates_in_its_thread_and_is_resolved_in_place(
    bed: Bed, person: Person
) -> None:
    one, two = bed.bot("one"), bed.bot("two")
    bed.note(2 * DAY)
    bed.tell(one, two)
    (root,) = roots(person)
    assert "west/dev/edge-1 has a token that expires in" in root["text"]
    assert "Snooze" in json.dumps(root["blocks"])
    bed.tracker.unrotated(REF, "A rule <forbids> it.")
    bed.tell(one, two)
    (root,) = roots(person)
    assert "Not rotated automatically: A rule &lt;forbids&gt; it." in json.dumps(root["blocks"])
    assert thread(person) == []
    tracked = bed.tracker.find(REF)
    assert tracked is not None
    bed.redis.hset(f"gateway-bot:{{w:{REF}}}:gw", "expires", round((tracked.now - 5) * 1000))
    bed.tracker._look(REF)
    bed.tell(one, two)
    (root,) = roots(person)
    assert "has expired" in root["text"]
    (line,) = thread(person)
    assert "It expired" in line
    bed.note(29 * DAY)
    bed.tell(one, two)
    (root,) = roots(person)
    assert "has a new token" in root["text"]
    assert "Snooze" not in json.dumps(root["blocks"])
    assert len(thread(person)) == 2


def azure_says(bed: Bed, left: float, *, expired: bool = False) -> None:
    seconds, _ = bed.redis.time()
    bed.tracker.azure(REF, expired=expired, expires_at=seconds + left, instance="pod-1")


def test_what_azure_said_before_the_message_was_posted_is_shown_in_it(
    bed: Bed, person: Person
) -> None:
    bed.note(2 * DAY)
    azure_says(bed, 2 * DAY)
    bed.tell(bed.bot())
    (root,) = roots(person)
    said = "Azure reports that the token of instance `pod-1` is about to expire."
    assert said in json.dumps(root["blocks"])
    assert thread(person) == []


def test_what_azure_says_afterwards_is_told_in_the_thread_and_shown(
    bed: Bed, person: Person
) -> None:
    bot = bed.bot()
    bed.note(2 * DAY)
    bed.tell(bot)
    azure_says(bed, 2 * DAY)
    bed.tell(bot)
    azure_says(bed, 2 * DAY, expired=True)
    bed.tell(bot)
    assert [line.rpartition("` ")[2] for line in thread(person)] == [
        "is about to expire.",
        "has expired.",
    ]
    (root,) = roots(person)
    assert "`pod-1` has expired." in json.dumps(root["blocks"])
    assert "is about to expire" not in json.dumps(root["blocks"])


def test_four_bots_post_each_warning_once(bed: Bed, person: Person) -> None:
    bots = [bed.bot(f"bot-{n}") for n in range(4)]
    for number in range(12):
        bed.note((2 + number / 100) * DAY, GatewayRef("west", "dev", f"edge-{number}"))
    bed.tell(*bots, turns=8, seconds=5)
    assert len(roots(person)) == 12


class Forgetful(WebClient):
    """The post arrives, its answer does not."""

    def chat_postMessage(self, **more: Any) -> Any:  # noqa: N802  # as the SDK has it
        super().chat_postMessage(**more)
        raise ConnectionResetError


class Nowhere(WebClient):
    """Neither the post nor its answer arrives."""

    def chat_postMessage(self, **more: Any) -> Any:  # noqa: N802  # as the SDK has it
        raise ConnectionResetError


def test_a_post_whose_end_nobody_noted_is_found_and_not_repeated(bed: Bed, person: Person) -> None:
    bed.note(2 * DAY)
    bed.tell(bed.bot("dead", Forgetful), turns=1)
    bed.crash("dead")
    assert len(roots(person)) == 1
    bed.tell(bed.bot("two"))
    assert len(roots(person)) == 1
    tracked = bed.tracker.find(REF)
    assert tracked is not None
    assert tracked.behind() == ()
    assert tracked.told[OPS].ts == roots(person)[0]["ts"]


def test_a_post_whose_end_nobody_noted_is_resolved_in_place(bed: Bed, person: Person) -> None:
    bed.note(2 * DAY)
    bed.tell(bed.bot("dead", Forgetful), turns=1)
    bed.crash("dead")
    bed.note(29 * DAY)
    bed.tell(bed.bot("two"))
    (root,) = roots(person)
    assert "has a new token" in root["text"]
    assert "Snooze" not in json.dumps(root["blocks"])


def test_what_happened_since_a_post_whose_end_nobody_noted_is_told(
    bed: Bed, person: Person
) -> None:
    bed.note(2 * DAY)
    bed.tell(bed.bot("dead", Forgetful), turns=1)
    bed.crash("dead")
    tracked = bed.tracker.find(REF)
    assert tracked is not None
    bed.redis.hset(f"gateway-bot:{{w:{REF}}}:gw", "expires", round((tracked.now - 5) * 1000))
    bed.tracker._look(REF)
    bed.tell(bed.bot("two"))
    (root,) = roots(person)
    assert "has expired" in root["text"]
    (line,) = thread(person)
    assert "It expired" in line


def test_a_warning_that_was_never_posted_is_not_told_once_it_is_over(
    bed: Bed, person: Person
) -> None:
    bed.note(2 * DAY)
    bed.tell(bed.bot("dead", Nowhere), turns=1)
    bed.crash("dead")
    bed.note(29 * DAY)
    bed.tell(bed.bot("two"))
    assert roots(person) == []
    assert bed.tracker.owed(OPS) == []


def test_it_is_looked_for_beyond_the_first_page(bed: Bed, person: Person) -> None:
    bed.note(2 * DAY)
    bed.tell(bed.bot("dead", Forgetful), turns=1)
    bed.crash("dead")
    slack = bed.slack()
    person.set_fault("rate_limits", False)
    for _ in range(230):
        slack.chat_postMessage(channel=OPS, text="something else")
    bed.tell(bed.bot("two"))
    assert len([m for m in roots(person) if "edge-1" in m["text"]]) == 1


def test_a_line_of_the_thread_whose_end_nobody_noted_is_not_repeated(
    bed: Bed, person: Person
) -> None:
    bed.note(2 * DAY)
    bed.tell(bed.bot("one"))
    bed.crash("one")
    bed.note(DAY / 2)
    bed.tell(bed.bot("dead", Forgetful), turns=1)
    bed.crash("dead")
    bed.tell(bed.bot("two"), turns=6)
    lines = thread(person)
    assert len(lines) == len(set(lines)) == 2


class Refusing(WebClient):
    """Slack is told to be slowed down by history, as when many look at once."""

    def conversations_history(self, **more: Any) -> Any:
        raise ConnectionResetError


def test_a_look_that_fails_leads_to_no_second_post(bed: Bed, person: Person) -> None:
    bed.note(2 * DAY)
    bed.tell(bed.bot("dead", Forgetful), turns=1)
    bed.crash("dead")
    bed.tell(bed.bot("blind", Refusing))
    bed.crash("blind")
    bed.tell(bed.bot("two"))
    assert len(roots(person)) == 1


def test_a_channel_that_takes_nothing_delays_no_other(bed: Bed, person: Person) -> None:
    bed.note(DAY, GatewayRef("west", "dev", "edge-9"), channel="C0NOWHERE")
    bed.note(2 * DAY)
    bed.tell(bed.bot())
    assert len(roots(person)) == 1
    assert bed.tracker.owed("C0NOWHERE") == [GatewayRef("west", "dev", "edge-9")]


def test_a_message_that_somebody_deleted_is_posted_anew(bed: Bed, person: Person) -> None:
    bed.note(2 * DAY)
    bot = bed.bot()
    bed.tell(bot)
    bed.slack().chat_delete(channel=OPS, ts=roots(person)[0]["ts"])
    bed.note(DAY / 2)
    bed.tell(bot, turns=6)
    assert [m["text"] for m in roots(person) if "edge-1" in m.get("text", "")] != []


def test_the_digest_is_posted_once_by_whoever_comes_first(bed: Bed, person: Person) -> None:
    bed.note(2 * DAY)
    monday = datetime.datetime(2026, 11, 23, 9, 0, tzinfo=datetime.UTC)
    for name in ("one", "two", "one"):
        poster = Poster(bed.slack(), Notices(bed.redis, name))
        Digest(bed.tracker, poster, (OPS,), Weekly(0, 8), clock=lambda: monday).turn()
    found = [m for m in roots(person) if m["text"].startswith("Tokens this week: 1 gateway")]
    assert len(found) == 1
    assert "west/dev/edge-1" in json.dumps(found[0]["blocks"])


def test_a_digest_over_which_a_bot_died_is_posted_by_one_that_met_it_there(
    bed: Bed, person: Person
) -> None:
    monday = datetime.datetime(2026, 11, 23, 9, 0, tzinfo=datetime.UTC)
    notice = f"{OPS}:digest 2026-W48"
    Notices(bed.redis, "dead").begin(notice)
    poster = Poster(bed.slack(), Notices(bed.redis, "two"))
    digest = Digest(bed.tracker, poster, (OPS,), Weekly(0, 8), clock=lambda: monday)
    digest.turn()
    assert roots(person) == []
    bed.redis.hdel(f"gateway-bot:{{notice:{notice}}}", "owner", "until")
    digest.turn()
    digest.turn()
    assert len(roots(person)) == 1


def test_a_digest_whose_end_nobody_noted_is_not_repeated(bed: Bed, person: Person) -> None:
    monday = datetime.datetime(2026, 11, 23, 9, 0, tzinfo=datetime.UTC)

    def digest(name: str, kind: type[WebClient]) -> None:
        notices = Notices(bed.redis, name)
        poster = Poster(bed.slack(kind), notices)
        Digest(bed.tracker, poster, (OPS,), Weekly(0, 8), clock=lambda: monday).turn()

    digest("dead", Forgetful)
    bed.redis.hdel(f"gateway-bot:{{notice:{OPS}:digest 2026-W48}}", "owner", "until")
    digest("two", WebClient)
    assert len(roots(person)) == 1


def test_a_record_of_a_newer_bot_holds_nothing_back_and_its_bot_gets_the_channel(
    bed: Bed, person: Person
) -> None:
    newer, others = REF, [GatewayRef("west", "dev", f"edge-{n}") for n in (2, 3)]
    for ref in (newer, *others):
        bed.note(2 * DAY, ref)
    bed.redis.hset(f"gateway-bot:{{w:{newer}}}:gw", "format", 2)
    older = bed.bot("older")
    bed.tell(older, turns=1)
    told = {m["metadata"]["event_payload"]["id"] for m in roots(person)}
    assert told == {f"{ref}#1" for ref in others}
    assert bed.tracker.owed(OPS) == [newer]
    assert Tracker(bed.redis, "newer").hold(f"warnings-{OPS}", 60)
    bed.tell(older)
    assert bed.redis.get(f"gateway-bot:{{lease:warnings-{OPS}}}") == "newer"
    assert len(roots(person)) == 2
