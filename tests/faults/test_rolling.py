"""Three bots are replaced one by one while people type and gateways roll out; nobody notices."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.support.demo import Person, words
from tests.support.fleet import Fleet, Mode, fleet
from tests.support.kube_api import KubeApi
from tests.support.processes import ROOT
from tests.support.waiting import until

GATEWAYS = [f"shop-{number}" for number in range(1, 11)]
TAG = "2.11.1"
BOTS = 3
PER_SECOND = 20
PEOPLE = ("ana", "ivy", "ben", "chen")


@dataclass
class Typed:
    """What people typed during the replacement; `trouble` is what Slack showed instead of an ack."""

    names: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        slowest = sorted(self.seconds)
        p99 = slowest[int(len(slowest) * 0.99)]
        return (
            f"{len(self.names)} commands, acked after {slowest[len(slowest) // 2]:.3f} s (median), "
            f"{p99:.3f} s (p99), {slowest[-1]:.3f} s (longest)"
        )


@contextmanager
def typing(stage: Fleet) -> Iterator[Typed]:
    """Twenty commands a second, each about a gateway that nobody else asks about."""
    typed = Typed()
    stop = threading.Event()

    async def type_one(session: aiohttp.ClientSession, number: int) -> None:
        name = f"lost-{number:05d}"
        typed.names.append(name)
        command = {
            "channel": "gateway-ops",
            "user": PEOPLE[number % len(PEOPLE)],
            "command": "/gateway",
            "text": f"history {name}",
        }
        began = time.monotonic()
        async with session.post(f"{stage.url}/_control/command", json=command) as response:
            answer = await response.json()
        typed.seconds.append(time.monotonic() - began)
        if not answer["ok"]:
            typed.trouble.append(f"{name} at {time.strftime('%X')}: {answer}")

    async def type_all() -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            asyncio.TaskGroup() as all_,
        ):
            due = time.monotonic()
            while not stop.is_set():
                all_.create_task(type_one(session, len(typed.names)))
                due += 1 / PER_SECOND
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    thread = threading.Thread(target=lambda: asyncio.run(type_all()), name="people")
    thread.start()
    try:
        yield typed
    finally:
        stop.set()
        thread.join()


def world_of(directory: Path) -> Path:
    """The usual world with the gateways that are deployed here."""
    world = yaml.safe_load((ROOT / "bot/sandbox/world.yaml").read_text())
    world["azure"]["gateways"] += [
        {"name": name, "description": name, "location": name} for name in GATEWAYS
    ]
    path = directory / "world.yaml"
    path.write_text(yaml.safe_dump(world))
    return path


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["socket", "http"])
def test_bots_replaced_one_by_one_lose_no_command_and_no_action(tmp_path: Path, mode: Mode) -> None:
    with fleet(tmp_path, mode, world_of(tmp_path)) as stage:
        # One after the other, as a rollout starts them: each start takes a core for seconds.
        for _ in range(BOTS):
            stage.start_bot()
        ana = stage.person("ana")
        stage.fault("node west", "not_ready", True)
        # About what a round trip to Slack takes.
        stage.fault("slack", "socket_latency_ms", 100)
        places = [deploys(ana, name) for name in GATEWAYS]
        until(lambda: running(ana, places) == len(GATEWAYS), "every action to run", 120)
        with typing(stage) as typed:
            until(lambda: len(typed.names) >= PER_SECOND, "some commands")
            ends = [stage.replace(bot) for bot in list(stage.bots)]
            done = len(typed.names)
            until(lambda: len(typed.names) >= done + PER_SECOND, "some commands more")
        print(f"{mode}: {typed}; ends took {', '.join(f'{end:.1f} s' for end in ends)}")
        stage.fault("node west", "not_ready", False)
        assert typed.trouble == []
        api = KubeApi(stage.kubeconfig, "west")
        for place in places:
            ana.sees_at({"ts": place}, r"1 of 1 pods? ready after", 120)
        # A ready pod on a busy node may miss a probe and be ready again.
        until(
            lambda: all(in_cluster(api, name) == (1, TAG) for name in GATEWAYS),
            "a ready pod of each gateway, as its message says",
        )
        # Last of all: a second answer may come late.
        assert answered_once(stage, typed) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", ["socket", "http"])
def test_a_bot_ends_in_its_time_though_all_it_depends_on_hangs(tmp_path: Path, mode: Mode) -> None:
    with fleet(tmp_path, mode, world_of(tmp_path)) as stage:
        bot = stage.start_bot()
        ana = stage.person("ana")
        stage.fault("node west", "not_ready", True)
        place = deploys(ana, GATEWAYS[0])
        until(lambda: running(ana, [place]) == 1, "the action to run", 60)
        with typing(stage), stage.hanging():
            # Work that will not end is begun.
            threading.Event().wait(2)
            took = bot.end(30)
        print(f"{mode}: ended after {took:.1f} s")
        assert bot.process.returncode == 0, stage.log_of(bot)


def deploys(person: Person, gateway: str) -> str:
    """Ask for a deployment and confirm it; the message it is told of in."""
    command = f"deploy contoso/{gateway} --to west/dev --tag {TAG} --replicas 1"
    plan = person.plans(f"{command} --cpu 50m --memory 128Mi", 60)
    assert person.clicks(plan, "Confirm")["ok"]
    return str(plan["ts"])


def running(person: Person, places: list[str]) -> int:
    """How many of the actions wait for their pods."""
    shown = [words(message) for message in person.messages() if message["ts"] in places]
    return sum("0 of 1 pod" in text for text in shown)


def in_cluster(api: KubeApi, gateway: str) -> tuple[int, str]:
    """How many pods of a gateway are ready, and the tag of its image."""
    deployment = api.get(f"/apis/apps/v1/namespaces/dev/deployments/{gateway}")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return deployment["status"].get("readyReplicas", 0), container["image"].rpartition(":")[2]


def answered_once(stage: Fleet, typed: Typed) -> list[str]:
    """The commands that were not answered once, each with how often they were."""
    wrong: list[str] = []

    def look() -> bool:
        answers: Counter[str] = Counter()
        for name in PEOPLE:
            for message in stage.person(name).messages():
                if message.get("is_ephemeral"):
                    text = words(message)
                    answers.update(each for each in typed.names if each in text)
        wrong[:] = [f"{name}: {answers[name]}" for name in typed.names if answers[name] != 1]
        return not wrong

    try:
        until(look, "an answer to each command", 60)
    except AssertionError:
        return wrong
    return wrong
