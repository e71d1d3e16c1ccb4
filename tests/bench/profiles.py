"""What dominates the main paths, from a profile of a whole bot: `status`, a plan, and a click and its rollout.

cProfile on each thread, by the time of a processor. It makes Python's own functions look slower than
what libraries in C do, so the shares tell where to look, and other benchmarks how long it takes.
"""

import pstats
import re
import signal
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.beds import Bed, bed
from tests.support.demo import Message
from tests.support.waiting import until

_TIMES, _ROUNDS = 15, 5
_COMMAND = "deploy contoso/edge-1 --to west/dev --tag 2.11.1 --replicas 1"
_SHOWN = 8
_PARTS = (
    # By where a function is: the first that matches.
    (r"/(deploy|handlers|bot)/([a-z_]+)", r"\1.\2"),
    (r"site-packages/([a-z_]+)", r"\1"),
    (r"/lib/python3[^/]*/([a-z_]+)", r"\1"),
)


class Paths:
    """One bot, whose profile is taken of one path after the other."""

    def __init__(self, place: Bed, directory: Path) -> None:
        self._place = place
        self._directory = directory
        place.environment["GATEWAY_BOT_PROFILES"] = str(directory)
        self._bot = place.bot(program="tests.bench.profiled")
        self._taken = 0

    def taken(self, work: Callable[[], object]) -> pstats.Stats:
        """The profile of that work, and of what the bot does beside it."""
        self._write()
        work()
        return pstats.Stats(str(self._write()))

    def _write(self) -> Path:
        path = self._directory / f"{self._taken}.prof"
        self._taken += 1
        self._bot.signal(signal.SIGUSR1)
        until(path.exists, "a profile", 30)
        return path

    def plan(self, number: int) -> Message:
        """Ask for one changed field."""
        ana = self._place.person("ana", f"bench-{number % _TIMES}")
        return ana.plans(f"{_COMMAND} --set labels.bench=n{number}", 60)

    def apply(self, number: int, plan: Message) -> None:
        """Confirm it, and wait for its end."""
        ana = self._place.person("ana", f"bench-{number % _TIMES}")
        ana.clicks(plan, "Confirm")
        ana.sees_at(plan, "1 of 1 pods ready after", 120)

    def statuses(self) -> None:
        """Look at all gateways, several times."""
        for number in range(_TIMES):
            self.status(number)

    def status(self, number: int) -> None:
        """Look at all gateways."""
        self._place.person("ana", f"bench-{number % _TIMES}").is_told("status", "edge-1")


def main() -> None:
    """Print the shares of each path."""
    with tempfile.TemporaryDirectory(prefix="bench-profiles-") as name, bed(_world) as place:
        paths = Paths(place, Path(name))
        paths.apply(0, paths.plan(0))
        paths.status(0)
        _print(f"status, {_TIMES} times", paths.taken(paths.statuses))
        planned, ended = pstats.Stats(), pstats.Stats()
        for number in range(1, _ROUNDS + 1):
            # One after the other: open plans of one gateway are read for each other's messages.
            plans: list[Message] = []
            planned.add(paths.taken(lambda: plans.append(paths.plan(number))))  # noqa: B023  # at once
            ended.add(paths.taken(lambda: paths.apply(number, plans[0])))  # noqa: B023  # at once
        _print(f"command to plan, {_ROUNDS} times", planned)
        _print(f"click to end, {_ROUNDS} times", ended)


def _world(world: dict[str, Any]) -> None:
    world["channels"] += [
        {"id": f"C0BENCH{one}", "name": f"bench-{one}", "topic": "Profiles"}
        for one in range(_TIMES)
    ]


def _print(what: str, stats: pstats.Stats) -> None:
    given: Any = stats
    whole = sum(own for _, _, own, _, _ in given.stats.values())
    parts: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for (file, line, name), (_, _, own, _, _) in given.stats.items():
        parts[_part(file)] += own
        functions[f"{_part(file)}:{line} {name}" if line else name] += own
    print(f"{what}: {whole * 1000:.0f} ms of a processor")
    for said in (parts, functions):
        print("  " + ", ".join(f"{n} {own / whole:.0%}" for n, own in said.most_common(_SHOWN)))
    print(flush=True, end="")


def _part(file: str) -> str:
    for pattern, name in _PARTS:
        found = re.search(pattern, file)
        if found:
            return found.expand(name)
    return "in C" if file in ("~", "") else file


if __name__ == "__main__":
    main()
