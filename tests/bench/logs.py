"""Following logs beside `kubectl logs -f`, and a flood of ten thousand lines a second.

kubectl's figure includes its process start, the bot's does not: it is already running.
"""

import multiprocessing
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from deploy.kube.cluster import connect
from deploy.logs.filters import Filter
from deploy.logs.following import Following, Pods
from tests.bench.results import Result, milliseconds
from tests.support.gateway_bed import HOST, GatewayBed, gateway_bed
from tests.support.kubectl import kubectl_path
from tests.support.log_api import LogApi
from tests.support.node_bed import gateway_container
from tests.support.tiny_configuration import TOKEN
from tests.support.waiting import until

_TIMES = 7
_RATE, _SECONDS = 10_000, 60
REACH_RATIO = 0.2
REACH_GROWTH_MIB = 50.0


def first_line() -> tuple[float, float]:
    """Medians in seconds: ours, kubectl's."""
    with tempfile.TemporaryDirectory() as directory, gateway_bed(Path(directory)) as bed:
        _start(bed)
        kubeconfig = str(bed.running.kubeconfig())
        ours = statistics.median(_ours(bed) for _ in range(_TIMES))
        peer = statistics.median(_kubectl(kubeconfig, directory) for _ in range(_TIMES))
    return ours, peer


def _start(bed: GatewayBed) -> None:
    secret = {"kind": "Secret", "metadata": {"name": "edge-1-token", "namespace": "dev"}}
    bed.cluster.create(secret | {"apiVersion": "v1", "stringData": {"value": TOKEN}})
    endpoint = {"config.service.endpoint": f"https://{HOST}"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "edge-1", "namespace": "dev", "labels": {"app": "edge-1"}},
        "spec": {"containers": [gateway_container(settings=endpoint)]},
    }
    bed.cluster.create(pod)
    until(lambda: _running(bed), "a pod that logs", 30)


def _running(bed: GatewayBed) -> bool:
    pod = bed.cluster.get("Pod", "dev", "edge-1") or {}
    started = (pod.get("status") or {}).get("phase") == "Running"
    return started and bool(bed.cluster.logs("dev", "edge-1"))


def _ours(bed: GatewayBed) -> float:
    following = Following(bed.cluster, Pods("dev", "app=edge-1"), Filter(), tail=10)
    began = time.perf_counter()
    following.start()
    while not following.take().lines:
        time.sleep(0.0005)
    taken = time.perf_counter() - began
    following.close()
    return taken


def _kubectl(kubeconfig: str, home: str) -> float:
    began = time.perf_counter()
    process = subprocess.Popen(
        [kubectl_path(), "--kubeconfig", kubeconfig, "-n", "dev", "logs", "-f", "edge-1"],
        stdout=subprocess.PIPE,
        env={"HOME": home, "PATH": "/usr/bin:/bin"},
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    taken = time.perf_counter() - began
    process.kill()
    process.wait()
    return taken


def flood(seconds: int = _SECONDS) -> tuple[int, int, float]:
    """Lines shown, lines counted as skipped, and by how many MiB the process that follows grew."""
    spawning = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as directory:
        ours, theirs = spawning.Pipe()
        api = spawning.Process(target=_serve, args=(directory, seconds, theirs))
        api.start()
        kubeconfig = Path(str(ours.recv()))
        cluster = connect("west", kubeconfig=kubeconfig, context="west")
        following = Following(cluster, Pods("dev", "app=edge-1"), Filter(), tail=1)
        following.start()
        until(lambda: following.take().pods, "the pod")
        before = _mib()
        ours.send("begin")
        shown = skipped = 0
        give_up = time.monotonic() + 2 * seconds + 30
        while shown + skipped < _RATE * seconds and time.monotonic() < give_up:
            batch = following.take()
            shown, skipped = shown + len(batch.lines), skipped + batch.skipped
            time.sleep(1)
        grown = _mib() - before
        following.close()
        cluster.close()
        ours.send("end")
        api.join()
    return shown, skipped, grown


def _serve(directory: str, seconds: int, pipe: Any) -> None:
    """The API server, in a process of its own."""
    with LogApi(Path(directory)) as api:
        api.start("edge-1-a")
        pipe.send(str(Path(directory) / "log-api.yaml"))
        pipe.recv()
        began = time.monotonic()
        for tenth in range(seconds * 10):
            time.sleep(max(0.0, began + tenth / 10 - time.monotonic()))
            text = f"[Info] 2026-11-25T12:00:00.000 [GatewayLogs], request: {tenth}, source: X"
            api.write("edge-1-a", *(text for _ in range(_RATE // 10)))
        pipe.recv()


def _mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> list[Result]:
    """Print the rows."""
    ours, peer = first_line()
    reached = "reached" if ours / peer <= REACH_RATIO else "NOT reached"
    print(
        f"first log line of a follow: {ours * 1000:.1f} ms   kubectl logs -f {peer * 1000:.0f} ms   "
        f"{ours / peer:.3f}× (reach {REACH_RATIO}×: {reached})"
    )
    shown, skipped, grown = flood()
    held = "reached" if grown < REACH_GROWTH_MIB else "NOT reached"
    print(
        f"flood of {_RATE} lines/s for {_SECONDS} s: {shown} shown, {skipped} skipped and counted, "
        f"{shown + skipped} of {_RATE * _SECONDS}; grew by {grown:.0f} MiB "
        f"(reach < {REACH_GROWTH_MIB:.0f} MiB: {held})"
    )
    every = shown + skipped == _RATE * _SECONDS
    return [
        Result(
            *("first log line", "", milliseconds(ours), f"≤ {REACH_RATIO}×"),
            *(ours / peer <= REACH_RATIO, milliseconds(peer), ours / peer),
        ),
        Result(
            "sustained follow",
            f"{_RATE:,} lines/s for {_SECONDS} s, every line shown or counted: {every}",
            f"{grown:.0f} MiB more",
            *(f"< {REACH_GROWTH_MIB:.0f} MiB more", every and grown < REACH_GROWTH_MIB),
        ),
    ]


if __name__ == "__main__":
    main()
