"""Reads what a plan's pods will meet, beside the plan's other requests.

Nodes and storage classes change rarely and may be many, so they are read once a minute; the API
server's version with them.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict, TypeVar

from deploy.errors import GatewayBotError
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.kube.shapes import Shape
from deploy.plans.preflight.outlook import Outlook, Reference

_KEPT_SECONDS = 60.0
_LONGEST_SECONDS = 3.0
"""For so long a plan waits for lists of the whole cluster; whoever plans next has them."""

Found = tuple[Manifest, ...] | None
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


_SHAPES: Mapping[str, Shape | None] = {"Node": Shape(_Node), "StorageClass": None}


@dataclass(frozen=True)
class Looking:
    """Requests that are under way."""

    cluster: Cluster
    namespace: str
    _lists: Mapping[str, Callable[[], Found]]
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
        return Outlook(
            quotas=self._lists["ResourceQuota"](),
            limits=self._lists["LimitRange"](),
            classes=self._lists["StorageClass"](),
            nodes=self._lists["Node"](),
            found=found,
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
        lists: dict[str, Callable[[], Found]] = {
            kind: _all(_told(cluster.begin(_listing(cluster, kind, namespace))))
            for kind in ("ResourceQuota", "LimitRange")
        }
        lists |= {
            kind: _all(_told(self._once(cluster, kind, _whole(cluster, kind)), _LONGEST_SECONDS))
            for kind in _SHAPES
        }
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


def _told(future: Future[T], seconds: float | None = None) -> Callable[[], T | None]:
    def told() -> T | None:
        try:
            return future.result(seconds)
        except (GatewayBotError, TimeoutError):
            return None

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


def _all(read: Callable[[], list[Manifest] | None]) -> Callable[[], Found]:
    def told() -> Found:
        found = read()
        return None if found is None else tuple(found)

    return told


def _whole(cluster: Cluster, kind: str) -> Callable[[], list[Manifest]]:
    return lambda: cluster.list_at(kind, None, shape=_SHAPES[kind])[0]


def _listing(cluster: Cluster, kind: str, namespace: str) -> Callable[[], list[Manifest]]:
    return lambda: cluster.list(kind, namespace)


def _getting(
    cluster: Cluster, namespace: str, reference: Reference
) -> Callable[[], Manifest | None]:
    kind, name = reference
    return lambda: cluster.get(kind, namespace, name)
