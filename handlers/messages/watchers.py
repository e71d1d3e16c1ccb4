"""Watches gateways get worse or better: one thread that looks, and notes what becomes of incidents."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deploy.actions.owed import Owed
from deploy.deadline import Deadline
from deploy.errors import GatewayBotError
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from deploy.health.incident_store import IncidentStore, subject_of
from deploy.health.incidents import Health, WatchedIncident, health_of, step
from deploy.health.levels import Levels
from handlers.messages.incident_messages import key_of

log = logging.getLogger(__name__)

_PERIOD = 10.0

ChannelOf = Callable[[GatewayRef], str]
"""The channel that is notified of a gateway; empty where none is."""


@dataclass(frozen=True)
class _Look:
    """How each gateway of a cluster is, by the channel that is notified of it, or why nobody knows
    (`away`); `unread` and `blind` as `step` takes them."""

    healths: Mapping[str, list[Health]] = field(default_factory=dict)
    away: str = ""
    unread: frozenset[str] = frozenset()
    blind: frozenset[str | None] = frozenset()


class Watchers:
    """One thread for every cluster; of several bots one watches each, for each channel."""

    def __init__(
        self,
        caches: Mapping[str, ClusterCache],
        levels: Levels,
        store: IncidentStore,
        owed: Owed,
        channel_of: ChannelOf,
        *,
        period: float = _PERIOD,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`owed` has the marks of the incidents' messages."""
        self._caches = caches
        self._levels = levels
        self._store = store
        self._owed = owed
        self._channel_of = channel_of
        self._period = period
        self._clock = clock
        self._subjects: set[tuple[str, str]] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchers", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """End, and let another bot watch."""
        self._stopping.set()
        deadline.join([self._thread])

    @property
    def live(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.wait(self._period):
            for name in self._caches:
                try:
                    self.watch(name)
                except GatewayBotError as error:
                    log.warning("cluster %s is not watched just now: %s", name, error)
                except Exception:  # whoever is to be warned must not depend on one odd cluster
                    log.exception("watching cluster %s failed", name)
        for name, channel in self._subjects:
            try:
                self._store.release(subject_of(name, channel))
            except GatewayBotError as error:
                log.info("the watch of %s expires: %s", name, error)

    def watch(self, cluster: str) -> None:
        """Look once, for each channel. Raises what Redis raises."""
        look = self._look(cluster)
        heard = self._store.channels(cluster)
        for channel in look.healths.keys() - heard:
            self._store.remember(cluster, channel)
        for channel in sorted(look.healths.keys() | heard):
            self._subjects.add((cluster, channel))
            watch = self._watch(cluster, channel, look)
            if not (watch is None or watch.incidents or look.away or channel in look.healths):
                self._store.forget(cluster, channel)

    def _look(self, cluster: str) -> _Look:
        try:
            snapshot = self._caches[cluster].read(wait=1.0)
        except GatewayBotError as error:
            return _Look(away=error.happened)
        found: dict[str, list[Health]] = {}
        for gateway in snapshot.gateways:
            channel = self._channel_of(gateway.ref)
            if channel:
                health = health_of(gateway, self._levels.last(gateway))
                found.setdefault(channel, []).append(health)
        return _Look(found, snapshot.stale, frozenset(snapshot.unread), snapshot.blind)

    def _watch(self, cluster: str, channel: str, look: _Look) -> WatchedIncident | None:
        """What is remembered then; None where another bot watches."""
        subject = subject_of(cluster, channel)
        known = self._store.take(subject)
        if known is None:
            return None
        healths = None if look.away else look.healths.get(channel, [])
        watch = step(known, cluster, healths, look.away, self._clock(), look.unread, look.blind)
        changed = [each for each in watch.incidents if each not in known.incidents]
        if watch != known and not self._store.save(subject, watch, changed):
            return None
        for incident in changed:
            self._owed.now(key_of(subject, incident))
        return watch
