"""What runs on every cluster that is known, and which gateway a name means."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from deploy.errors import GatewayBotError, Unavailable
from deploy.gateway import GatewayRef
from deploy.health.cache import CachedGateway, ClusterCache, Snapshot
from deploy.health.status import GatewaySummary, resolve, summaries


@dataclass(frozen=True)
class Found:
    """What runs on every cluster that is known, and what is wrong with the others. `unseen` says what
    of the clusters that answer cannot be seen."""

    gateways: tuple[CachedGateway, ...]
    summaries: tuple[GatewaySummary, ...]
    failed: Mapping[str, GatewayBotError]
    unseen: tuple[str, ...] = ()


def everywhere(
    caches: Mapping[str, ClusterCache],
) -> tuple[tuple[GatewaySummary, ...], Mapping[str, GatewayBotError]]:
    """The gateways of every cluster that is known, and what is wrong with the others."""
    found = found_everywhere(caches)
    return found.summaries, found.failed


def found_everywhere(caches: Mapping[str, ClusterCache], wait: float | None = None) -> Found:
    """Read every cluster's cache at once; `wait` is how long for, where its own time is too long."""
    with ThreadPoolExecutor(max(1, len(caches))) as pool:
        running = {
            name: pool.submit(cache.cluster.waits.carried(_reading(cache, wait)))
            for name, cache in caches.items()
        }
    gateways: list[CachedGateway] = []
    told: list[GatewaySummary] = []
    failed: dict[str, GatewayBotError] = {}
    unseen: list[str] = []
    for name, future in running.items():
        try:
            snapshot = future.result()
        except GatewayBotError as error:
            failed[name] = error
            continue
        gateways += snapshot.gateways
        told += summaries(snapshot, time.time())
        if snapshot.stale:
            failed[name] = Unavailable(snapshot.stale)
        if snapshot.pods_unread and not snapshot.stale:
            unseen.append(f"The pods of “{name}” are not known: {snapshot.pods_unread}")
        unseen += snapshot.unseen
    return Found(tuple(gateways), tuple(told), failed, tuple(unseen))


def _reading(cache: ClusterCache, wait: float | None) -> Callable[[], Snapshot]:
    return cache.read if wait is None else lambda: cache.read(wait)


def find(caches: Mapping[str, ClusterCache], name: str) -> GatewayRef:
    """The gateway that a person means. A cluster that does not answer hides none of the others."""
    found, failed = everywhere(caches)
    if not found and failed:
        raise next(iter(failed.values()))
    return resolve(name, found, failed)
