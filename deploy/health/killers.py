"""Which CronJob of somebody else ran right before Azure began to refuse a token."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import TimeoutError as TooLate

from deploy.errors import GatewayBotError
from deploy.health.cache import CachedGateway, ClusterCache
from deploy.health.common_refusals import service_of
from deploy.health.heartbeat import Refusal
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.given import read_given
from deploy.observed.other_rotation import Rotator, killer_of, rotators_of
from deploy.plans.adoption import instance_named_by

log = logging.getLogger(__name__)

_KEPT_SECONDS = 60.0
"""Of many tokens that are refused at once each asks; the jobs of a cluster are listed once."""
_LEAST_SECONDS = 5.0
"""So long in any case: clocks differ, and many ask at once."""
_BOUND = 3.0
_SETTLED_SECONDS = 180.0
"""After so long a refusal's killer is among the jobs that were listed, if it is one."""


class Killers:
    """Looks among the CronJobs of a gateway's own cluster. Safe to use from many threads."""

    def __init__(
        self, caches: Mapping[str, ClusterCache], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._caches = caches
        self._clock = clock
        self._lock = threading.Lock()
        # Of each cluster one: another is not to wait for the one that does not answer.
        self._listing = {name: threading.Lock() for name in caches}
        self._jobs: dict[str, tuple[float, Sequence[Manifest] | None]] = {}
        self._told: dict[str, str] = {}

    def told(self, gateway: CachedGateway, refusal: Refusal) -> str:
        """What ran before, in a sentence without a full stop; empty where nothing is known to have,
        or where the jobs cannot be read."""
        name = f"{gateway.ref}/{refusal.secret}"
        with self._lock:
            if name in self._told:
                return self._told[name]
        jobs = self._listed(gateway.ref.cluster, refusal.since)
        if jobs is None:
            return ""
        service = _service(self._caches[gateway.ref.cluster].cluster, gateway)
        sentence = _sentence(gateway, refusal, service, jobs)
        # The jobs may have been listed before the one ran that killed it.
        if sentence or time.time() - refusal.since > _SETTLED_SECONDS:
            with self._lock:
                self._told[name] = sentence
        return sentence

    def _listed(self, name: str, since: float) -> Sequence[Manifest] | None:
        """The jobs of a cluster as of a minute ago at most, and not before `since` (epoch seconds);
        None where they cannot be read."""
        if name not in self._caches:
            return None
        with self._listing[name]:
            kept = self._jobs.get(name)
            if kept is not None:
                age = self._clock() - kept[0]
                # What killed it ran before it was refused, and may have run after that list.
                newest = max(_LEAST_SECONDS, time.time() - since)
                if age < min(_KEPT_SECONDS, newest):
                    return kept[1]
            found = _listing(self._caches[name].cluster)
            self._jobs[name] = (self._clock(), found)
            return found


def _listing(cluster: Cluster) -> Sequence[Manifest] | None:
    try:
        return cluster.begin(lambda: cluster.everywhere("CronJob").items).result(_BOUND)
    except (GatewayBotError, TooLate) as error:
        log.info("what killed a token is not looked for: %s", error)
        return None


def _service(cluster: Cluster, gateway: CachedGateway) -> str:
    """Its API Management service; where the cache does not know it, as its ConfigMaps say now."""
    known = service_of(gateway)
    if known:
        return known
    pod = gateway.deployment["spec"]["template"].get("spec") or {}
    try:
        reading = cluster.begin(lambda: read_given(cluster, gateway.ref.namespace, pod))
        return instance_named_by(reading.result(_BOUND)).lower()
    except (GatewayBotError, TooLate) as error:
        log.info("whose service %s is of is not known: %s", gateway.ref, error)
        return ""


def _sentence(
    gateway: CachedGateway, refusal: Refusal, service: str, jobs: Sequence[Manifest]
) -> str:
    facts = gateway.token.facts if gateway.token else None
    rotators = rotators_of(
        jobs,
        namespace=gateway.ref.namespace,
        gateway=(facts.gateway if facts else None) or "",
        service=service,
        secret=facts.name if facts else "",
    )
    killer = killer_of(rotators, refusal.since)
    return _named(killer, refusal.since) if killer is not None else ""


def _named(killer: Rotator, since: float) -> str:
    does = "rotates" if killer.certain else "may rotate"
    before = max(0.0, since - (killer.ran_at or since))
    return (
        f"CronJob {killer.namespace}/{killer.name}, which {does} it or its keys, ran "
        f"{round(before)} s before"
    )
