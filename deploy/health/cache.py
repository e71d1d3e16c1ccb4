"""One cluster's gateways in memory, kept true by watches: what `status` answers from.

A watch of Deployments, of pods and of each other kind that gateways run in, one of ConfigMaps where
something takes its settings from there, and the facts of the tokens' Secrets. Cold it takes a list of
each; after that nothing is listed again until the cluster has forgotten what changed since (410), and
a status makes no request at all. What may be out of date says since when and why; a kind that cannot
be read takes nothing from the others, and is named.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from deploy.deadline import Deadline
from deploy.errors import GatewayBotError, Unavailable
from deploy.gateway import GatewayRef
from deploy.health.discovery import Discovery, Key, like_a_pod, undecided
from deploy.health.replica_courses import ReplicaCount, ReplicaCourses
from deploy.health.sources import SignIn, Sources
from deploy.health.standing import Standing, standing_of
from deploy.health.token_record import TokenRecord
from deploy.health.trimming import CONFIG_MAP, DEPLOYMENT, OTHERS, POD, is_trimmed_away
from deploy.health.watched_kind import SETTINGS, UnreadPlace, WatchedKind, is_absent, read_of
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.kube.places import Places
from deploy.kube.shapes import Shape
from deploy.kube.watching import Change, Watch
from deploy.observed import inventory
from deploy.observed.token_facts import (
    AGAIN_SECONDS,
    SOON_SECONDS,
    SecretKey,
    TokenFacts,
)
from deploy.observed.workloads import owner_of

log = logging.getLogger(__name__)

SILENCE = 50.0
"""A watch on which nothing came for so many seconds is taken up on another connection; a middlebox
that forgot it without a word is thus noticed within a minute."""
_WAIT = 8.0
"""How long a first answer waits for the cluster."""
_RECONNECTING = 1.0
_STOPPING = 1.0
_AGAIN_AFTER_REFUSAL = 15.0
_AGAIN_WHERE_ABSENT = 300.0
"""A kind that the cluster does not serve may be installed later."""

_WORKLOADS: Mapping[str, Shape] = {"Deployment": DEPLOYMENT, **OTHERS}
_SHAPES: Mapping[str, Shape] = {**_WORKLOADS, "Pod": POD, SETTINGS: CONFIG_MAP}
_ALWAYS = ("Deployment", "Pod")
_Place = str | None
"""A namespace that is looked at, or all of them at once."""


@dataclass(frozen=True)
class CachedGateway:
    """One gateway as last told: its Deployment and pods cut down, and what is known of its token.
    What runs in something else has the form of a Deployment (deploy.observed.workloads).

    `pods` are those that run or may yet, `ended` those that never will again (evicted, for one).
    `token` is None for a gateway that has none, `sign_in` how it signs in and where its token is, None
    where nobody has looked; `replicas` is the course of its pods since the bot
    started, at most the last few hundred changes.
    """

    ref: GatewayRef
    deployment: Manifest
    pods: tuple[Manifest, ...]
    token: TokenFacts | None
    replicas: tuple[ReplicaCount, ...] = ()
    ended: tuple[Manifest, ...] = ()
    sign_in: SignIn | None = None

    @property
    def token_key(self) -> SecretKey | None:
        """The Secret and key that its token is in."""
        return self.sign_in.secret if self.sign_in else None

    @property
    def signs_in(self) -> bool:
        """Whether it signs in to Entra ID, so that it has no token."""
        if self.sign_in is None:
            return inventory.signs_in(self.deployment)
        return not self.sign_in.has_token


@dataclass(frozen=True)
class Snapshot:
    """A cluster's gateways. True at `as_of` (epoch seconds); `stale` says why not later, and is
    empty while the watches are open. `pods_unread` says why no pods are known, `unseen` what else of
    the cluster cannot be seen, in sentences; `undecided` may be gateways, which is not known.
    `places` are the namespaces that are looked at, `unread` those of them that cannot be. `blind` are
    the places in which more gateways may run than are shown, since Deployments or pods there are
    not read: what is not seen there may not count as gone."""

    cluster: str
    gateways: tuple[CachedGateway, ...]
    as_of: float
    stale: str = ""
    pods_unread: str = ""
    unseen: tuple[str, ...] = ()
    undecided: tuple[GatewayRef, ...] = ()
    places: Places = field(default_factory=lambda: Places(""))
    unread: Mapping[str, UnreadPlace] = field(default_factory=dict)
    blind: frozenset[str | None] = frozenset()

    def find(self, ref: GatewayRef) -> CachedGateway | None:
        """The gateway that runs there."""
        return next((gateway for gateway in self.gateways if gateway.ref == ref), None)


class ClusterCache:
    """Starts with the first read, or with `start`. Safe to use from many threads."""

    def __init__(
        self, cluster: Cluster, *, silence: float = SILENCE, again: float = AGAIN_SECONDS
    ) -> None:
        """`again` is after how many seconds what no watch shows is read again."""
        self.cluster = cluster
        self._silence = silence
        self._again = again
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._kinds = {
            (kind, place): WatchedKind(self._watch(kind, place))
            for kind in _SHAPES
            for place in cluster.places
        }
        self._tokens = TokenRecord(cluster, again)
        self._sources = Sources(cluster)
        self._reads_settings: set[_Place] = set()
        self._found = Discovery(cluster.name)
        self._show: Mapping[str, Callable[[Key, Manifest | None], None]] = {
            **{kind: partial(self._found.workload, kind) for kind in _WORKLOADS},
            "Pod": self._found.pod,
            SETTINGS: lambda key, item: self._found.setting(key, there=item is not None),
        }
        self._replicas = ReplicaCourses()
        self._wanted = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listeners: list[Callable[[], None]] = []

    def start(self) -> None:
        """Begin to watch; again it does nothing."""
        with self._changed:
            if self._threads:
                return
            for kind, place in self._kinds:
                if kind != SETTINGS:
                    self._begin(f"{kind}-{place}", self._following(kind, place))
            self._begin("facts", self._read_facts)

    def _begin(self, name: str, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, name=f"cache-{self.cluster.name}-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self, deadline: Deadline) -> None:
        """End the watches. A request under way is not waited for longer than a moment."""
        self._stopping.set()
        self._wanted.set()
        for kind in self._kinds.values():
            kind.watch.close()
        deadline.within(_STOPPING).join(self._threads)

    @property
    def live(self) -> bool:
        """Whether it watches, and all that it watches with runs."""
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    @property
    def standing(self) -> Standing:
        """How true what is known is, without waiting for anything."""
        return standing_of(self.cluster.places, self._kinds)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change, from the watching thread: it must be quick."""
        self._listeners.append(listener)

    def read(self, wait: float = _WAIT) -> Snapshot:
        """What runs. Waits `wait` seconds at most until it is known for the first time.

        Raises Unavailable when it is not known by then, Refused when the bot may not look.
        """
        self.start()
        with self.cluster.waits.on(f"cluster “{self.cluster.name}”"), self._changed:
            if not self.cluster.silent:
                self._wait_for(self._complete, wait if not self._known() else _RECONNECTING)
            left = self._found.undecided()
            read = read_of(self.cluster.places, self._kinds, left)
            return Snapshot(
                self.cluster.name,
                tuple(self._gateways()),
                read.as_of,
                read.stale,
                read.pods_unread,
                read.unseen,
                left,
                self.cluster.places,
                read.unread,
                read.blind,
            )

    def _watch(self, kind: str, place: _Place) -> Watch:
        return self.cluster.watch(
            kind, place, silence=self._silence, stop=self._stopping, shape=_SHAPES[kind]
        )

    def _wait_for(self, done: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not done() and time.monotonic() < end and not self._stopping.is_set():
            # A watch that is resumed notifies nobody.
            self._changed.wait(0.05)

    def _known(self) -> bool:
        pods = (self._kinds["Pod", place] for place in self.cluster.places)
        return all(each.answered for each in pods) and not self._unread()

    def _complete(self) -> bool:
        followed = (each for each in self._kinds.items() if self._follows(*each[0]))
        return not self._unread() and all(
            # What most gateways are seen by is waited for whenever its watch is taken up again.
            kind.settled if name in _ALWAYS else kind.answered
            for (name, _), kind in followed
        )

    def _follows(self, name: str, place: _Place) -> bool:
        return name != SETTINGS or place in self._reads_settings

    def _following(self, name: str, place: _Place) -> Callable[[], None]:
        def follow() -> None:
            while not self._stopping.is_set():
                kind = self._kinds[name, place]
                try:
                    for change, item in kind.watch:
                        self._take(name, place, change, item)
                except GatewayBotError as error:
                    self._failed(name, place, error, absent=is_absent(self.cluster, name, error))
                except Exception as error:  # a watch that has ended unseen would be a lie
                    log.exception("the watch of %s on %s failed", name, self.cluster.name)
                    unfollowed = Unavailable(f"Its {name}s cannot be followed: {error}.")
                    self._failed(name, place, unfollowed)
                absent = self._kinds[name, place].absent
                self._stopping.wait(_AGAIN_WHERE_ABSENT if absent else _AGAIN_AFTER_REFUSAL)

        return follow

    def _failed(
        self, name: str, place: _Place, error: GatewayBotError, *, absent: bool = False
    ) -> None:
        with self._changed:
            old = self._kinds[name, place]
            old.watch.close()
            # What was known stays, as of when it was; only a new watch can continue.
            watch = self._watch(name, place)
            watch.heard_at = old.watch.heard_at
            if absent:
                self._kinds[name, place] = WatchedKind(watch, absent=True)
                self._replace(name, old.items, {})
            else:
                self._kinds[name, place] = WatchedKind(
                    watch, old.items, told=old.told, lost=error.happened, error=error
                )
            self._changed.notify_all()
        self._tell()

    def _take(self, name: str, place: _Place, change: Change, item: Manifest) -> None:
        with self._changed:
            kind = self._kinds[name, place]
            if change is Change.SYNCED:
                kind.told, kind.lost, kind.error, kind.absent = True, "", None, False
                if kind.arriving is not None:
                    before, kind.items, kind.arriving = kind.items, kind.arriving, None
                    self._replace(name, before, kind.items)
                self._found.know_settings(place, known=self._kinds[SETTINGS, place].told)
            elif change is Change.LOST:
                kind.lost = str(item["message"])
            else:
                changed = self._keep(kind, name, change, item)
                if kind.arriving is not None or not changed:
                    # Nobody can use a part of what exists; the rest comes at once.
                    return
            of_something = name == "Pod" and bool(item) and self._has_workload(item)
            if change is not Change.LOST and not of_something:
                self._wanted.set()
            self._changed.notify_all()
        self._tell()

    def _has_workload(self, pod: Manifest) -> bool:
        """Whether a pod is of an object that is kept, which says what there is to be read for it."""
        if is_trimmed_away(pod):
            return True
        (kind, name), namespace = owner_of(pod), pod["metadata"]["namespace"]
        place = self.cluster.places.of(namespace)
        return kind in _WORKLOADS and (namespace, name) in self._kinds[kind, place].items

    def _keep(self, kind: WatchedKind, name: str, change: Change, item: Manifest) -> bool:
        """Whether what is kept is another now."""
        key = (item["metadata"]["namespace"], item["metadata"]["name"])
        items = kind.items if kind.arriving is None else kind.arriving
        if change is Change.DELETED or is_trimmed_away(item):
            known = items.get(key)
            # One of the same name may have been made before the old one's end arrived.
            if known is None or known["metadata"]["uid"] != item["metadata"]["uid"]:
                return False
            del items[key]
            if kind.arriving is None:
                self._show[name](key, None)
            if name in _WORKLOADS:
                self._replicas.forget(name, item)
            return True
        items[key] = item
        if kind.arriving is None:
            self._show[name](key, item)
        if name in _WORKLOADS:
            self._replicas.note(name, item)
        place = self.cluster.places.of(key[0])
        if place not in self._reads_settings and _needs_settings(name, item):
            # Where nothing takes its settings from a ConfigMap, none is read.
            self._reads_settings.add(place)
            self._begin(f"{SETTINGS}-{place}", self._following(SETTINGS, place))
        return True

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _replace(
        self, name: str, before: Mapping[Key, Manifest], now: Mapping[Key, Manifest]
    ) -> None:
        """Show what a whole list has told."""
        for key in before.keys() - now.keys():
            self._show[name](key, None)
        for key, item in now.items():
            if before.get(key) is not item:
                self._show[name](key, item)

    def _gateways(self) -> Iterator[CachedGateway]:
        for each in self._found.gateways():
            signing = self._sources.sign_in(each.workload)
            token = signing.told
            if signing.secret is not None:
                token = self._tokens.of(signing.secret)
            course = self._replicas.of(each.workload)
            yield CachedGateway(
                each.ref, each.workload, each.pods, token, course, each.ended, signing
            )

    def _unread(self) -> bool:
        """Whether a Secret or ConfigMap that matters has never been asked for."""
        return (
            any(not self._kinds[SETTINGS, place].answered for place in self._reads_settings)
            or self._sources.unread(self._known_gateways())
            or not self._tokens.knows(self._token_keys())
        )

    def _known_gateways(self) -> list[Manifest]:
        return [each.workload for each in self._found.gateways()]

    def _token_keys(self) -> set[SecretKey]:
        signing = (self._sources.sign_in(each) for each in self._known_gateways())
        return {each.secret for each in signing if each.secret is not None}

    def _read_facts(self) -> None:
        """The thread that reads what no watch tells: when something new needs it, and at intervals."""
        began = time.monotonic()
        while not self._stopping.is_set():
            left = max(0.0, began + self._again - time.monotonic())
            self._wanted.wait(min(left, SOON_SECONDS) if self._tokens.some_missing else left)
            self._wanted.clear()
            if time.monotonic() - began >= self._again:
                began = time.monotonic()
            if self._stopping.is_set() or not self._any_told():
                continue
            try:
                self._read_sources()
                self._read_tokens()
            except Exception:  # without this thread every token would be unknown for ever
                log.exception("the facts of %s cannot be read", self.cluster.name)
                self._stopping.wait(_AGAIN_AFTER_REFUSAL)

    def _any_told(self) -> bool:
        return any(self._kinds["Deployment", place].told for place in self.cluster.places)

    def _read_sources(self) -> None:
        with self._changed:
            gateways = self._known_gateways()
        if self._sources.read(gateways):
            with self._changed:
                self._changed.notify_all()
            self._tell()

    def _read_tokens(self) -> None:
        with self._changed:
            wanted = self._token_keys()
        self._noted(self._tokens.read(wanted))

    def learned(self, key: SecretKey, facts: TokenFacts) -> None:
        """Keep what somebody else read of a token's Secret just now."""
        self._noted(self._tokens.learned(key, facts))

    def _noted(self, changed: bool) -> None:
        with self._changed:
            self._changed.notify_all()
        if changed:
            self._tell()


def _needs_settings(name: str, item: Manifest) -> bool:
    """Whether only a ConfigMap can show that it is a gateway."""
    return name != SETTINGS and undecided(like_a_pod(item) if name == "Pod" else item)
