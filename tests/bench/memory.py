"""How the bot's memory grows while everything changes all the time: a busy day in ten minutes.

A whole bot as in production in the sandbox. Four gateways are scaled up and down without a rest, all
their pods change, people ask for everything that is read, and messages are kept current and stopped.
What is allocated while a bot gets to know its world is not growth, so the halves are compared.
"""

import contextlib
import itertools
import json
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deploy.errors import Conflict, GatewayBotError
from deploy.kube.cluster import Cluster, connect
from tests.support.demo import Demo, Message
from tests.support.processes import ROOT
from tests.support.waiting import until

SECONDS = 600.0
REACH_MIB = 5.0
"""By so much it may grow from the first half to the end."""
_CHANNELS = ("scaled-0", "scaled-1", "scaled-2", "scaled-3", "read", "watched")
_GATEWAYS = ("edge-1", "edge-2", "store-7", "busy-0")
_READS = (
    "status", "list", "status edge-1", "history edge-1", "history", "pending", "expiring", "whoami",
    "diff edge-1", "check edge-1",
)  # fmt: skip
_MIB = 1 << 20


@dataclass(frozen=True)
class Measured:
    """What the bot's process wrote down of itself, and what was done meanwhile, by kind."""

    lines: tuple[Mapping[str, Any], ...]
    done: Mapping[str, int]

    def mean(self, begin: float, end: float, name: str) -> float:
        """Of the lines between these parts of the time, 0 to 1."""
        last = float(self.lines[-1]["at"])
        found = [float(x[name]) for x in self.lines if begin <= x["at"] / last <= end and name in x]
        return sum(found) / len(found)


class Load:
    """People and clusters that never rest; `done` counts what they did."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self.done: Counter[str] = Counter()
        self._stop = threading.Event()
        self._west = connect("west", kubeconfig=demo.kubeconfig, context="west")
        work: list[Callable[[int], None]] = [
            *(self._scaling(number) for number in range(len(_GATEWAYS))),
            self._reads,
            self._pods,
            self._lives,
        ]
        self._threads = [
            threading.Thread(target=self._loop, args=(each,), daemon=True) for each in work
        ]

    def run(self, seconds: float) -> None:
        """For so long."""
        for thread in self._threads:
            thread.start()
        self._stop.wait(seconds)
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        self._west.close()

    def _loop(self, work: Callable[[int], None]) -> None:
        for number in itertools.count():
            if self._stop.is_set():
                return
            try:
                work(number)
            except (AssertionError, GatewayBotError):
                self.done["missed"] += 1

    def _scaling(self, which: int) -> Callable[[int], None]:
        ana = self._demo.person("ana", _CHANNELS[which])

        def scale(number: int) -> None:
            plan = ana.plans(f"scale west/dev/{_GATEWAYS[which]} --replicas {2 - number % 2}", 60)
            ana.clicks(plan, "Confirm")
            ana.sees_at(plan, "pods ready after", 90)
            self.done["changes"] += 1

        return scale

    def _reads(self, number: int) -> None:
        self._demo.person("ivy", "read").types(_READS[number % len(_READS)])
        self.done["reads"] += 1
        self._stop.wait(0.2)

    def _pods(self, number: int) -> None:
        for pod in _pods(self._west):
            annotations = {**pod["metadata"].get("annotations", {}), "load": str(number)}
            with contextlib.suppress(Conflict):
                self._west.replace_fields(pod, {"/metadata/annotations": annotations})
                self.done["pods"] += 1
        self._stop.wait(0.2)

    def _lives(self, number: int) -> None:
        ivy = self._demo.person("ivy", "watched")
        for command in ("logs west/dev/edge-1 --follow", "status west/dev/edge-1 --watch"):
            before = {message["ts"] for message in ivy.messages()}

            def look(before: set[str] = before) -> Message | None:
                new = [each for each in ivy.messages() if each["ts"] not in before]
                return next(
                    (m for m in new if '"Stop updating"' in json.dumps(m.get("blocks"))), None
                )

            ivy.types(command)
            live = until(look, command, 30)
            self._stop.wait(2)
            ivy.clicks(live, "Stop updating")
            self.done["live"] += 1


def _pods(cluster: Cluster) -> list[dict[str, Any]]:
    return [dict(pod) for pod in cluster.list("Pod", "dev")]


def of_the_image() -> dict[str, str]:
    """How the image has malloc work."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    name, _, value = next(x for x in lines if "GLIBC_" in x).removeprefix("ENV ").partition("=")
    return {name: value}


def measure(environment: Mapping[str, str], seconds: float = SECONDS) -> Measured:
    """Weigh a bot under load; `environment` is set for it and everything beside it."""
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as name:
        weighed = Path(name) / "weighed.jsonl"
        with _demo(Path(name), {**environment, "GATEWAY_BOT_WEIGHED": str(weighed)}) as demo:
            for place, gateway in enumerate(_GATEWAYS):
                ana = demo.person("ana", _CHANNELS[place])
                plan = ana.plans(f"deploy {gateway} --to west/dev --tag 2.11.1 --replicas 1", 60)
                ana.clicks(plan, "Confirm")
                ana.sees_at(plan, "pods ready after", 90)
            load = Load(demo)
            load.run(seconds)
        lines = tuple(json.loads(line) for line in weighed.read_text().splitlines())
        return Measured(lines, load.done)


@contextmanager
def _demo(directory: Path, environment: Mapping[str, str]) -> Iterator[Demo]:
    world = yaml.safe_load((ROOT / "bot/sandbox/world.yaml").read_text())
    world["azure"]["gateways"].append({"name": "busy-0", "description": "-", "location": "-"})
    world["channels"] += [
        {"id": f"C0LOAD{number}", "name": name, "topic": "Load"}
        for number, name in enumerate(_CHANNELS)
    ]
    path = directory / "world.yaml"
    path.write_text(yaml.safe_dump(world))
    made = Demo(
        directory / "data", "--world", str(path), env=environment, program="tests.bench.weighed"
    )
    try:
        made.fault("slack", "rate_limits", False)
        yield made
    finally:
        made.stop()


def main() -> None:
    """Print the row."""
    found = measure(of_the_image())
    first, second = found.mean(0.45, 0.55, "rss") / _MIB, found.mean(0.9, 1, "rss") / _MIB
    before = found.mean(0.3, 0.6, "blocks_collected")
    after = found.mean(0.8, 1, "blocks_collected")
    reached = "reached" if second - first < REACH_MIB else "NOT reached"
    done = ", ".join(f"{count} {name}" for name, count in sorted(found.done.items()))
    print(
        f"memory under steady changes: {found.mean(0, 0.1, 'rss') / _MIB:.0f} MiB at first, "
        f"{first:.1f} half-way, {second:.1f} at the end   Python's own blocks "
        f"{after / before - 1:+.1%}   (reach < {REACH_MIB:.0f} MiB more in the second half: "
        f"{reached})   {done}"
    )


if __name__ == "__main__":
    main()
