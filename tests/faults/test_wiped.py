"""Redis loses everything at some moment of a deployment: every message ends, in what the cluster
holds, and nothing more is written."""

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from deploy.actions.connection import connect
from deploy.actions.fencing import Fences
from deploy.kube.cluster import Cluster
from deploy.kube.cluster import connect as connect_cluster
from tests.faults.message_scene import Life
from tests.faults.test_storm import another_bot
from tests.support import actions, lost_scene
from tests.support.demo import Demo, Person, words
from tests.support.lost_scene import REF, Scene
from tests.support.redis_servers import started
from tests.support.running_cluster import RunningCluster
from tests.support.slack_fixtures import client, person
from tests.support.slack_workspace import BEN
from tests.support.slack_workspace import Person as Member
from tests.support.token_world import found
from tests.support.waiting import until

__all__ = ["client", "person"]

TAG = "2.11.1"
OPTIONS = f"--tag {TAG} --replicas 2 --cpu 100m --memory 256Mi"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    made = Demo(tmp_path_factory.mktemp("demo"))
    yield made
    made.stop()


def wipe(demo: Demo) -> None:
    connect(f"unix://{demo.data}/redis/valkey.sock").flushall()


def tops(person: Person) -> set[str]:
    shown = [m for m in person.messages() if not m.get("is_ephemeral")]
    return {m["ts"] for m in shown if m.get("thread_ts") in (None, m["ts"])}


def lines(person: Person, plan: dict[str, Any]) -> list[str]:
    shown = [m for m in person.messages() if not m.get("is_ephemeral")]
    return [m["text"] for m in shown if m.get("thread_ts") == plan["ts"] != m["ts"]]


def begun(demo: Demo, ana: Person, ben: Person, name: str) -> dict[str, Any]:
    """A deployment in production whose pods cannot become ready."""
    plan = ana.plans(f"deploy {name} --to west/prod {OPTIONS}")
    ben.clicks(plan, "Approve")
    return ana.sees_at(plan, "0 of 2 pods ready", 120)


def ended(demo: Demo, ana: Person, plan: dict[str, Any], name: str) -> None:
    message = ana.sees_at(
        plan, "The result is unknown: this was running, and the bot's data was reset", 150
    )
    said = words(message)
    live = found(demo, "west", "prod", "deployment", name)
    assert f"Deployment {name}, written by this action: {live['spec']['replicas']} replicas" in said
    assert "Pods ready: 0 of 2 of the new version" in said
    assert "action_stop" not in str(message["blocks"])
    told = until(
        lambda: [line for line in lines(ana, plan) if "The result is unknown" in line], "a line", 60
    )
    assert len(told) == 1


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bots", [1, 2])
def test_a_run_whose_bot_lives_ends_where_it_stands_and_writes_nothing_more(
    demo: Demo, tmp_path: Path, bots: int
) -> None:
    ana, ben, name = demo.person("ana"), demo.person("ben"), f"edge-{bots}"
    demo.fault("node west", "image_pull_fails", True)
    with another_bot(demo, tmp_path) if bots == 2 else nullcontext():
        waits = ana.plans(f"deploy store-7 --to east/dev {OPTIONS}")
        plan = begun(demo, ana, ben, name)
        before = tops(ana)
        wipe(demo)
        ended(demo, ana, plan, name)
        ana.sees_at(waits, "This request is lost: the bot's data was reset", 120)
        generation = found(demo, "west", "prod", "deployment", name)["metadata"]["generation"]
        again = ana.plans(f"deploy store-7 --to east/dev {OPTIONS}", 90)
        ana.clicks(again, "Cancel")
        ana.sees_at(again, "Cancelled by")
    assert tops(ana) == before | {again["ts"]}
    live = found(demo, "west", "prod", "deployment", name)
    assert live["metadata"]["generation"] == generation


@pytest.mark.timeout(600)
def test_a_run_whose_bot_died_with_redis_is_ended_by_the_next_one(demo: Demo) -> None:
    ana, ben = demo.person("ana"), demo.person("ben")
    demo.fault("node west", "image_pull_fails", True)
    plan = begun(demo, ana, ben, "store-7")
    before = tops(ana)
    os.kill(demo.bot_pid(), signal.SIGKILL)
    wipe(demo)
    ended(demo, ana, plan, "store-7")
    assert tops(ana) == before


class Emptying(Life):
    """A life in which Redis loses everything at one call, before or `after` its effect."""

    def __init__(self, redis: Any, at: int, *, after: bool) -> None:
        super().__init__()
        self._redis = redis
        self._at = at
        self._late = after

    def call(self, made: Callable[[], Any]) -> Any:
        self.calls += 1
        if self.calls != self._at:
            return made()
        if self._late:
            found = made()
            lost_scene.wipe(self._redis)
            return found
        lost_scene.wipe(self._redis)
        return made()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Any]:
    for server in started("valkey", tmp_path / "redis"):
        yield connect(server.url)


@pytest.fixture
def west(tmp_path: Path) -> Iterator[Cluster]:
    with RunningCluster(tmp_path, namespaces=("dev",), with_kubelet=False) as running:
        found = connect_cluster("west", kubeconfig=running.kubeconfig())
        yield found
        found.close()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("after", [False, True], ids=["before a call", "after a call"])
def test_whenever_redis_is_emptied_the_message_is_there_once_and_ends(
    person: Member, client: WebClient, redis: Any, west: Cluster, after: bool
) -> None:
    Fences({"west": west}).take(REF, "AAAAAA", "bot-1", 7, 60).release()
    for at in itertools.count(1):
        person.post("reset")
        lost_scene.wipe(redis)
        life = Emptying(redis, at, after=after)
        scene = Scene(redis, client, west, life=life)
        scene.ask()
        actions.approve(scene.store, BEN, "AAAAAA")
        if scene.store.claim("AAAAAA", "bot-1", 1, 60) is not None:
            scene.settle()
        emptied = scene.store.get("AAAAAA") is None
        scene.searched()
        scene.searched()
        found = lost_scene.tops(person)
        if not emptied:
            assert "action_stop" in lost_scene.buttons(found[0])
            break
        assert len(found) <= 1, at
        for message in found:
            assert lost_scene.buttons(message) == ["show_status"], at
            assert (
                "The result is unknown: this was running, and the bot's data was reset"
                in lost_scene.words(message)
            ), at
        lines = lost_scene.thread(person)
        assert len(set(lines)) == len(lines), at
    assert at > 20
