"""How what depends on the number of bots grows, from 1 to 8 on one Redis, one Slack and its clusters.

Whole bots of one connection each. Counted is what all of them send to Redis while nothing happens;
timed is one deployment, from the command to its plan and from the click to its end. Decisions are of so
many processes, each on actions of its own, on a Valkey that syncs each write. All of them share the processors of
the machine, so where decisions do not grow with processes, the machine or the one Valkey is full.
"""

import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.actions.store import ActionStore
from deploy.gateway import GatewayRef
from tests.bench.beds import Bed, bed
from tests.bench.calls import Monitor
from tests.bench.growing import rows
from tests.bench.results import milliseconds
from tests.support import actions
from tests.support.actions import CODEC, by_approvers

SIZES = (1, 2, 4, 8)
_SECONDS = 15.0
_SETTLING_SECONDS = 10.0
_DECISIONS = 200
_DEPLOYMENTS = 3
_LETTERS = "ABCDEFGHJK"
_POLICY = by_approvers(1)


def measured(place: Bed, monitor: Monitor, bots: int) -> dict[str, float]:
    """Commands a second, and seconds, with so many bots."""
    time.sleep(_SETTLING_SECONDS)
    began = monitor.now()
    time.sleep(_SECONDS)
    idle = monitor.now().since(began)
    plans, ends = zip(*(_deployed(place, bots, one) for one in range(_DEPLOYMENTS)), strict=True)
    return {
        "Redis commands, idle, all": idle.sent / _SECONDS,
        "command to plan": min(plans),
        "click to end": min(ends),
        "a decision": decided(bots),
    }


def _deployed(place: Bed, bots: int, one: int) -> tuple[float, float]:
    ana = place.person("ana", f"bench-{bots}-{one}")
    began = time.perf_counter()
    command = "deploy contoso/edge-1 --to west/dev --tag 2.11.1 --replicas 1"
    plan = ana.plans(f"{command} --set labels.bench=b{bots}-{one}", 120)
    planned = time.perf_counter()
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "1 of 1 pods ready after", 120)
    return planned - began, time.perf_counter() - planned


def decided(bots: int) -> float:
    """The seconds for each of the decisions that so many processes make at the same time."""
    with tempfile.TemporaryDirectory(prefix="bench-bots-") as name:
        server = Valkey(Path(name), fsync="always")
        server.start()
        try:
            spawning = multiprocessing.get_context("spawn")
            together = spawning.Barrier(bots + 1)
            ended = spawning.Barrier(bots + 1)
            processes = [
                spawning.Process(target=_decide, args=(server.url, bot, together, ended))
                for bot in range(bots)
            ]
            for process in processes:
                process.start()
            together.wait()
            began = time.perf_counter()
            ended.wait()
            taken = time.perf_counter() - began
            for process in processes:
                process.join()
        finally:
            server.stop()
    return taken / (bots * _DECISIONS)


def _decide(url: str, bot: int, together: Any, ended: Any) -> None:
    store = ActionStore(connect(url), CODEC)
    names = [_name(bot * _DECISIONS + number) for number in range(_DECISIONS)]
    for number, name in enumerate(names):
        ref = GatewayRef("west", "prod", f"edge-{bot}-{number}")
        actions.ask(store, name, ref=ref, policy=_POLICY, ttl=3600)
    together.wait()
    for name in names:
        assert actions.deny(store, "U2", name, now=actions.facts(_POLICY)).result == "done"
    ended.wait()


def _name(number: int) -> str:
    return "".join(_LETTERS[number // 10**place % 10] for place in range(6))


def _world(world: dict[str, Any]) -> None:
    world["channels"] += [
        {"id": f"C0BENCH{bots}{one}", "name": f"bench-{bots}-{one}", "topic": "Deployments"}
        for bots in SIZES
        for one in range(_DEPLOYMENTS)
    ]


def _one_connection(settings: dict[str, Any]) -> None:
    settings["slack"]["connections"] = 1


def main() -> None:
    """Print the table."""
    found, started = [], 0
    with bed(_world) as place:
        monitor = Monitor(place.socket)
        try:
            for size in SIZES:
                for _ in range(size - started):
                    started += 1
                    place.bot(place.settings_with(f"bot-{started}", _one_connection))
                found.append(measured(place, monitor, size))
        finally:
            monitor.close()
    table = {name: [(each[name], _said(name, each[name])) for each in found] for name in found[0]}
    print(rows("bots", SIZES, table), flush=True)


def _said(name: str, value: float) -> str:
    return f"{value:.1f}/s" if name.startswith("Redis") else milliseconds(value)


if __name__ == "__main__":
    main()
