"""`status` of 200 gateways with 5 pods each, beside `kubectl get` of the same facts.

On the real control plane where one was built, else on the sandbox's cluster. kubectl's figures
include its process start, the bot's do not: it is already running.
"""

import contextlib
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.run import collect_less
from deploy.deadline import Deadline
from deploy.health.cache import ClusterCache
from deploy.health.fleet import rows_of
from deploy.health.levels import Levels
from deploy.health.status import summaries
from deploy.kube.cluster import Cluster
from deploy.kube.connection import Connection, Timeouts
from deploy.kube.transport import connect_with_kubeconfig
from deploy.waits import Waits
from handlers.views import fleet
from tests.bench.filling import NAMESPACE, fill
from tests.bench.results import Result, milliseconds
from tests.support.control_plane import ControlPlane, Process, built
from tests.support.kubectl import Kubectl
from tests.support.running_cluster import RunningCluster

GATEWAYS = 200
PODS = 5
COLD_REACH, WARM_REACH = 0.05, 0.01
_TAGS = ("2.10.0", "2.11.1", "2.12.1")
FACTS = ("get", "deployments,pods,secrets", "-A", "-o", "json")
"""Only whole objects tell which Secret a pod's token is from, when it expires, and the last exit."""
_COLUMNS = ("get", "deployments,pods,secrets", "-A")


@dataclass(frozen=True)
class Row:
    """One line of the table: seconds of ours and of the peer, and what ratio is to be reached."""

    what: str
    ours: float
    peer_name: str
    peer: float
    reach: float
    note: str = ""

    @property
    def ratio(self) -> float:
        """Ours in the peer's."""
        return self.ours / self.peer


class Counting:
    """A connection that counts lists and other requests."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner
        self.lists = 0
        self.others = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def request(self, method: str, path: str, **options: Any) -> bytes:
        if "limit" in (options.get("query") or {}):
            self.lists += 1
        else:
            self.others += 1
        return self._inner.request(method, path, **options)

    def read(self, path: str, **options: Any) -> Any:
        self.lists += 1
        return self._inner.read(path, **options)


def rows() -> list[Row]:
    """Measure."""
    with tempfile.TemporaryDirectory(prefix="bench-status-") as name, plane_in(Path(name)) as plane:
        return measured(plane, Path(name))


@contextlib.contextmanager
def plane_in(directory: Path) -> Iterator[ControlPlane]:
    """A real control plane where one was built, else the sandbox's cluster."""
    binary = built()
    if binary is None:
        with RunningCluster(directory, namespaces=(NAMESPACE,)) as running:
            yield ControlPlane(running.kubeconfig(), "west")
        return
    process = Process(binary, directory / "plane")
    process.start()
    try:
        yield process.plane
    finally:
        process.stop()


def measured(
    plane: ControlPlane, directory: Path, gateways: int = GATEWAYS, pods: int = PODS
) -> list[Row]:
    """Fill it, and measure."""
    collect_less()
    fill(plane, gateways, pods)
    kubectl = Kubectl(plane.kubeconfig, directory)
    kubectl(*FACTS)
    peer = median(lambda: kubectl(*FACTS), 5)
    columns = median(lambda: kubectl(*_COLUMNS), 5)
    cold, requests = _cold(plane, gateways, pods)
    with cached(plane) as (cache, connection):
        levels = Levels({"west": cache})
        shown(cache, levels, gateways, pods)
        connection.lists = connection.others = 0
        warm = median(lambda: shown(cache, levels, gateways, pods), 20)
        asked = connection.lists + connection.others
    name = "kubectl " + " ".join(FACTS)
    less = f"; kubectl's columns alone, which tell less, take {columns * 1000:.0f} ms"
    return [
        Row(f"status of {gateways:,}, cold", cold, name, peer, COLD_REACH, requests + less),
        Row(f"status of {gateways:,}, warm", warm, name, peer, WARM_REACH, f"{asked} requests"),
    ]


def _cold(plane: ControlPlane, gateways: int, pods: int) -> tuple[float, str]:
    times, said = [], ""
    for _ in range(5):
        with cached(plane) as (cache, connection):
            # A bot that has just started has no caches of before to look through for garbage.
            gc.collect()
            began = time.perf_counter()
            shown(cache, Levels({"west": cache}), gateways, pods)
            times.append(time.perf_counter() - began)
            said = f"{connection.lists} lists, {connection.others} other requests"
    return statistics.median(times), said


@contextlib.contextmanager
def cached(plane: ControlPlane) -> Iterator[tuple[ClusterCache, Counting]]:
    """A bot's cache of that cluster, and the requests that it makes."""
    inner = connect_with_kubeconfig("west", plane.kubeconfig, plane.context, Timeouts(), Waits())
    connection = Counting(inner)
    # A bot that runs has its connections open.
    inner.request("GET", "/version", what="the version")
    cache = ClusterCache(Cluster("west", connection))
    try:
        yield cache, connection
    finally:
        cache.stop(Deadline.after(5))


def shown(cache: ClusterCache, levels: Levels, gateways: int = GATEWAYS, pods: int = PODS) -> None:
    """Everything that `status` does between the command and Slack, but asking pods for their link:
    with so many that is done in rounds, beside it."""
    snapshot = cache.read(wait=120)
    now = time.time()
    seen = {gateway.ref: levels.last(gateway) for gateway in snapshot.gateways}
    found = rows_of(summaries(snapshot, now), seen, _TAGS, ())
    assert len(found) == gateways
    assert sum(len(gateway.pods) for gateway in snapshot.gateways) == gateways * pods
    assert all(row.summary.token_expires_at for row in found)
    fleet.overview(found, {}, now)


def median(work: Callable[[], object], times: int) -> float:
    """The seconds that it takes, of so many times."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main() -> list[Result]:
    """Print the table."""
    return printed(rows())


def printed(found: Sequence[Row]) -> list[Result]:
    """Print these; as results of goals."""
    for row in found:
        reached = "reached" if row.ratio <= row.reach else "NOT reached"
        print(
            f"{row.what:34} {row.ours * 1000:8.1f} ms   {row.peer_name} {row.peer * 1000:.0f} ms   "
            f"{row.ratio:.3f}× (reach {row.reach}×: {reached})   {row.note}"
        )
    return [
        Result(
            *(row.what, f"{PODS} pods each", milliseconds(row.ours), f"≤ {row.reach}×"),
            *(row.ratio <= row.reach, milliseconds(row.peer), row.ratio),
        )
        for row in found
    ]


if __name__ == "__main__":
    main()
