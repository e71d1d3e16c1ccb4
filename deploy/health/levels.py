"""What gateways last said of their link to Azure, looked at in rounds and whenever somebody asks.

A table of hundreds of gateways cannot ask every pod while a person waits. So each is looked at from
time to time, a few pods a second, and its level is shown with its age; what was not looked at for
long, or has changed since, is unknown.
"""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from deploy.deadline import Deadline
from deploy.errors import GatewayBotError
from deploy.gateway import GatewayRef
from deploy.health import evidence
from deploy.health.cache import CachedGateway, ClusterCache
from deploy.health.common_refusals import (
    LinkSeen,
    link_seen,
    others_seen_since,
    refusing_services,
    service_of,
)
from deploy.health.heartbeat import AzureEvent, Heartbeat, Refusal, worse
from deploy.health.killers import Killers
from deploy.health.refusals import disproved, narrowed, refused_key, suspicion
from deploy.health.refused_keys import OwnRefusedKeys, RefusedKeys
from deploy.observed.pods import is_ready

log = logging.getLogger(__name__)

PERIOD = 30.0
"""Seconds from one round to the next, where there are few pods."""
_PODS_A_SECOND = 20.0
"""How many pods a round asks in a second: each is two requests to the API server and a kubelet."""
_BATCH = 50
_FRESH = 10.0
_AT_ONCE = 120
"""Of how many pods somebody who asks for the table waits for an answer."""
_BOUND = 3.0

AzureEvents = Callable[[GatewayRef], Sequence[AzureEvent]]


@dataclass(frozen=True)
class Seen:
    """A gateway's heartbeat as it was at `at` (epoch seconds)."""

    heartbeat: Heartbeat
    at: float


@dataclass(frozen=True)
class _Look:
    heartbeat: Heartbeat
    at: float
    pods: frozenset[tuple[str, bool]]
    link: LinkSeen


def no_events(ref: GatewayRef) -> Sequence[AzureEvent]:
    """Where no Event Grid subscription leads to the bot."""
    return ()


class Levels:
    """Safe to use from many threads. Without `start` only what somebody asks for is looked at."""

    def __init__(
        self,
        caches: Mapping[str, ClusterCache],
        azure_events: AzureEvents = no_events,
        *,
        refused: RefusedKeys | None = None,
        period: float = PERIOD,
    ) -> None:
        """`refused` remembers the keys whose tokens Azure refuses."""
        self._caches = caches
        self._refused = refused or OwnRefusedKeys()
        self.azure_events = azure_events
        self._period = period
        self._looks: dict[GatewayRef, _Look] = {}
        self._killers = Killers(caches)
        self._refusing: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._round_seconds = period
        self._thread = threading.Thread(target=self._run, name="levels", daemon=True)

    def start(self) -> None:
        """Begin the rounds."""
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """End them."""
        self._stopping.set()
        deadline.join([self._thread])

    @property
    def live(self) -> bool:
        """Whether the rounds continue."""
        return self._thread.is_alive()

    def look(self, gateways: Iterable[CachedGateway]) -> dict[GatewayRef, Seen]:
        """The heartbeat of each: asked for now where that is a matter of seconds, else the last.

        Returns within about four seconds, whatever hangs.
        """
        wanted = list(gateways)
        now = time.time()
        asked = [gateway for gateway in wanted if not self._fresh(gateway, now)]
        if sum(len(gateway.pods) for gateway in asked) <= _AT_ONCE:
            self._ask(asked, _BOUND)
        return {gateway.ref: self.last(gateway) for gateway in wanted}

    def _fresh(self, gateway: CachedGateway, now: float) -> bool:
        look = self._looks.get(gateway.ref)
        return look is not None and now - look.at <= _FRESH and look.pods == _pods(gateway)

    def last(self, gateway: CachedGateway) -> Seen:
        """What was last seen of it, without asking anybody."""
        seen = self._last(gateway)
        weighed = self._weighed(gateway, seen.heartbeat)
        return seen if weighed is seen.heartbeat else Seen(weighed, seen.at)

    def judged(self, gateway: CachedGateway, heartbeat: Heartbeat) -> Heartbeat:
        """Keep what somebody else saw of it just now, for every view; with what others' tokens show
        of its own."""
        # A round that continues meanwhile may forget a gateway of which it did not hear.
        kept = self._keep({gateway.ref: heartbeat}, [gateway])
        return self._weighed(gateway, kept[gateway.ref])

    def _last(self, gateway: CachedGateway) -> Seen:
        look = self._looks.get(gateway.ref)
        now = time.time()
        if look is None:
            return Seen(Heartbeat("unknown", "nobody has looked at it yet"), now)
        if now - look.at > 2 * self._round_seconds + 30:
            ago = round((now - look.at) / 60)
            return Seen(Heartbeat("unknown", f"it was last looked at {ago} min ago"), look.at)
        changed = look.pods != _pods(gateway)
        if changed and not worse(look.heartbeat.level, "no trouble seen"):
            text = "its pods have changed since it was looked at"
            return Seen(Heartbeat("unknown", text), look.at)
        return Seen(look.heartbeat, look.at)

    def _weighed(self, gateway: CachedGateway, heartbeat: Heartbeat) -> Heartbeat:
        """With what is known against its token now: that may be another one than was looked at."""
        refusal = heartbeat.refusal
        if refusal is None and heartbeat.level != "unknown":
            return heartbeat
        facts = gateway.token.facts if gateway.token else None
        if refusal is not None and refusal.secret != (facts.identity if facts else ""):
            refusal = None
        if refusal is not None and refusal.proven:
            return self._compared(gateway, heartbeat, refusal)
        if refusal is None:
            known = self._refused.known().values()
            refusal = suspicion(gateway, heartbeat, known, time.time())
        if refusal is heartbeat.refusal:
            return heartbeat
        return dataclasses.replace(heartbeat, refusal=refusal)

    def _explained(self, gateway: CachedGateway, heartbeat: Heartbeat) -> Heartbeat:
        """With what killed its token, where that is known."""
        refusal = heartbeat.refusal
        if refusal is None or not link_seen(gateway, heartbeat, 0.0).refused:
            return heartbeat
        killer = self._killers.told(gateway, refusal)
        return dataclasses.replace(heartbeat, refusal=dataclasses.replace(refusal, killer=killer))

    def _compared(
        self, gateway: CachedGateway, heartbeat: Heartbeat, refusal: Refusal
    ) -> Heartbeat:
        """With what the others of its instance show: that it is not the token, where Azure refuses
        all of them. Until all were looked at since, that it is refused often proves nothing."""
        link = link_seen(gateway, heartbeat, 0.0)
        if not link.refused or not link.service:
            return heartbeat
        if link.service in self._refusing:
            text = f"Azure refuses every gateway of {link.service} at once, so no token is at fault"
            return dataclasses.replace(
                heartbeat, evidence=f"{heartbeat.evidence}. {text}", refusal=None
            )
        with self._lock:
            looks = [look.link for look in self._looks.values()]
        if refusal.times and not others_seen_since(looks, link):
            refusal = dataclasses.replace(refusal, times=0)
        return dataclasses.replace(heartbeat, refusal=refusal)

    def _keep(
        self, found: Mapping[GatewayRef, Heartbeat], gateways: Iterable[CachedGateway]
    ) -> Mapping[GatewayRef, Heartbeat]:
        """What is kept of each."""
        now = time.time()
        kept: dict[GatewayRef, Heartbeat] = {}
        looked_at = list(gateways)
        for gateway in looked_at:
            explained = self._explained(gateway, found[gateway.ref])
            with self._lock:
                before = self._looks.get(gateway.ref)
                heartbeat = _lasting(explained, before.heartbeat if before else None)
                link = link_seen(gateway, heartbeat, now)
                self._looks[gateway.ref] = _Look(heartbeat, now, _pods(gateway), link)
            kept[gateway.ref] = heartbeat
        with self._lock:
            self._refusing = refusing_services(look.link for look in self._looks.values())
        for gateway in looked_at:
            heartbeat = kept[gateway.ref]
            key = refused_key(gateway, heartbeat)
            if key is not None and service_of(gateway) not in self._refusing:
                self._refused.note(key)
            for name, known in self._refused.known().items():
                less = narrowed(gateway, heartbeat, known)
                if disproved(gateway, heartbeat, known):
                    self._refused.forget(name)
                elif less is not None:
                    self._refused.narrow(less)
        return kept

    def _ask(self, gateways: Sequence[CachedGateway], bound: float) -> None:
        by_cluster: dict[str, list[CachedGateway]] = {}
        for gateway in gateways:
            by_cluster.setdefault(gateway.ref.cluster, []).append(gateway)
        if not by_cluster:
            return
        with ThreadPoolExecutor(len(by_cluster), thread_name_prefix="look") as pool:
            running = [
                pool.submit(self._asking(name, group, bound)) for name, group in by_cluster.items()
            ]
        for future in running:
            future.result()

    def _asking(
        self, name: str, group: Sequence[CachedGateway], bound: float
    ) -> Callable[[], None]:
        waits = self._caches[name].cluster.waits
        return waits.carried(lambda: self._ask_cluster(name, group, bound))

    def _ask_cluster(self, name: str, group: Sequence[CachedGateway], bound: float) -> None:
        asked = [
            evidence.Asked(
                g.ref, g.deployment, g.pods, g.token, self.azure_events(g.ref), g.signs_in
            )
            for g in group
        ]
        found = evidence.heartbeats(self._caches[name].cluster, asked, bound=bound)
        self._keep(found, group)

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._round()
            except Exception:  # without rounds every level would be unknown for ever
                log.exception("a round of looks failed")
            took = time.monotonic() - began
            self._round_seconds = max(self._period, took)
            self._stopping.wait(max(1.0, self._period - took))

    def _round(self) -> None:
        every: list[CachedGateway] = []
        for cache in self._caches.values():
            try:
                every += cache.read(wait=1.0).gateways
            except GatewayBotError as error:
                log.info("no look at a cluster: %s", error)
        with self._lock:
            known = {gateway.ref for gateway in every}
            self._looks = {ref: look for ref, look in self._looks.items() if ref in known}
        for batch in _batches(every):
            began = time.monotonic()
            self._ask(batch, evidence.BOUND)
            pods = sum(len(gateway.pods) for gateway in batch)
            spare = pods / _PODS_A_SECOND - (time.monotonic() - began)
            if self._stopping.wait(max(0.0, spare)):
                return


def _lasting(heartbeat: Heartbeat, before: Heartbeat | None) -> Heartbeat:
    """With since when its token is refused as it was first seen: a log is read only so far back."""
    refusal, earlier = heartbeat.refusal, before.refusal if before else None
    if refusal is None or earlier is None or refusal.secret != earlier.secret:
        return heartbeat
    since = min(refusal.since, earlier.since)
    return dataclasses.replace(heartbeat, refusal=dataclasses.replace(refusal, since=since))


def _pods(gateway: CachedGateway) -> frozenset[tuple[str, bool]]:
    return frozenset((pod["metadata"]["name"], is_ready(pod)) for pod in gateway.pods)


def _batches(gateways: Sequence[CachedGateway]) -> Iterator[list[CachedGateway]]:
    batch: list[CachedGateway] = []
    pods = 0
    for gateway in gateways:
        batch.append(gateway)
        pods += len(gateway.pods)
        if pods >= _BATCH:
            yield batch
            batch, pods = [], 0
    if batch:
        yield batch
