"""What runs on every cluster that is known, and which gateway a name means."""

import difflib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from deploy.errors import GatewayBotError, NotFound, Unavailable
from deploy.gateway import GatewayRef
from deploy.health.cache import CachedGateway, ClusterCache, Snapshot
from deploy.health.status import GatewaySummary, resolve, summaries


@dataclass(frozen=True)
class Found:
    """What runs on every cluster that is known, and what is wrong with the others. `unseen` says what
    of the clusters that answer cannot be seen, `left_out` where nothing is looked at."""

    gateways: tuple[CachedGateway, ...]
    summaries: tuple[GatewaySummary, ...]
    failed: Mapping[str, GatewayBotError]
    unseen: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


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
    left_out: list[str] = []
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
        left_out += filter(None, [snapshot.places.left_out])
    return Found(tuple(gateways), tuple(told), failed, tuple(unseen), tuple(left_out))


def _reading(cache: ClusterCache, wait: float | None) -> Callable[[], Snapshot]:
    return cache.read if wait is None else lambda: cache.read(wait)


def find(caches: Mapping[str, ClusterCache], name: str) -> GatewayRef:
    """The gateway that a person means. A cluster that does not answer hides none of the others."""
    found, failed = everywhere(caches)
    if not found and failed:
        raise next(iter(failed.values()))
    return meant(caches, name, found, failed)


def meant(
    caches: Mapping[str, ClusterCache],
    name: str,
    found: Sequence[GatewaySummary],
    failed: Mapping[str, GatewayBotError],
) -> GatewayRef:
    """The gateway of those found that a person means. NotFound where it is named with a cluster that
    is not there, InvalidInput with a namespace that is not looked at."""
    cluster, _, rest = name.strip().lower().partition("/")
    namespace, _, of_it = rest.partition("/")
    if of_it:
        check_cluster(cluster, caches)
        caches[cluster].cluster.places.check(namespace)
    return resolve(name, found, failed)


def check_cluster(name: str, known: Collection[str]) -> None:
    """NotFound where the bot has no cluster of that name."""
    if name in known:
        return
    near = difflib.get_close_matches(name, list(known), n=1)
    raise NotFound(
        f"There is no cluster “{name[:80]}”.",
        remedy=f"Did you mean {near[0]}?"
        if near
        else f"This bot knows {', '.join(sorted(known))}.",
    ).did_mean("cluster", *near)
