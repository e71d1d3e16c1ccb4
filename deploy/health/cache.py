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
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from deploy.deadline import Deadline
from deploy.errors import GatewayBotError, NotFound, NotGranted, Unavailable
from deploy.gateway import GatewayRef
from deploy.health.discovery import Discovery, Key, like_a_pod, undecided
from deploy.health.sources import SignIn, Sources
from deploy.health.trimming import CONFIG_MAP, DEPLOYMENT, OTHERS, POD, is_trimmed_away
from deploy.kube.cluster import Cluster
from deploy.kube.kinds import kind_of
from deploy.kube.objects import Manifest
from deploy.kube.shapes import Shape
from deploy.kube.watching import Change, Watch
from deploy.observed import inventory
from deploy.observed.token_facts import (
    AGAIN_SECONDS,
    SOON_SECONDS,
    SecretKey,
    TokenFacts,
    read_all,
)
from deploy.observed.workloads import owner_of, workload_kind

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
_REMEMBERED = 240
"""Changes of a gateway's replicas that are remembered."""

_SETTINGS = "ConfigMap"
_WORKLOADS: Mapping[str, Shape] = {"Deployment": DEPLOYMENT, **OTHERS}
_SHAPES: Mapping[str, Shape] = {**_WORKLOADS, "Pod": POD, _SETTINGS: CONFIG_MAP}
_ALWAYS = ("Deployment", "Pod")
_NAMED = 5
"""Of so many that may be gateways the name is said."""


@dataclass(frozen=True)
class ReplicaCount:
    """How many pods a gateway had from a moment on (epoch seconds)."""

    at: float
    ready: int
    desired: int


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
    the cluster cannot be seen, in sentences; `undecided` may be gateways, which cannot be told."""

    cluster: str
    gateways: tuple[CachedGateway, ...]
    as_of: float
    stale: str = ""
    pods_unread: str = ""
    unseen: tuple[str, ...] = ()
    undecided: tuple[GatewayRef, ...] = ()

    def find(self, ref: GatewayRef) -> CachedGateway | None:
        """The gateway that runs there."""
        return next((gateway for gateway in self.gateways if gateway.ref == ref), None)


@dataclass
class _Kind:
    """What one watch has told; `arriving` is what a new one tells until it has told all. `absent`: the
    cluster does not serve this kind."""

    watch: Watch
    items: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    arriving: dict[tuple[str, str], Manifest] | None = field(default_factory=dict)
    told: bool = False
    lost: str = ""
    error: GatewayBotError | None = None
    absent: bool = False

    @property
    def settled(self) -> bool:
        """Whether waiting longer would tell nothing newer."""
        current = self.watch.connected or self.watch.just_listed
        return bool(self.lost) or (self.told and current)

    @property
    def answered(self) -> bool:
        """Whether it is known, or known why not."""
        return self.told or self.absent or bool(self.lost)


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
        self._kinds = {kind: _Kind(self._watch(kind)) for kind in _SHAPES}
        self._tokens: dict[SecretKey, TokenFacts] = {}
        self._sources = Sources(cluster)
        self._reads_settings = False
        self._found = Discovery(cluster.name)
        self._show: Mapping[str, Callable[[Key, Manifest | None], None]] = {
            **{kind: partial(self._found.workload, kind) for kind in _WORKLOADS},
            "Pod": self._found.pod,
            _SETTINGS: lambda key, item: self._found.setting(key, there=item is not None),
        }
        self._replicas: dict[tuple[str, str, str], deque[ReplicaCount]] = {}
        self._wanted = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listeners: list[Callable[[], None]] = []

    def start(self) -> None:
        """Begin to watch; again it does nothing."""
        with self._changed:
            if self._threads:
                return
            for kind in (*_WORKLOADS, "Pod"):
                self._begin(kind, self._following(kind))
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
            deployments, pods = self._kinds["Deployment"], self._kinds["Pod"]
            if not deployments.told:
                raise self._unread_cluster(deployments)
            return Snapshot(
                self.cluster.name,
                tuple(self._gateways()),
                min(k.watch.heard_at for k in (deployments, pods) if k.told),
                deployments.lost or pods.lost,
                "" if pods.told else (pods.lost or "the cluster has not told them yet"),
                tuple(self._unseen()),
                self._found.undecided(),
            )

    def _unread_cluster(self, deployments: _Kind) -> GatewayBotError:
        unknown = "What runs there is not known."
        if isinstance(deployments.error, NotGranted):
            return NotGranted(
                deployments.error.happened,
                meaning=f"{unknown} No gateway there is shown, and nobody is warned of one.",
                remedy="Bind the ClusterRole of docs/install.md to the bot.",
            )
        silent = f"Cluster “{self.cluster.name}” has not answered yet."
        return deployments.error or Unavailable(deployments.lost or silent, meaning=unknown)

    def _unseen(self) -> Iterator[str]:
        """What of the cluster cannot be seen, beside Deployments and pods."""
        for name in OTHERS:
            kind = self._kinds[name]
            if not kind.told and not kind.absent:
                why = kind.lost or f"The {name}s of “{self.cluster.name}” are not read yet."
                yield f"{why} A gateway in a {name} is shown only while it has pods."
            elif kind.lost and not self._kinds["Deployment"].lost:
                yield f"{kind.lost} Gateways in {name}s are shown as they were before."
        settings, left = self._kinds[_SETTINGS], self._found.undecided()
        if left:
            names = ", ".join(map(str, left[:_NAMED]))
            more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
            why = settings.lost or f"The ConfigMaps of “{self.cluster.name}” are not read yet."
            yield f"{why} These may be gateways: {names}{more}."

    def _watch(self, kind: str) -> Watch:
        return self.cluster.watch(
            kind, None, silence=self._silence, stop=self._stopping, shape=_SHAPES[kind]
        )

    def _wait_for(self, done: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not done() and time.monotonic() < end and not self._stopping.is_set():
            # A watch that is taken up again tells nobody.
            self._changed.wait(0.05)

    def _known(self) -> bool:
        return self._kinds["Pod"].told and not self._unread()

    def _complete(self) -> bool:
        followed = (each for each in self._kinds.items() if self._follows(each[0]))
        return not self._unread() and all(
            # What most gateways are seen by is waited for whenever its watch is taken up again.
            kind.settled if name in _ALWAYS else kind.answered
            for name, kind in followed
        )

    def _follows(self, name: str) -> bool:
        return name != _SETTINGS or self._reads_settings

    def _following(self, name: str) -> Callable[[], None]:
        def follow() -> None:
            while not self._stopping.is_set():
                kind = self._kinds[name]
                try:
                    for change, item in kind.watch:
                        self._take(name, change, item)
                except GatewayBotError as error:
                    self._failed(name, error, absent=self._is_absent(name, error))
                except Exception as error:  # a watch that has ended unseen would be a lie
                    log.exception("the watch of %s on %s failed", name, self.cluster.name)
                    self._failed(name, Unavailable(f"Its {name}s cannot be followed: {error}."))
                absent = self._kinds[name].absent
                self._stopping.wait(_AGAIN_WHERE_ABSENT if absent else _AGAIN_AFTER_REFUSAL)

        return follow

    def _is_absent(self, name: str, error: GatewayBotError) -> bool:
        """Whether the cluster does not serve a kind, which is no lack of rights. Those of Kubernetes
        itself are served by every one: not found for a moment, as while an API server starts, takes
        away nothing."""
        if name not in OTHERS or not isinstance(error, NotFound | NotGranted):
            return False
        if "." not in kind_of(name).group:
            return False
        try:
            return isinstance(error, NotFound) or not self.cluster.serves(name)
        except GatewayBotError:
            return False

    def _failed(self, name: str, error: GatewayBotError, *, absent: bool = False) -> None:
        with self._changed:
            old = self._kinds[name]
            old.watch.close()
            # What was known stays, as of when it was; only a new watch can go on.
            watch = self._watch(name)
            watch.heard_at = old.watch.heard_at
            if absent:
                self._kinds[name] = _Kind(watch, absent=True)
                self._replace(name, old.items, {})
            else:
                self._kinds[name] = _Kind(
                    watch, old.items, told=old.told, lost=error.happened, error=error
                )
            self._changed.notify_all()
        self._tell()

    def _take(self, name: str, change: Change, item: Manifest) -> None:
        with self._changed:
            kind = self._kinds[name]
            if change is Change.SYNCED:
                kind.told, kind.lost, kind.error, kind.absent = True, "", None, False
                if kind.arriving is not None:
                    before, kind.items, kind.arriving = kind.items, kind.arriving, None
                    self._replace(name, before, kind.items)
                self._found.know_settings(self._kinds[_SETTINGS].told)
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
        kind, name = owner_of(pod)
        return (
            kind in _WORKLOADS and (pod["metadata"]["namespace"], name) in self._kinds[kind].items
        )

    def _keep(self, kind: _Kind, name: str, change: Change, item: Manifest) -> bool:
        """Whether what is kept is another now."""
        key = (item["metadata"]["namespace"], item["metadata"]["name"])
        items = kind.items if kind.arriving is None else kind.arriving
        if change is Change.DELETED or is_trimmed_away(item):
            known = items.get(key)
            # One of the same name may have been made before the old one's end was told.
            if known is None or known["metadata"]["uid"] != item["metadata"]["uid"]:
                return False
            del items[key]
            if kind.arriving is None:
                self._show[name](key, None)
            if name in _WORKLOADS:
                self._replicas.pop((name, *key), None)
            return True
        items[key] = item
        if kind.arriving is None:
            self._show[name](key, item)
        if name in _WORKLOADS:
            self._note_replicas((name, *key), item)
        if not self._reads_settings and _needs_settings(name, item):
            # Where nothing takes its settings from a ConfigMap, none is read.
            self._reads_settings = True
            self._begin(_SETTINGS, self._following(_SETTINGS))
        return True

    def _note_replicas(self, key: tuple[str, str, str], deployment: Manifest) -> None:
        course = self._replicas.setdefault(key, deque(maxlen=_REMEMBERED))
        ready = int((deployment.get("status") or {}).get("readyReplicas", 0))
        desired = int(deployment["spec"].get("replicas", 1))
        if not course or (course[-1].ready, course[-1].desired) != (ready, desired):
            course.append(ReplicaCount(time.time(), ready, desired))

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
                token = self._tokens.get(signing.secret, TokenFacts(None, error="not read yet"))
            metadata = each.workload["metadata"]
            place = (workload_kind(each.workload), metadata["namespace"], metadata["name"])
            course = tuple(self._replicas.get(place, ()))
            yield CachedGateway(
                each.ref, each.workload, each.pods, token, course, each.ended, signing
            )

    def _unread(self) -> bool:
        """Whether a Secret or ConfigMap that matters has never been asked for."""
        settings = self._kinds[_SETTINGS]
        waiting = self._reads_settings and not settings.answered
        return (
            waiting
            or self._sources.unread(self._known_gateways())
            or bool(self._token_keys() - self._tokens.keys())
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
            missing = any(facts.missing for facts in self._tokens.values())
            self._wanted.wait(min(left, SOON_SECONDS) if missing else left)
            self._wanted.clear()
            if time.monotonic() - began >= self._again:
                began = time.monotonic()
            if self._stopping.is_set() or not self._kinds["Deployment"].told:
                continue
            try:
                self._read_sources()
                self._read_tokens()
            except Exception:  # without this thread every token would be unknown for ever
                log.exception("the facts of %s cannot be read", self.cluster.name)
                self._stopping.wait(_AGAIN_AFTER_REFUSAL)

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
            known = dict(self._tokens)
        tokens = read_all(self.cluster, wanted, known, self._again)
        with self._changed:
            # Somebody may have read one of them in the meantime.
            noted = {k: t for k, t in self._tokens.items() if t is not known.get(k) and k in wanted}
            changed = self._keep_tokens(tokens | noted)
        if changed:
            self._tell()

    def learned(self, key: SecretKey, facts: TokenFacts) -> None:
        """Keep what somebody else read of a token's Secret just now."""
        with self._changed:
            changed = key in self._tokens and self._keep_tokens({**self._tokens, key: facts})
        if changed:
            self._tell()

    def _keep_tokens(self, tokens: dict[SecretKey, TokenFacts]) -> bool:
        """Whether that changes what is known."""
        before = {key: token.facts for key, token in self._tokens.items()}
        self._tokens = tokens
        self._changed.notify_all()
        return {key: token.facts for key, token in tokens.items()} != before


def _needs_settings(name: str, item: Manifest) -> bool:
    """Whether only a ConfigMap can show that it is a gateway."""
    return name != _SETTINGS and undecided(like_a_pod(item) if name == "Pod" else item)
