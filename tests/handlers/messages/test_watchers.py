"""A channel is notified when gateways get worse or better: once, in one message that stays true."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from deploy.actions.connection import connect
from deploy.actions.owed import Owed
from deploy.deadline import Deadline
from deploy.errors import Unavailable
from deploy.health import cache as cache_module
from deploy.health.cache import ClusterCache
from deploy.health.heartbeat import Heartbeat
from deploy.health.incident_store import IncidentStore
from deploy.health.incidents import Incident
from deploy.health.levels import Levels, Seen
from deploy.kube.cluster import connect as connect_cluster
from handlers.messages.engine import Engine
from handlers.messages.incident_messages import NAME, IncidentMessages
from handlers.messages.store import MessageStore
from handlers.messages.turn import Turns
from handlers.messages.watchers import Watchers
from tests.deploy.health.test_cache import gateway, install, secret
from tests.deploy.health.test_listed_namespaces import bind
from tests.support.redis_servers import started
from tests.support.running_cluster import RunningCluster
from tests.support.slack_workspace import BOT, OPS, Person
from tests.support.waiting import until


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Told(Levels):
    """Heartbeat levels that the test sets."""

    level: Any = "no trouble seen"

    def last(self, gateway: Any) -> Seen:
        return Seen(Heartbeat(self.level, "the evidence"), time.time())


class Away:
    """The cache of a bot that started while its cluster did not answer."""

    def read(self, **_: Any) -> Any:
        raise Unavailable("Cluster west does not answer.")


class Bed:
    """A cluster, a Slack, a Redis, and bots that watch, each with an engine for the messages."""

    def __init__(self, client: WebClient, cache: Any, redis: Any) -> None:
        self.client, self.cache, self.redis = client, cache, redis
        self.levels = Told({"west": cache})
        self.clock = Clock()

    def store(self, name: str) -> IncidentStore:
        return IncidentStore(self.redis, name, seconds=0.3)

    def bot(self, name: str) -> Watchers:
        """A bot that watches, as it starts."""
        return Watchers(
            {"west": self.cache},
            self.levels,
            self.store(name),
            Owed(self.redis, NAME),
            lambda ref: OPS,
            clock=self.clock,
        )

    @contextmanager
    def posting(self, client: WebClient | None = None, name: str = "one") -> Iterator[Engine]:
        """A bot that keeps the messages true."""
        families = [(IncidentMessages(self.store(name), ["west"]), Owed(self.redis, NAME))]
        turns = Turns(client or self.client, MessageStore(self.redis, name))
        engine = Engine(turns, families, poll_seconds=0.1, sweep_seconds=0.5)
        engine.start()
        try:
            yield engine
        finally:
            engine.stop(Deadline.after(5))

    def paid(self) -> None:
        """Wait until no message is behind."""
        until(lambda: not self.redis.zcard("gateway-bot:{messages}:owed"), "every message")

    def failing(self) -> None:
        """Wait until a message could not be posted."""
        until(self._failing, "a failure")

    def _failing(self) -> bool:
        keys = self.redis.keys("gateway-bot:{messages}:record:*")
        return any(self.redis.hget(key, "failing") for key in keys)

    def end(self, name: str) -> None:
        """What another bot sees once the lease of a dead one has expired."""
        IncidentStore(self.redis, name).release(f"west:{OPS}")

    def heard(self) -> frozenset[str]:
        """The channels on record."""
        return self.store("test").channels("west")

    def look(self, *bots: Watchers, seconds: float = 60) -> None:
        """Let time pass while these bots watch."""
        for _ in range(round(seconds / 10)):
            self.clock.now += 10
            for bot in bots:
                bot.watch("west")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningCluster]:
    with RunningCluster(tmp_path, namespaces=("dev",)) as cluster:
        yield cluster


@pytest.fixture
def bed(client: WebClient, running: RunningCluster, tmp_path: Path) -> Iterator[Bed]:
    cluster = connect_cluster("west", kubeconfig=running.kubeconfig())
    cache = ClusterCache(cluster)
    install(running, secret("edge-1"), gateway("edge-1", replicas=1))

    def ready() -> bool:
        (found,) = cache.read().gateways
        return bool(found.deployment["status"].get("availableReplicas"))

    until(ready, "a ready gateway")
    for server in started("valkey", tmp_path / "redis"):
        yield Bed(client, cache, connect(server.url))
    cache.stop(Deadline.after(5))
    cluster.close()


def posts(person: Person) -> list[dict[str, Any]]:
    """The channel's own messages, without the threads."""
    found = person.messages(OPS)
    return [m for m in found if m.get("thread_ts", m["ts"]) == m["ts"]]


def threads(person: Person) -> list[str]:
    """The replies in the channel's threads."""
    found = person.messages(OPS)
    return [m["text"] for m in found if m.get("thread_ts", m["ts"]) != m["ts"]]


def test_an_incident_is_one_message_of_several_bots_and_ends_in_it(
    person: Person, bed: Bed
) -> None:
    one, two = bed.bot("one"), bed.bot("two")
    with bed.posting(name="one"), bed.posting(name="two"):
        bed.look(one, two)
        bed.levels.level = "denied"
        bed.look(one, two)
        until(lambda: posts(person), "the message")
        bed.paid()
        (message,) = posts(person)
        assert "edge-1 on west/dev is denied by Azure" in message["text"]
        assert "the evidence" in json.dumps(message["blocks"])
        bed.levels.level = "no trouble seen"
        bed.look(one, two)
        until(
            lambda: posts(person)[0]["text"].startswith("Resolved: edge-1 on west/dev"), "its end"
        )
        bed.paid()
    assert len(posts(person)) == 1
    assert threads(person) == ["✅ `west/dev/edge-1` recovered."]


def test_a_bot_that_starts_again_repeats_nothing_and_knows_what_is_to_be_resolved(
    person: Person, bed: Bed
) -> None:
    bed.levels.level = "cut off"
    with bed.posting(name="one"):
        bed.look(bed.bot("one"))
        until(lambda: posts(person), "the message")
        bed.paid()
    bed.end("one")
    again = bed.bot("two")
    with bed.posting(name="two"):
        bed.look(again, seconds=120)
        bed.levels.level = "connected"
        bed.look(again)
        until(lambda: posts(person)[0]["text"].startswith("Resolved"), "its end")
    assert len(posts(person)) == 1


def test_a_bot_that_starts_after_a_gateway_was_deleted_ends_its_incident(
    person: Person, bed: Bed, running: RunningCluster
) -> None:
    bed.levels.level = "cut off"
    with bed.posting():
        bed.look(bed.bot("one"))
        until(lambda: posts(person), "the message")
        running.request("DELETE", "/apis/apps/v1/namespaces/dev/deployments/edge-1")
        until(lambda: not bed.cache.read().gateways, "its end")
        bed.end("one")
        two = bed.bot("two")
        bed.look(two)
        until(lambda: posts(person)[0]["text"].startswith("Resolved"), "the end of the message")
    bed.look(two, seconds=400)
    assert bed.heard() == frozenset()


def test_a_gateway_that_is_not_seen_where_pods_cannot_be_read_has_not_recovered(
    person: Person, bed: Bed, running: RunningCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_AGAIN_AFTER_REFUSAL", 0.2)
    bind(running, "dev", pods=False)
    cluster = connect_cluster("west", kubeconfig=running.kubeconfig("bot"), namespaces=("dev",))
    bed.cache = ClusterCache(cluster)
    try:
        until(lambda: bed.cache.read().blind == {"dev"}, "the refusal")
        until(lambda: bed.cache.read().gateways, "the gateway")
        bed.levels.level = "cut off"
        bot = bed.bot("one")
        with bed.posting():
            bed.look(bot)
            until(lambda: posts(person), "the message")
            running.request("DELETE", "/apis/apps/v1/namespaces/dev/deployments/edge-1")
            until(lambda: not bed.cache.read().gateways, "its end")
            bed.look(bot, seconds=120)
            assert [each.over_at for each in incidents(bed)] == [None]
            bind(running, "dev")
            until(lambda: not bed.cache.read().blind, "the pods")
            bed.look(bot)
            until(lambda: posts(person)[0]["text"].startswith("Resolved"), "the end of the message")
    finally:
        bed.cache.stop(Deadline.after(5))
        cluster.close()


def incidents(bed: Bed) -> tuple[Incident, ...]:
    """Those on record."""
    bed.end("one")
    known = bed.store("test").take(f"west:{OPS}")
    assert known is not None
    bed.end("test")
    return known.incidents


def test_a_bot_that_starts_while_a_cluster_is_away_reports_it_to_its_channels(
    person: Person, bed: Bed
) -> None:
    bed.look(bed.bot("one"), seconds=10)
    bed.end("one")
    bed.cache = Away()
    with bed.posting():
        bed.look(bed.bot("two"))
        until(lambda: posts(person), "the message")
    assert [m["text"] for m in posts(person)] == ["Cluster west does not answer"]


def test_a_message_that_somebody_deleted_is_posted_anew_only_while_the_incident_lasts(
    person: Person, bed: Bed
) -> None:
    bot = bed.bot("one")
    with bed.posting():
        bed.levels.level = "cut off"
        bed.look(bot)
        (first,) = until(lambda: posts(person), "the message")
        bed.paid()
        bed.client.chat_delete(channel=OPS, ts=first["ts"])
        bed.levels.level = "denied"
        bed.look(bot)
        second = until(
            lambda: next((m for m in posts(person) if "is denied by Azure" in m["text"]), None),
            "it anew",
        )
        bed.paid()
        bed.client.chat_delete(channel=OPS, ts=second["ts"])
        bed.levels.level = "connected"
        bed.look(bot)
        bed.paid()
        Owed(bed.redis, NAME).now(next(iter(IncidentMessages(bed.store("x"), ["west"]).versions())))
        bed.paid()
    assert not [m for m in posts(person) if m["text"].startswith("Resolved")]


def test_an_incident_that_is_over_before_it_was_posted_is_not_posted(
    person: Person, bed: Bed
) -> None:
    bot = bed.bot("one")
    bed.levels.level = "cut off"
    bed.look(bot)
    bed.levels.level = "connected"
    bed.look(bot)
    with bed.posting():
        bed.paid()
    assert posts(person) == []


def test_an_incident_that_is_over_before_slack_answers_again_is_not_posted(
    person: Person, bed: Bed
) -> None:
    bot = bed.bot("one")
    bed.levels.level = "cut off"
    bed.look(bot)
    person.set_fault("api_error", "503")
    with bed.posting():
        bed.failing()
    bed.levels.level = "connected"
    bed.look(bot)
    person.set_fault("api_error", "none")
    with bed.posting():
        bed.paid()
    assert posts(person) == []


def test_an_end_that_slack_does_not_take_is_shown_however_late(person: Person, bed: Bed) -> None:
    bot = bed.bot("one")
    with bed.posting():
        bed.levels.level = "cut off"
        bed.look(bot)
        until(lambda: posts(person), "the message")
        bed.paid()
        person.set_fault("api_error", "503")
        bed.levels.level = "connected"
        bed.look(bot)
        bed.failing()
        bed.look(bot, seconds=1000)
        assert bed.store("one").watched(["west"]) == {f"west:{OPS}": ()}
        person.set_fault("api_error", "none")
        until(lambda: posts(person)[0]["text"].startswith("Resolved"), "its end")
        bed.paid()
    assert threads(person) == ["✅ `west/dev/edge-1` recovered."]


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


def test_an_incident_is_posted_once_where_answers_are_lost(person: Person, bed: Bed) -> None:
    bot = bed.bot("one")
    with bed.posting(Forgetful(bed.client, lose=2)):
        bed.levels.level = "cut off"
        bed.look(bot)
        until(lambda: posts(person), "the message")
        bed.levels.level = "connected"
        bed.look(bot)
        until(lambda: posts(person)[0]["text"].startswith("Resolved"), "its end", 60)
        bed.paid()
    assert len(posts(person)) == 1
    assert threads(person) == ["✅ `west/dev/edge-1` recovered."]


def test_an_incident_is_over_for_a_channel_that_takes_no_message(
    person: Person, bed: Bed, caplog: pytest.LogCaptureFixture
) -> None:
    bot = bed.bot("one")
    person.post("members", channel=OPS, user=BOT, member=False)
    with bed.posting():
        bed.levels.level = "cut off"
        bed.look(bot)
        until(lambda: "nothing can be posted" in caplog.text, "the report")
        bed.paid()
        bed.levels.level = "connected"
        bed.look(bot, seconds=400)
        bed.paid()
    left = bed.store("one").take(f"west:{OPS}")
    assert left is not None
    assert left.incidents == ()


def test_a_change_whose_mark_a_crash_prevented_is_found(person: Person, bed: Bed) -> None:
    bot = bed.bot("one")
    bed.levels.level = "cut off"
    bed.look(bot)
    bed.redis.delete("gateway-bot:{messages}:owed")
    with bed.posting():
        until(lambda: posts(person), "the message")


def test_a_cluster_that_goes_away_is_reported_as_such(
    person: Person, bed: Bed, running: RunningCluster
) -> None:
    bot = bed.bot("one")
    bed.look(bot)
    running.call(lambda: running.cluster.faults.set("api_down", True))
    until(lambda: bed.cache.read().stale, "the loss")
    with bed.posting():
        bed.look(bot)
        until(lambda: posts(person), "the message")
        bed.paid()
        assert [m["text"] for m in posts(person)] == ["Cluster west does not answer"]
        running.call(lambda: running.cluster.faults.set("api_down", False))
        until(lambda: not bed.cache.read().stale, "the recovery")
        bed.look(bot)
        until(lambda: posts(person)[0]["text"].startswith("Resolved"), "its end")
