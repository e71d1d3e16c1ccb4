"""Reads what a plan's pods will meet, beside the plan's other requests.

Nodes and classes change rarely and may be many, so they are read once a minute; the API server's
version with them.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict, TypeVar

from deploy.errors import GatewayBotError, NotGranted
from deploy.kube.cluster import Cluster
from deploy.kube.kinds import kind_of
from deploy.kube.objects import Manifest
from deploy.kube.shapes import Shape
from deploy.plans.preflight.outlook import Outlook, Reference

_KEPT_SECONDS = 60.0
_LONGEST_SECONDS = 3.0
"""For so long a plan waits for lists of the whole cluster; whoever plans next has them."""

Listed = tuple[Manifest, ...] | str
"""What was listed, or why it could not be."""
T = TypeVar("T")
_VERSION = "version"


class _NodeMetadata(TypedDict):
    name: str
    labels: NotRequired[Any]


class _NodeSpec(TypedDict):
    unschedulable: NotRequired[Any]
    taints: NotRequired[Any]


class _Node(TypedDict):
    metadata: _NodeMetadata
    spec: NotRequired[_NodeSpec]


_SHAPES: Mapping[str, Shape | None] = {
    "Node": Shape(_Node),
    "StorageClass": None,
    "RuntimeClass": None,
    "PriorityClass": None,
}


@dataclass(frozen=True)
class Looking:
    """Requests that are under way."""

    cluster: Cluster
    namespace: str
    _lists: Mapping[str, Callable[[], Listed]]
    _version: Callable[[], str | None]
    _references: Mapping[Reference, Future[Manifest | None]]

    def outlook(self, references: Collection[Reference]) -> Outlook:
        """What they found, and those of `references` that were not asked for yet."""
        late = {
            each: self.cluster.begin(_getting(self.cluster, self.namespace, each))
            for each in references
            if each not in self._references
        }
        found: dict[Reference, Manifest | None] = {}
        for each, future in {**self._references, **late}.items():
            try:
                found[each] = future.result()
            except GatewayBotError:
                continue
        listed = {kind: told() for kind, told in self._lists.items()}
        seen = {kind: items for kind, items in listed.items() if not isinstance(items, str)}
        return Outlook(
            quotas=seen.get("ResourceQuota"),
            limits=seen.get("LimitRange"),
            classes=seen.get("StorageClass"),
            nodes=seen.get("Node"),
            runtimes=seen.get("RuntimeClass"),
            priorities=seen.get("PriorityClass"),
            found=found,
            unseen={kind: why for kind, why in listed.items() if isinstance(why, str)},
            version=self._version() or "",
        )


class Surroundings:
    """Of every cluster. Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], tuple[float, Future[Any]]] = {}

    def begin(self, cluster: Cluster, namespace: str, references: Collection[Reference]) -> Looking:
        """Start to read what matters to pods of that namespace."""
        lists = {
            kind: _told(kind, cluster.begin(_listing(cluster, kind, namespace)))
            for kind in ("ResourceQuota", "LimitRange")
        }
        for kind in _SHAPES:
            once = self._once(cluster, kind, _listing_all(cluster, kind))
            lists[kind] = _told(kind, once, _LONGEST_SECONDS)
        version = _known(self._once(cluster, _VERSION, cluster.version), _LONGEST_SECONDS)
        asked = {each: cluster.begin(_getting(cluster, namespace, each)) for each in references}
        return Looking(cluster, namespace, lists, version, asked)

    def _once(self, cluster: Cluster, kind: str, read: Callable[[], T]) -> Future[T]:
        with self._lock:
            now = self._clock()
            began, future = self._kept.get((cluster.name, kind), (-_KEPT_SECONDS, None))
            if future is None or now - began >= _KEPT_SECONDS:
                future = cluster.begin(read)
                self._kept[cluster.name, kind] = now, future
            return future


def _told(
    kind: str, future: Future[list[Manifest]], seconds: float | None = None
) -> Callable[[], Listed]:
    def told() -> Listed:
        try:
            return tuple(future.result(seconds))
        except GatewayBotError as error:
            return error.happened
        except TimeoutError:
            return f"The cluster did not return every {kind} in time."

    return told


def _known(future: Future[str], seconds: float) -> Callable[[], str | None]:
    def known() -> str | None:
        try:
            # Whatever it is: what nobody expects is in the log already (Cluster.begin).
            failed = future.exception(seconds)
        except (TimeoutError, CancelledError):
            return None
        return None if failed else future.result()

    return known


def _listing_all(cluster: Cluster, kind: str) -> Callable[[], list[Manifest]]:
    """A list of the whole cluster. Where the bot has Roles alone, it asks first whether it may."""

    def listing() -> list[Manifest]:
        known = kind_of(kind)
        if cluster.places.listed and not cluster.can_i("list", known.group, known.plural, None):
            raise NotGranted(
                f"The bot is not allowed to list {known.plural} on cluster “{cluster.name}”; only a "
                "ClusterRole can allow it."
            )
        return cluster.list_at(kind, None, shape=_SHAPES[kind])[0]

    return listing


def _listing(cluster: Cluster, kind: str, namespace: str) -> Callable[[], list[Manifest]]:
    return lambda: cluster.list(kind, namespace)


def _getting(
    cluster: Cluster, namespace: str, reference: Reference
) -> Callable[[], Manifest | None]:
    kind, name = reference
    return lambda: cluster.get(kind, namespace, name)
