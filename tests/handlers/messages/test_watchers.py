"""A channel hears of gateways that get worse or better: once, in one message that stays true."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from deploy.actions.connection import connect
from deploy.deadline import Deadline
from deploy.errors import Unavailable
from deploy.health.cache import ClusterCache
from deploy.health.heartbeat import Heartbeat
from deploy.health.incident_store import IncidentStore
from deploy.health.levels import Levels, Seen
from deploy.kube.cluster import connect as connect_cluster
from handlers.messages.budget import Budgets
from handlers.messages.watchers import Watchers
from tests.deploy.health.test_cache import gateway, install
from tests.support.redis_servers import started
from tests.support.running_cluster import RunningCluster
from tests.support.slack_workspace import BOT, OPS, Person
from tests.support.waiting import until


class Clock:
    """A time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Told(Levels):
    """Levels that the test decides on."""

    level: Any = "no trouble seen"

    def last(self, gateway: Any) -> Seen:
        return Seen(Heartbeat(self.level, "the evidence"), time.time())


class Away:
    """The cache of a bot that began while its cluster did not answer."""

    def read(self, **_: Any) -> Any:
        raise Unavailable("Cluster west does not answer.")


class Bed:
    """A cluster, a Slack, a Redis, and bots that watch."""

    def __init__(self, client: WebClient, cache: Any, redis: Any) -> None:
        self._client, self._cache, self._redis = client, cache, redis
        self.levels = Told({"west": cache})
        self.clock = Clock()

    def bot(self, name: str, client: WebClient | None = None) -> Watchers:
        """A bot, as it starts."""
        return Watchers(
            client or self._client,
            {"west": self._cache},
            self.levels,
            IncidentStore(self._redis, name, seconds=0.3),
            lambda ref: OPS,
            budgets=Budgets(),
            clock=self.clock,
        )

    def end(self, name: str) -> None:
        """What another bot sees once the lease of one that died is over."""
        IncidentStore(self._redis, name).release(f"west:{OPS}")

    def heard(self) -> frozenset[str]:
        """The channels that are remembered."""
        return IncidentStore(self._redis, "test").channels("west")

    def look(self, *bots: Watchers, seconds: float = 60) -> None:
        """Let time pass while these bots look."""
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
    install(running, gateway("edge-1", replicas=1))

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


def test_it_is_told_once_by_several_bots_and_ends_in_the_same_message(
    person: Person, bed: Bed
) -> None:
    one, two = bed.bot("one"), bed.bot("two")
    bed.look(one, two)
    assert posts(person) == []
    bed.levels.level = "denied"
    bed.look(one, two)
    (message,) = posts(person)
    assert "west/dev/edge-1 is denied" in message["text"]
    assert "the evidence" in json.dumps(message["blocks"])
    bed.levels.level = "no trouble seen"
    bed.look(one, two)
    (message,) = posts(person)
    assert message["text"].startswith("Over: west/dev/edge-1")


def test_a_bot_that_starts_again_repeats_nothing_and_knows_what_is_to_be_resolved(
    person: Person, bed: Bed
) -> None:
    bed.levels.level = "cut off"
    bed.look(bed.bot("one"))
    time_of_the_lease = time.monotonic() + 0.4
    until(lambda: time.monotonic() > time_of_the_lease, "the end of the dead bot's lease")
    again = bed.bot("two")
    bed.look(again, seconds=120)
    assert len(posts(person)) == 1
    bed.levels.level = "connected"
    bed.look(again)
    (message,) = posts(person)
    assert message["text"].startswith("Over")


def test_a_bot_that_starts_after_a_gateway_was_deleted_ends_what_was_told_of_it(
    person: Person, bed: Bed, running: RunningCluster
) -> None:
    bed.levels.level = "cut off"
    one = bed.bot("one")
    bed.look(one)
    running.request("DELETE", "/apis/apps/v1/namespaces/dev/deployments/edge-1")
    until(lambda: not bed._cache.read().gateways, "its end")
    bed.end("one")
    two = bed.bot("two")
    bed.look(two)
    (message,) = posts(person)
    assert message["text"].startswith("Over")
    bed.look(two, seconds=400)
    assert bed.heard() == frozenset()


def test_a_bot_that_starts_while_a_cluster_is_away_tells_who_heard_of_it_before(
    person: Person, bed: Bed
) -> None:
    bed.look(bed.bot("one"), seconds=10)
    bed.end("one")
    bed._cache = Away()
    bed.look(bed.bot("two"))
    (message,) = posts(person)
    assert message["text"] == "Cluster west does not answer"


def test_an_incident_that_lasts_is_told_anew_where_somebody_deleted_its_message(
    person: Person, bed: Bed
) -> None:
    bot = bed.bot("one")
    bed.levels.level = "cut off"
    bed.look(bot)
    bed._client.chat_delete(channel=OPS, ts=posts(person)[0]["ts"])
    bed.levels.level = "denied"
    bed.look(bot)
    found = [m["text"] for m in posts(person)]
    assert "west/dev/edge-1 is denied" in found
    bed._client.chat_delete(
        channel=OPS, ts=next(m["ts"] for m in posts(person) if "denied" in m["text"])
    )
    bed.levels.level = "connected"
    bed.look(bot)
    assert not [m for m in posts(person) if m["text"].startswith("Over")]


class Forgetful(WebClient):
    """Posts arrive, their answers do not."""

    def chat_postMessage(self, **more: Any) -> Any:  # noqa: N802  # as the SDK has it
        super().chat_postMessage(**more)
        raise ConnectionResetError


def test_an_incident_that_is_told_anew_is_so_once_where_that_was_never_confirmed(
    person: Person, bed: Bed
) -> None:
    bed.levels.level = "cut off"
    bed.look(bed.bot("one"))
    bed._client.chat_delete(channel=OPS, ts=posts(person)[0]["ts"])
    bed.levels.level = "denied"
    client = bed._client
    bed.look(bed.bot("one", Forgetful(token=client.token, base_url=client.base_url)))
    bed.look(bed.bot("one"))
    assert [m["text"] for m in posts(person)].count("west/dev/edge-1 is denied") == 1


def test_the_end_of_an_incident_is_not_owed_for_ever_where_the_bot_may_not_post(
    person: Person, bed: Bed
) -> None:
    person.post("members", channel=OPS, user=BOT, member=False)
    bed.levels.level = "cut off"
    bed.look(bed.bot("one"))
    bed.levels.level = "connected"
    bed.look(bed.bot("one"), seconds=400)
    bed.end("one")
    left = IncidentStore(bed._redis, "two").take(f"west:{OPS}")
    assert left is not None
    assert left.incidents == ()


def test_what_slack_did_not_take_is_told_later_and_once(person: Person, bed: Bed) -> None:
    bed.levels.level = "cut off"
    away = "http://127.0.0.1:9/api/"
    lost = WebClient(token="xoxb-1-bot", base_url=away, timeout=1, retry_handlers=[])
    bot = bed.bot("one", lost)
    bed.look(bot)
    assert posts(person) == []
    bed.look(bed.bot("one"), seconds=10)
    assert len(posts(person)) == 1


def test_a_message_whose_posting_was_never_confirmed_is_found_and_not_repeated(
    person: Person, bed: Bed
) -> None:
    bed.levels.level = "cut off"
    client = bed._client
    bed.look(bed.bot("one", Forgetful(token=client.token, base_url=client.base_url)))
    bed.look(bed.bot("one"))
    assert len(posts(person)) == 1


def test_a_cluster_that_goes_away_is_told_as_such(
    person: Person, bed: Bed, running: RunningCluster
) -> None:
    bot = bed.bot("one")
    bed.look(bot)
    running.call(lambda: running.cluster.faults.set("api_down", True))
    until(lambda: bed._cache.read().stale, "the loss")
    bed.look(bot)
    (message,) = posts(person)
    assert message["text"] == "Cluster west does not answer"
    running.call(lambda: running.cluster.faults.set("api_down", False))
    until(lambda: not bed._cache.read().stale, "the recovery")
    bed.look(bot)
    assert posts(person)[0]["text"].startswith("Over")
