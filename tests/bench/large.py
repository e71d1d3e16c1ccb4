"""A large shared cluster: 2,000 foreign Deployments that take their settings from ConfigMaps, 5,000
foreign pods, and 20 gateways. What the bot asks the API server to see the gateways, and how long
`status` takes, beside `kubectl get` of the same facts.

On the real control plane, which `make controlplane` builds. It takes some minutes to fill. Every
request that the bot's client makes is counted; a list of more objects than fit an answer takes
several. Pods belong to their Deployment itself and are never scheduled: a cluster without nodes
would make only so many. kubectl's figures include its process start.
"""

import base64
import contextlib
import gc
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bot.run import collect_less
from deploy.deadline import Deadline
from deploy.health.cache import ClusterCache
from deploy.health.fleet import rows_of
from deploy.health.levels import Levels
from deploy.health.status import summaries
from deploy.kube.cluster import Cluster
from deploy.kube.connection import Connection, Stream, Timeouts
from deploy.kube.transport import connect_with_kubeconfig
from deploy.waits import Waits
from handlers.views import fleet
from tests.support.control_plane import ControlPlane, Process, built
from tests.support.kube_api import KubeApi, Obj
from tests.support.kubectl import Kubectl
from tests.support.waiting import until

FOREIGN, FOREIGN_PODS = 2_000, 5_000
GATEWAYS, PODS = 20, 5
_NAMESPACES = 20
_WATCHED_SECONDS = 130.0
"""Longer than two rounds in which the facts that no watch shows are read again."""
_IMAGE = "mcr.microsoft.com/azure-api-management/gateway:2.11.1"
_LISTS = ("/apis/apps/v1/deployments", "/api/v1/pods", "/api/v1/configmaps")
_FACTS = ("get", "deployments,pods,secrets,configmaps", "-A", "-o", "json")


class Counting:
    """A connection that counts requests: lists by page, watches and reads, each by resource."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def request(self, method: str, path: str, **options: Any) -> bytes:
        """Count it as a list where it asks for pages."""
        query = options.get("query") or {}
        if "limit" in query:
            more = " (further pages)" if query.get("continue") else ""
            self.asked[f"list {path.rpartition('/')[2]}{more}"] += 1
        else:
            self.asked[f"{method.lower()} {path.split('/')[-2]}"] += 1
        return self._inner.request(method, path, **options)

    def read(self, path: str, **options: Any) -> Any:
        """Count it as a list."""
        self.asked[f"list {path.rpartition('/')[2]}"] += 1
        return self._inner.read(path, **options)

    def stream(self, path: str, **options: Any) -> Stream:
        """Count it as a watch."""
        self.asked[f"watch {path.rpartition('/')[2]}"] += 1
        return self._inner.stream(path, **options)


def main() -> None:
    """Fill a control plane, and print what was asked of it."""
    binary = built()
    if binary is None:
        print("left out: there is no control plane; `make controlplane` builds one")
        return
    with tempfile.TemporaryDirectory(prefix="bench-large-") as name:
        process = Process(binary, Path(name) / "plane")
        process.start()
        try:
            _measured(process.plane, Path(name))
        finally:
            process.stop()


def _measured(plane: ControlPlane, directory: Path) -> None:
    collect_less()
    began = time.perf_counter()
    _fill(plane)
    print(
        f"{FOREIGN} foreign Deployments, {FOREIGN_PODS} foreign pods, {FOREIGN} ConfigMaps, "
        f"{GATEWAYS} gateways of {PODS} pods: filled in {time.perf_counter() - began:.0f} s",
        flush=True,
    )
    with _cached(plane) as (cache, connection):
        levels = Levels({"west": cache})
        _shown(cache, levels)
        until(lambda: not cache.read().stale, "watches")
        _print("to see everything", connection.asked)
        connection.asked.clear()
        warm = _median([_timed(lambda: _shown(cache, levels)) for _ in range(20)])
        _print("20 times `status`", connection.asked)
        time.sleep(_WATCHED_SECONDS)
        _print(f"{_WATCHED_SECONDS:.0f} s in which nothing changes", connection.asked)
    cold = _median([_cold(plane) for _ in range(3)])
    floor = _median([_fetched(plane) for _ in range(3)])
    peer, said = _peer(Kubectl(plane.kubeconfig, directory))
    print(
        f"the same lists at once, read and not parsed: {floor * 1000:.1f} ms, {floor / peer:.4f}×"
    )
    for what, ours, reach in (("cold", cold, 0.05), ("warm", warm, 0.01)):
        ratio = ours / peer
        reached = "reached" if ratio <= reach else "NOT reached"
        print(
            f"status, {what:4} {ours * 1000:8.1f} ms   kubectl {' '.join(_FACTS)} {said}"
            f"   {ratio:.4f}× (reach {reach}×: {reached})"
        )


def _peer(kubectl: Kubectl) -> tuple[float, str]:
    """How long kubectl takes, in seconds and in words."""
    try:
        taken = _median([_timed(lambda: kubectl(*_FACTS)) for _ in range(3)])
    except subprocess.TimeoutExpired as error:
        return error.timeout, f"over {error.timeout:.0f} s"
    return taken, f"{taken * 1000:.0f} ms"


def _print(what: str, asked: Counter[str]) -> None:
    said = ", ".join(f"{count} × {name}" for name, count in sorted(asked.items()))
    print(f"requests, {what}: {said or 'none'}", flush=True)


def _cold(plane: ControlPlane) -> float:
    with _cached(plane) as (cache, _):
        gc.collect()
        return _timed(lambda: _shown(cache, Levels({"west": cache})))


def _fetched(plane: ControlPlane) -> float:
    """How long the lists take that no cold status can do without."""
    inner = connect_with_kubeconfig("west", plane.kubeconfig, plane.context, Timeouts(), Waits())
    inner.request("GET", "/version", what="the version")

    def read(path: str) -> int:
        def size(pieces: Iterator[bytes]) -> int:
            return sum(map(len, pieces))

        return inner.read(path, what=path, namespace=None, query={}, take=size)

    with ThreadPoolExecutor(len(_LISTS)) as pool:
        return _timed(lambda: list(pool.map(read, _LISTS)))


@contextlib.contextmanager
def _cached(plane: ControlPlane) -> Iterator[tuple[ClusterCache, Counting]]:
    inner = connect_with_kubeconfig("west", plane.kubeconfig, plane.context, Timeouts(), Waits())
    inner.request("GET", "/version", what="the version")
    connection = Counting(inner)
    cache = ClusterCache(Cluster("west", connection))
    try:
        yield cache, connection
    finally:
        cache.stop(Deadline.after(5))


def _shown(cache: ClusterCache, levels: Levels) -> None:
    snapshot = cache.read(wait=120)
    now = time.time()
    seen = {gateway.ref: levels.last(gateway) for gateway in snapshot.gateways}
    rows = rows_of(summaries(snapshot, now), seen, ("2.11.1",), ())
    assert (len(rows), snapshot.unseen) == (GATEWAYS, ()), (len(rows), snapshot.unseen)
    assert sum(len(gateway.pods) for gateway in snapshot.gateways) == GATEWAYS * PODS
    assert all(row.summary.token_expires_at for row in rows)
    fleet.overview(rows, {}, now)


def _fill(plane: ControlPlane) -> None:
    api = KubeApi(plane.kubeconfig, plane.context)
    names = [f"team-{number}" for number in range(_NAMESPACES)]
    for name in names:
        api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    for name in names:
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        until(lambda: not api.gone(account), "the service account", 60)  # noqa: B023  # at once
    with ThreadPoolExecutor(8) as pool:
        each = FOREIGN_PODS / FOREIGN
        counts = [round((n + 1) * each) - round(n * each) for n in range(FOREIGN)]
        list(pool.map(lambda n: _shop(api, names[n % _NAMESPACES], n, counts[n]), range(FOREIGN)))
        list(pool.map(lambda n: _gateway(api, names[n % _NAMESPACES], n), range(GATEWAYS)))


def _shop(api: KubeApi, namespace: str, number: int, pods: int) -> None:
    """Somebody's Deployment, which only its ConfigMap shows not to be a gateway."""
    name = f"shop-{number}"
    data = {f"setting-{n}": "some value of some length" for n in range(10)}
    body = {"metadata": {"name": f"{name}-env"}, "data": data}
    api.create(f"/api/v1/namespaces/{namespace}/configmaps", body)
    container = {
        "name": "shop",
        "image": f"registry.example.com/shop/{name}:1.0",
        "env": [{"name": f"VARIABLE_{n}", "value": "some value"} for n in range(10)],
        "envFrom": [{"configMapRef": {"name": f"{name}-env"}}],
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
    }
    _with_pods(api, namespace, name, container, pods)


def _gateway(api: KubeApi, namespace: str, number: int) -> None:
    name = f"edge-{number}"
    token = base64.b64encode(f"GatewayKey {name}&203001010000&c2lnbmF0dXJl".encode()).decode()
    secret = {"metadata": {"name": f"{name}-token"}, "data": {"value": token}}
    api.create(f"/api/v1/namespaces/{namespace}/secrets", secret)
    reference = {"secretKeyRef": {"name": f"{name}-token", "key": "value"}}
    auth = {"name": "config.service.auth", "valueFrom": reference}
    container = {"name": "gateway", "image": _IMAGE, "env": [auth]}
    _with_pods(api, namespace, name, container, PODS)


def _with_pods(api: KubeApi, namespace: str, name: str, container: Obj, pods: int) -> None:
    labels = {"app": name}
    # A paused Deployment gets no ReplicaSet, and a pod of another scheduler stays as it is.
    pod_spec = {"containers": [container], "schedulerName": "nobody"}
    spec = {
        "paused": True,
        "replicas": pods,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod_spec},
    }
    made = api.create(
        f"/apis/apps/v1/namespaces/{namespace}/deployments",
        {"metadata": {"name": name}, "spec": spec},
    )
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": name,
        "uid": made["metadata"]["uid"],
        "controller": True,
    }
    for number in range(pods):
        metadata = {"name": f"{name}-{number}", "labels": labels, "ownerReferences": [owner]}
        body = {"metadata": metadata, "spec": pod_spec}
        api.create(f"/api/v1/namespaces/{namespace}/pods", body)


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _median(taken: list[float]) -> float:
    return statistics.median(taken)


if __name__ == "__main__":
    main()
