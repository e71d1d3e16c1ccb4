"""One cluster's gateways in memory, kept true by watches: what `status` answers from.

Two watches (Deployments, pods) and the facts of the tokens' Secrets. Cold it takes a list of each
kind, three in all; after that nothing is listed again until the cluster has forgotten what changed
since (410), and a status makes no request at all. What may be out of date says since when and why.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from deploy.deadline import Deadline
from deploy.errors import GatewayBotError, Unavailable
from deploy.gateway import GatewayRef
from deploy.health.sources import SignIn, Sources
from deploy.health.trimming import DEPLOYMENT, POD, is_trimmed_away, owner_of
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.kube.shapes import Shape
from deploy.kube.watching import Change, Watch
from deploy.observed import inventory
from deploy.observed.pods import is_over
from deploy.observed.token_facts import (
    AGAIN_SECONDS,
    SOON_SECONDS,
    SecretKey,
    TokenFacts,
    read_all,
)

log = logging.getLogger(__name__)

SILENCE = 50.0
"""A watch on which nothing came for so many seconds is taken up on another connection; a middlebox
that forgot it without a word is thus noticed within a minute."""
_WAIT = 8.0
"""How long a first answer waits for the cluster."""
_RECONNECTING = 1.0
_STOPPING = 1.0
_AGAIN_AFTER_REFUSAL = 15.0
_REMEMBERED = 240
"""Changes of a gateway's replicas that are remembered."""

_SHAPES: Mapping[str, Shape] = {"Deployment": DEPLOYMENT, "Pod": POD}


@dataclass(frozen=True)
class ReplicaCount:
    """How many pods a gateway had from a moment on (epoch seconds)."""

    at: float
    ready: int
    desired: int


@dataclass(frozen=True)
class CachedGateway:
    """One gateway as last told: its Deployment and pods cut down, and what is known of its token.

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
    empty while the watches are open. `pods_unread` says why no pods are known."""

    cluster: str
    gateways: tuple[CachedGateway, ...]
    as_of: float
    stale: str = ""
    pods_unread: str = ""

    def find(self, ref: GatewayRef) -> CachedGateway | None:
        """The gateway that runs there."""
        return next((gateway for gateway in self.gateways if gateway.ref == ref), None)


@dataclass
class _Kind:
    """What one watch has told; `arriving` is what a new one tells until it has told all."""

    watch: Watch
    items: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    arriving: dict[tuple[str, str], Manifest] | None = field(default_factory=dict)
    told: bool = False
    lost: str = ""
    error: GatewayBotError | None = None

    @property
    def settled(self) -> bool:
        """Whether waiting longer would tell nothing newer."""
        current = self.watch.connected or self.watch.just_listed
        return bool(self.lost) or (self.told and current)


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
        self._settings: dict[tuple[str, str], bool] = {}
        self._replicas: dict[tuple[str, str], deque[ReplicaCount]] = {}
        self._wanted = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listeners: list[Callable[[], None]] = []

    def start(self) -> None:
        """Begin to watch; again it does nothing."""
        with self._changed:
            if self._threads:
                return
            work: list[tuple[str, Callable[[], None]]] = [
                (kind, self._following(kind)) for kind in self._kinds
            ]
            work.append(("facts", self._read_facts))
            self._threads = [
                threading.Thread(target=run, name=f"cache-{self.cluster.name}-{name}", daemon=True)
                for name, run in work
            ]
            for thread in self._threads:
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
        """Call `listener` after each change, from the thread that heard of it: it must be quick."""
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
                silent = f"Cluster “{self.cluster.name}” has not answered yet."
                raise deployments.error or Unavailable(
                    deployments.lost or silent, meaning="What runs there is not known."
                )
            return Snapshot(
                self.cluster.name,
                tuple(self._gateways()),
                min(k.watch.heard_at for k in (deployments, pods) if k.told),
                deployments.lost or pods.lost,
                "" if pods.told else (pods.lost or "the cluster has not told them yet"),
            )

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
        return all(kind.settled for kind in self._kinds.values()) and not self._unread()

    def _following(self, name: str) -> Callable[[], None]:
        def follow() -> None:
            while not self._stopping.is_set():
                kind = self._kinds[name]
                try:
                    for change, item in kind.watch:
                        self._take(name, change, item)
                except GatewayBotError as error:
                    self._failed(name, error)
                except Exception as error:  # a watch that has ended unseen would be a lie
                    log.exception("the watch of %s on %s failed", name, self.cluster.name)
                    self._failed(name, Unavailable(f"Its {name}s cannot be followed: {error}."))
                self._stopping.wait(_AGAIN_AFTER_REFUSAL)

        return follow

    def _failed(self, name: str, error: GatewayBotError) -> None:
        with self._changed:
            old = self._kinds[name]
            old.watch.close()
            # What was known stays, as of when it was; only a new watch can go on.
            watch = self._watch(name)
            watch.heard_at = old.watch.heard_at
            self._kinds[name] = _Kind(
                watch, old.items, told=old.told, lost=error.happened, error=error
            )
            self._changed.notify_all()
        self._tell()

    def _take(self, name: str, change: Change, item: Manifest) -> None:
        with self._changed:
            kind = self._kinds[name]
            if change is Change.SYNCED:
                kind.told, kind.lost, kind.error = True, "", None
                if kind.arriving is not None:
                    kind.items, kind.arriving = kind.arriving, None
            elif change is Change.LOST:
                kind.lost = str(item["message"])
            else:
                self._keep(kind, name, change, item)
                if kind.arriving is not None:
                    # Nobody can use a part of what exists; the rest comes at once.
                    return
            if name == "Deployment" and change is not Change.LOST:
                self._wanted.set()
            self._changed.notify_all()
        self._tell()

    def _keep(self, kind: _Kind, name: str, change: Change, item: Manifest) -> None:
        key = (item["metadata"]["namespace"], item["metadata"]["name"])
        items = kind.items if kind.arriving is None else kind.arriving
        if change is Change.DELETED or is_trimmed_away(item):
            known = items.get(key)
            # One of the same name may have been made before the old one's end was told.
            if known is not None and known["metadata"]["uid"] == item["metadata"]["uid"]:
                del items[key]
                if name == "Deployment":
                    self._replicas.pop(key, None)
            return
        items[key] = item
        if name == "Deployment":
            self._note_replicas(key, item)

    def _note_replicas(self, key: tuple[str, str], deployment: Manifest) -> None:
        course = self._replicas.setdefault(key, deque(maxlen=_REMEMBERED))
        ready = int((deployment.get("status") or {}).get("readyReplicas", 0))
        desired = int(deployment["spec"].get("replicas", 1))
        if not course or (course[-1].ready, course[-1].desired) != (ready, desired):
            course.append(ReplicaCount(time.time(), ready, desired))

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _gateways(self) -> Sequence[CachedGateway]:
        pods: dict[tuple[str, str], list[Manifest]] = {}
        for pod in self._kinds["Pod"].items.values():
            owner = owner_of(pod)
            if owner:
                pods.setdefault((pod["metadata"]["namespace"], owner), []).append(pod)
        found = []
        for key, deployment in self._kinds["Deployment"].items.items():
            ref = inventory.ref_of(self.cluster.name, deployment)
            if not self._is_gateway(deployment):
                continue
            signing = self._sources.sign_in(deployment)
            of_it = sorted(pods.get(key, ()), key=_by_age)
            own = tuple(pod for pod in of_it if not is_over(pod))
            ended = tuple(pod for pod in of_it if is_over(pod))
            token = signing.told
            if signing.secret is not None:
                token = self._tokens.get(signing.secret, TokenFacts(None, error="not read yet"))
            course = tuple(self._replicas.get(key, ()))
            found.append(CachedGateway(ref, deployment, own, token, course, ended, signing))
        return sorted(found, key=lambda gateway: gateway.ref)

    def _is_gateway(self, deployment: Manifest) -> bool:
        return inventory.is_gateway(deployment) or any(
            self._settings.get(key, False) for key in _settings_keys(deployment)
        )

    def _unread(self) -> bool:
        """Whether a Secret or ConfigMap that matters has never been asked for."""
        return (
            bool(self._undecided() - self._settings.keys())
            or self._sources.unread(self._known_gateways())
            or bool(self._token_keys() - self._tokens.keys())
        )

    def _undecided(self) -> set[tuple[str, str]]:
        """The ConfigMaps that alone can tell whether a Deployment is a gateway."""
        return {
            key
            for deployment in self._kinds["Deployment"].items.values()
            if not inventory.is_gateway(deployment)
            for key in _settings_keys(deployment)
        }

    def _known_gateways(self) -> list[Manifest]:
        known = self._kinds["Deployment"].items.values()
        return [deployment for deployment in known if self._is_gateway(deployment)]

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
            again = time.monotonic() - began >= self._again
            if again:
                began = time.monotonic()
            if self._stopping.is_set() or not self._kinds["Deployment"].told:
                continue
            try:
                self._read_settings(again)
                self._read_sources()
                self._read_tokens()
            except Exception:  # without this thread every token would be unknown for ever
                log.exception("the facts of %s cannot be read", self.cluster.name)
                self._stopping.wait(_AGAIN_AFTER_REFUSAL)

    def _read_settings(self, again: bool) -> None:
        with self._changed:
            wanted = self._undecided()
            missing = sorted(wanted if again else wanted - self._settings.keys())
        read = self.cluster.at_once([_has_endpoint(self.cluster, key) for key in missing])
        with self._changed:
            kept = {key: value for key, value in self._settings.items() if key in wanted}
            self._settings = kept | dict(zip(missing, read, strict=True))
            self._changed.notify_all()

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


def _settings_keys(deployment: Manifest) -> list[tuple[str, str]]:
    namespace = deployment["metadata"]["namespace"]
    return [(namespace, name) for name in inventory.settings_maps(deployment)]


def _has_endpoint(cluster: Cluster, key: tuple[str, str]) -> Callable[[], bool]:
    def read() -> bool:
        try:
            found = cluster.get("ConfigMap", *key)
        except GatewayBotError:
            # Then gateways are found by image and environment alone.
            return False
        return found is not None and inventory.has_endpoint(found)

    return read


def _by_age(pod: Manifest) -> tuple[str, str]:
    return str(pod["metadata"].get("creationTimestamp", "")), str(pod["metadata"]["name"])
