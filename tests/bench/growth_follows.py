"""How what depends on the number of follows grows, from 1 to 20.

So many follows of one pod that writes steadily, in one process that follows and an API server in
another; and so many `logs --follow` of a whole bot, each in a channel of its own, of a gateway that
answers requests, with what the bot calls Slack for them. A bot keeps 20 at most, ten of one person.
"""

import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from deploy.kube.cluster import connect
from deploy.logs.filters import Filter
from deploy.logs.following import Following, Pods
from tests.bench.beds import Bed, bed
from tests.bench.growing import rows
from tests.support.log_api import LogApi
from tests.support.traffic import traffic
from tests.support.waiting import until

SIZES = (1, 5, 20)
_RATE, _SECONDS = 500, 10
_CALLS_SECONDS = 20.0
_REQUESTS = 5
"""That the followed gateway answers each second."""
_SERVICE = "edge-1-live-traffic"
_PEOPLE = ("ana", "ivy")
_COMMAND = "deploy contoso/edge-1 --to west/dev --tag 2.11.1 --replicas 1"


def followed(follows: int) -> dict[str, float]:
    """In a process of its own: microseconds of a processor for each line, lines a second, MiB."""
    spawning = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="bench-follows-") as directory:
        ours, theirs = spawning.Pipe()
        api = spawning.Process(target=_serve, args=(directory, theirs, follows))
        api.start()
        cluster = connect("west", kubeconfig=Path(str(ours.recv())), context="west")
        before = _mib()
        following = [
            Following(cluster, Pods("dev", "app=edge-1"), Filter(), tail=1) for _ in range(follows)
        ]
        for each in following:
            each.start()
        ours.recv()
        wanted = follows * _RATE * _SECONDS
        lines, processor, began = 0, time.process_time(), time.perf_counter()
        give_up = time.monotonic() + 3 * _SECONDS
        while lines < wanted and time.monotonic() < give_up:
            time.sleep(0.5)
            batches = [each.take() for each in following]
            lines += sum(len(batch.lines) + batch.skipped for batch in batches)
        took, processor = time.perf_counter() - began, time.process_time() - processor
        grown = _mib() - before
        for each in following:
            each.close()
        cluster.close()
        ours.send("end")
        api.join()
    return {"processor": processor / took, "lines": lines / took, "memory": grown}


def _serve(directory: str, pipe: Any, follows: int) -> None:
    """The API server, in a process of its own."""
    with LogApi(Path(directory)) as api:
        api.start("edge-1-a")
        pipe.send(str(Path(directory) / "log-api.yaml"))
        until(lambda: api.open == follows, "open logs", 60)
        pipe.send("begun")
        began = time.monotonic()
        for tenth in range(_SECONDS * 10):
            time.sleep(max(0.0, began + tenth / 10 - time.monotonic()))
            text = f"[Info] 2026-11-25T12:00:00.000 [GatewayLogs], request: {tenth}, source: X"
            api.write("edge-1-a", *(text for _ in range(_RATE // 10)))
        pipe.recv()


def _mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(x for x in status.splitlines() if x.startswith("VmRSS")).split()[1]) / 1024


def calls(place: Bed, follows: int, begun: int) -> float:
    """The calls of Slack a second for so many follows of which some were begun."""
    for number in range(begun, follows):
        person = place.person(_PEOPLE[number % 2], f"follow-{number}")
        person.types("logs west/dev/edge-1 --follow")
        person.sees("kept current", 60)
    time.sleep(5)
    before = _called(place)
    time.sleep(_CALLS_SECONDS)
    return (_called(place) - before) / _CALLS_SECONDS


def _called(place: Bed) -> int:
    return sum(
        str(each["args"].get("channel", "")).startswith("C0FOLLOW")
        for each in place.get("log", kind="request")["entries"]
    )


def _world(world: dict[str, Any]) -> None:
    world["channels"] += [
        {"id": f"C0FOLLOW{number}", "name": f"follow-{number}", "topic": "Logs"}
        for number in range(SIZES[-1])
    ]


def main() -> None:
    """Print the table."""
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawning, max_tasks_per_child=1) as pool:
        found = [pool.submit(followed, size).result() for size in SIZES]
    begun = 0
    called = []
    with bed(_world) as place:
        place.bot()
        ana = place.person("ana")
        plan = ana.plans(_COMMAND)
        ana.clicks(plan, "Confirm")
        ana.sees_at(plan, "1 of 1 pods ready after")
        with traffic(place.kubeconfig, "west", "dev", _SERVICE, rate=_REQUESTS):
            for size in SIZES:
                called.append(calls(place, size, begun))
                begun = size
    table = {
        "lines a second, all": [(each["lines"], f"{each['lines']:.0f}") for each in found],
        "a processor's share": [(each["processor"], f"{each['processor']:.1%}") for each in found],
        "memory": [(each["memory"], f"{each['memory']:.1f} MiB") for each in found],
        "Slack calls, all": [(each, f"{each:.2f}/s") for each in called],
    }
    print(rows("follows", SIZES, table), flush=True)


if __name__ == "__main__":
    main()
