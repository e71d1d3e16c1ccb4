"""What runs on every cluster that is known, and which gateway a name means."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from deploy.errors import GatewayBotError, Unavailable
from deploy.gateway import GatewayRef
from deploy.health.cache import CachedGateway, ClusterCache
from deploy.health.status import GatewaySummary, resolve, summaries


@dataclass(frozen=True)
class Found:
    """What runs on every cluster that is known, and what is wrong with the others."""

    gateways: tuple[CachedGateway, ...]
    summaries: tuple[GatewaySummary, ...]
    failed: Mapping[str, GatewayBotError]


def everywhere(
    caches: Mapping[str, ClusterCache],
) -> tuple[tuple[GatewaySummary, ...], Mapping[str, GatewayBotError]]:
    """The gateways of every cluster that is known, and what is wrong with the others."""
    found = found_everywhere(caches)
    return found.summaries, found.failed


def found_everywhere(caches: Mapping[str, ClusterCache]) -> Found:
    """Read every cluster's cache at once."""
    with ThreadPoolExecutor(max(1, len(caches))) as pool:
        running = {
            name: pool.submit(cache.cluster.waits.carried(cache.read))
            for name, cache in caches.items()
        }
    gateways: list[CachedGateway] = []
    told: list[GatewaySummary] = []
    failed: dict[str, GatewayBotError] = {}
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
    return Found(tuple(gateways), tuple(told), failed)


def find(caches: Mapping[str, ClusterCache], name: str) -> GatewayRef:
    """The gateway that a person means. A cluster that does not answer hides none of the others."""
    found, failed = everywhere(caches)
    if not found and failed:
        raise next(iter(failed.values()))
    return resolve(name, found, failed)
