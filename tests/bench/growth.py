"""How what depends on the number of gateways grows, from 10 to 10,000.

Each size has a process of its own, with a cluster that answers from memory (tests/bench/canned.py), so
that memory is what the gateways add. Times are those of a processor, the bot's own work alone, which
others on the machine change little; only that of the tick, a trip to Redis, is time that passed.
"""

import gc
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from bot.metrics.gateways import GatewayCount
from bot.run import collect_less
from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.deadline import Deadline
from deploy.health.cache import ClusterCache
from deploy.health.levels import Levels
from deploy.kube.cluster import Cluster
from handlers import home
from tests.bench import expiry
from tests.bench.canned import Canned
from tests.bench.growing import rows
from tests.bench.home import needs_of
from tests.bench.results import milliseconds
from tests.bench.status import shown

SIZES = (10, 100, 1_000, 10_000)
_TIMES = 5
_APPROVER = "U2"


def measured(gateways: int) -> dict[str, float]:
    """Seconds, MiB and requests with so many gateways of one pod each."""
    collect_less()
    connection = Canned(gateways)
    given: Any = connection
    gc.collect()
    before = _mib()
    cache = ClusterCache(Cluster("west", given))
    caches = {"west": cache}
    levels = Levels(caches)
    found = {"status, cold": _timed(lambda: shown(cache, levels, gateways, 1))}
    found["requests, cold"] = float(connection.requests)
    gc.collect()
    found["memory"] = _mib() - before
    connection.requests = 0
    found["status, warm"] = _least(lambda: shown(cache, levels, gateways, 1))
    count = GatewayCount(caches, levels.last)
    found["count for metrics"] = _least(count.turn)
    with tempfile.TemporaryDirectory(prefix="bench-growth-") as name:
        server = Valkey(Path(name))
        server.start()
        try:
            needs = needs_of(connect(server.url), caches)
            found["Home tab"] = _least(lambda: home.drawn(needs, _APPROVER))
        finally:
            server.stop()
    found["requests, warm"] = float(connection.requests)
    cache.stop(Deadline.after(5))
    found["expiry tick"] = expiry.measure(gateways).median
    return found


def _timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _least(work: Callable[[], object]) -> float:
    """Of several times, the one that the least else fell into."""
    return min(_timed(work) for _ in range(_TIMES))


def _mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(x for x in status.splitlines() if x.startswith("VmRSS")).split()[1]) / 1024


def said(name: str, value: float) -> str:
    """A figure by its name."""
    if name.startswith("memory"):
        return f"{value:.1f} MiB"
    if name.startswith("requests"):
        return f"{value:.0f}"
    return milliseconds(value)


def main() -> None:
    """Print the table."""
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawning, max_tasks_per_child=1) as pool:
        found = [pool.submit(measured, size).result() for size in SIZES]
    table = {name: [(each[name], said(name, each[name])) for each in found] for name in found[0]}
    print(rows("gateways", SIZES, table), flush=True)


if __name__ == "__main__":
    main()
