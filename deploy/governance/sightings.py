"""Where gateway resources are now, read off the clusters' caches."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from deploy.azure import ApimInstance
from deploy.errors import GatewayBotError
from deploy.gateway import GatewayRef, GatewayResource
from deploy.governance.naming import PodSettings, names_itself, read_settings, resources_named
from deploy.health.cache import CachedGateway, ClusterCache, Snapshot
from deploy.kube.places import Places

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 600.0
"""Pods read their settings when they start, so these seldom change without the Deployment."""
_AGAIN_AFTER_REFUSAL = 30.0


@dataclass(frozen=True)
class Sighting:
    """What one cluster shows, or one of the namespaces listed of it, which is then called
    cluster/namespace. `whole` says whether all of its gateways are there.

    A resource whose service is empty may be any service's; `unidentified` are gateways that hold a
    token, and nothing tells whose.
    """

    cluster: str
    placed: frozenset[tuple[GatewayResource, GatewayRef]]
    unidentified: frozenset[GatewayRef] = frozenset()
    whole: bool = True


@dataclass
class _Kept:
    """What was read of one Deployment, until when it counts, and of which state of it."""

    settings: PodSettings | None = None
    until: float = float("-inf")
    state: tuple[object, ...] = field(default=())


class Sightings:
    """Looks at every cluster. Safe to use from many threads.

    Only a gateway that neither this bot's spec nor its token names costs requests: one for its
    Deployment and one for each of its ConfigMaps, at intervals.
    """

    def __init__(
        self,
        caches: Mapping[str, ClusterCache],
        instances: Mapping[str, ApimInstance],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._caches = caches
        self._instances = instances
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[GatewayRef, _Kept] = {}

    @property
    def clusters(self) -> frozenset[str]:
        """Every cluster of the settings, whether it answers or not; of one whose namespaces are
        listed, each of these."""
        return frozenset(
            _called(name, place)
            for name, cache in self._caches.items()
            for place in cache.cluster.places
        )

    @property
    def looked(self) -> tuple[Places, ...]:
        """Where on each cluster of the settings it looks."""
        return tuple(cache.cluster.places for cache in self._caches.values())

    def now(self, wait: float) -> tuple[Sighting, ...]:
        """What every cluster shows; one of which nothing is known after `wait` seconds is left out."""
        found: list[Sighting] = []
        for name, cache in self._caches.items():
            try:
                snapshot = cache.read(wait=wait)
            except GatewayBotError as error:
                log.info("the gateways of cluster %s are not seen: %s", name, error)
                continue
            found += self._sightings(cache, snapshot)
        return tuple(found)

    def _sightings(self, cache: ClusterCache, snapshot: Snapshot) -> Iterator[Sighting]:
        placed: set[tuple[GatewayResource, GatewayRef]] = set()
        unidentified: set[GatewayRef] = set()
        for gateway in snapshot.gateways:
            settings = PodSettings(signs_in=gateway.signs_in)
            if not names_itself(gateway, self._instances):
                settings = self._settings(cache, gateway, answers=not snapshot.stale) or settings
            resources = resources_named(gateway, settings, self._instances)
            placed |= {(resource, gateway.ref) for resource in resources}
            if not resources and not settings.signs_in:
                unidentified.add(gateway.ref)
        self._forget(snapshot.cluster, {gateway.ref for gateway in snapshot.gateways})
        places = snapshot.places
        for place in places:
            yield Sighting(
                _called(snapshot.cluster, place),
                frozenset(each for each in placed if places.of(each[1].namespace) == place),
                frozenset(ref for ref in unidentified if places.of(ref.namespace) == place),
                whole=not snapshot.stale and place not in snapshot.blind,
            )

    def _settings(
        self, cache: ClusterCache, gateway: CachedGateway, *, answers: bool
    ) -> PodSettings | None:
        metadata, ref = gateway.deployment["metadata"], gateway.ref
        state = (metadata["uid"], metadata.get("generation"))
        with self._lock:
            kept = self._kept.get(ref, _Kept())
        if kept.state == state and (self._clock() < kept.until or not answers):
            return kept.settings
        if not answers:
            # A decision is not to wait for a cluster that is away: whose it is stays unknown.
            return None
        found = read_settings(cache.cluster, gateway.deployment)
        again = _AGAIN_SECONDS if found is not None else _AGAIN_AFTER_REFUSAL
        with self._lock:
            self._kept[ref] = _Kept(found, self._clock() + again, state)
        return found

    def _forget(self, cluster: str, present: set[GatewayRef]) -> None:
        with self._lock:
            for ref in [r for r in self._kept if r.cluster == cluster and r not in present]:
                del self._kept[ref]


def _called(cluster: str, place: str | None) -> str:
    return cluster if place is None else f"{cluster}/{place}"
