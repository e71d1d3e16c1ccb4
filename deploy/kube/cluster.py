"""One Kubernetes cluster: objects as plain mappings in and out, errors as sentences.

A thin client over the official package's connection pool and credentials. Its typed models are not
used: plain mappings cost less memory, and server-side apply takes them as they are.
"""

import copy
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from deploy.background import reported
from deploy.breaker import Breaker
from deploy.errors import InvalidInput, NotFound, Unavailable
from deploy.kube.api_errors import AlreadyExists, error_from
from deploy.kube.breaking import BreakingConnection
from deploy.kube.connection import Connection, Query, Stream, Timeouts
from deploy.kube.kinds import ResourceKind, kind_of
from deploy.kube.objects import Manifest
from deploy.kube.places import PlaceReads, Places
from deploy.kube.pod_reads import PodReads
from deploy.kube.reviews import Reviews
from deploy.kube.shapes import Shape
from deploy.kube.unconfirmed import Unconfirmed
from deploy.kube.watching import Watch
from deploy.log_context import carried
from deploy.waits import Waits

FIELD_MANAGER = "gateway-bot"
_PAGE = 2000
"""Objects of one answer that is held whole."""
_PAGES = {"ConfigMap": 500}
"""Fewer of a kind whose objects may be 1 MiB each."""
_AT_ONCE = 16
_APPLY = "application/apply-patch+yaml"
_JSON_PATCH = "application/json-patch+json"
_STRICT = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}

T = TypeVar("T")
Manifests = list[Manifest]
Warned = Callable[[tuple[str, ...]], None]
_Address = tuple[ResourceKind, str | None, str]


class Cluster(PodReads, PlaceReads, Reviews):
    """A cluster under the name the settings give it. Safe to use from many threads.

    Every method raises the errors of deploy.errors: Unavailable where the cluster does not answer,
    Refused where its access control or a quota says no, InvalidInput where it rejects an object.
    """

    def __init__(
        self,
        name: str,
        connection: Connection,
        waits: Waits | None = None,
        namespaces: Sequence[str] = (),
    ) -> None:
        """`waits` is where the connection notes what it waits for, `namespaces` are those to look
        at, where not at all of them."""
        self.name = name
        self.places = Places(name, tuple(namespaces))
        self.waits = waits or Waits()
        self._bare = connection
        self._breaker = Breaker()
        self._connection: Connection = BreakingConnection(connection, self._breaker, patient=True)
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=f"cluster-{name}")
        self._uid: list[str] = []
        self._before_write: Callable[[], None] | None = None
        self._unconfirmed: Unconfirmed | None = None
        self._warned: Warned | None = None

    def guarded(
        self,
        check: Callable[[], None],
        unconfirmed: Unconfirmed | None = None,
        warned: Warned | None = None,
    ) -> "Cluster":
        """The same cluster, calling `check` before each attempt of a write; what it raises, the
        write raises. Writes that may have taken effect although they failed go to `unconfirmed`, and
        what the API server warns of beside a write to `warned`."""
        twin = copy.copy(self)
        twin._before_write = check
        twin._unconfirmed = unconfirmed
        twin._warned = warned
        return twin

    def prompt(self) -> "Cluster":
        """The same cluster for people who wait: while it has not answered lately, every method is
        Unavailable at once, but for one call in a while. What they wait for takes no threads from
        runs."""
        twin = copy.copy(self)
        twin._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=f"cluster-{self.name}-asked")
        twin._connection = BreakingConnection(self._bare, self._breaker, patient=False)
        return twin

    @property
    def silent(self) -> bool:
        """Whether it has not answered lately."""
        return self._breaker.silent

    def check_guard(self) -> None:
        """Do what is done before each write; for what must not happen after it either."""
        if self._before_write is not None:
            self._before_write()

    def close(self) -> None:
        """Let go of threads and connections."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._connection.close()

    def get(self, kind: str, namespace: str | None, name: str) -> Manifest | None:
        """An object, or None where there is none of that name (or no such namespace)."""
        known = kind_of(kind)
        try:
            return self._read(known, namespace, name, what=f"{kind} “{name}”")
        except NotFound:
            return None

    def list(
        self,
        kind: str,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Manifests:
        """The objects of one namespace, or of all of them; empty where the namespace is missing."""
        return self._pages(kind, namespace, label_selector, field_selector)[0]

    def list_at(
        self,
        kind: str,
        namespace: str | None,
        label_selector: str = "",
        field_selector: str = "",
        shape: Shape | None = None,
    ) -> tuple[Manifests, str]:
        """As `list`, with the resource version from which to watch; whole objects or in a shape."""
        if shape is None:
            return self._pages(kind, namespace, label_selector, field_selector)
        known = kind_of(kind)
        # In one answer, which the API server gives from memory; further pages it reads from its
        # storage, for twice the work. It is read as it arrives, so its size is not important.
        found = self._connection.read(
            known.path(namespace),
            what=f"the list of {known.plural}",
            namespace=namespace,
            query={"labelSelector": label_selector, "fieldSelector": field_selector},
            take=shape.page,
        )
        return found["items"], found["metadata"]["resourceVersion"]

    def _pages(
        self, kind: str, namespace: str | None, label_selector: str, field_selector: str
    ) -> tuple[Manifests, str]:
        known = kind_of(kind)
        items: Manifests = []
        position = ""
        while True:
            page = self._read(
                known,
                namespace,
                None,
                what=f"the list of {known.plural}",
                query={
                    "labelSelector": label_selector,
                    "fieldSelector": field_selector,
                    "limit": _PAGES.get(kind, _PAGE),
                    "continue": position,
                },
            )
            # The items of a list do not say what they are; one by one whole ones should.
            said = {"apiVersion": known.api_version, "kind": kind}
            items += [{**said, **item} for item in page["items"]]
            position = page["metadata"].get("continue", "")
            if not position:
                return items, page["metadata"]["resourceVersion"]

    def apply(
        self,
        manifest: Manifest,
        *,
        dry_run: bool = False,
        force: bool = False,
        manager: str = FIELD_MANAGER,
        warned: Warned | None = None,
    ) -> Manifest:
        """Server-side apply as `manager`. OwnershipConflicts when others own a field. `warned` is
        called with what the API server warns of."""
        dry = "All" if dry_run else None
        query = {**_STRICT, "fieldManager": manager, "force": force, "dryRun": dry}
        answer = self._write(
            "PATCH",
            _address(manifest),
            query=query,
            body=manifest,
            content_type=_APPLY,
            repeat=True,
            dry_run=dry_run,
            warned=warned,
        )
        return _object(answer)

    def apply_all(
        self, manifests: Sequence[Manifest], *, dry_run: bool = False, force: bool = False
    ) -> tuple[Manifest, ...]:
        """Apply in parallel what does not depend on each other; errors as `at_once`."""
        return self.at_once([_applying(self, m, dry_run, force) for m in manifests])

    def create(self, manifest: Manifest) -> Manifest:
        """Create an object that must not exist yet. AlreadyExists when it does."""
        return _object(self._write("POST", _address(manifest), query=_STRICT, body=manifest))

    def replace(self, manifest: Manifest) -> Manifest:
        """Write an object as it was read and changed since. Conflict when others have changed it
        in between, which its resourceVersion tells."""
        return _object(self._write("PUT", _address(manifest), query=_STRICT, body=manifest))

    def replace_fields(self, live: Manifest, fields: Mapping[str, Any]) -> None:
        """Write fields of an object as it was read, by their JSON pointers. Conflict when it has
        changed since."""
        self._write(
            "PATCH",
            _address(live),
            query={"fieldManager": FIELD_MANAGER},
            body=[
                {"op": "replace", "path": path, "value": value}
                for path, value in {
                    **fields,
                    "/metadata/resourceVersion": live["metadata"]["resourceVersion"],
                }.items()
            ],
            content_type=_JSON_PATCH,
        )

    def delete(self, kind: str, namespace: str | None, name: str) -> bool:
        """Delete an object and, in the background, what it owns; False where there was none."""
        address = (kind_of(kind), namespace, name)
        try:
            self._write("DELETE", address, body={"propagationPolicy": "Background"}, repeat=True)
        except NotFound:
            return False
        return True

    def watch(
        self,
        kind: str,
        namespace: str | None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        silence: float = 75.0,
        stop: threading.Event | None = None,
        shape: Shape | None = None,
    ) -> Watch:
        """What exists and what changes, through every interruption; see deploy.kube.watching."""
        return Watch(
            self,
            kind,
            namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            silence=silence,
            stop=stop,
            shape=shape,
        )

    def open_watch(
        self,
        kind: str,
        namespace: str | None,
        label_selector: str,
        field_selector: str,
        *,
        resource_version: str,
        timeout_seconds: int,
        silence: float,
    ) -> Stream:
        """One watch request from that resource version on."""
        known = kind_of(kind)
        return self._connection.stream(
            known.path(namespace),
            what=f"the watch of {known.plural}",
            namespace=namespace,
            query={
                "watch": True,
                "allowWatchBookmarks": True,
                "labelSelector": label_selector,
                "fieldSelector": field_selector,
                "resourceVersion": resource_version,
                "timeoutSeconds": timeout_seconds,
            },
            silence=silence,
            watch=True,
        )

    def serves(self, kind: str) -> bool:
        """Whether the cluster has this kind at all, which everybody who is signed in may ask: a list
        of a kind that is not installed is refused before it is found missing."""
        known = kind_of(kind)
        try:
            answer = self._connection.request("GET", known.root, what=known.root, repeat=True)
        except NotFound:
            return False
        return any(each["kind"] == kind for each in _object(answer).get("resources") or ())

    def now(self) -> float:
        """Epoch seconds by the cluster's clock, which its objects and logs are dated by."""
        return time.time() + self._connection.ahead()

    def version(self) -> str:
        """The API server's version, such as v1.36.2. Unavailable where it does not say."""
        answer = self._connection.request("GET", "/version", what="its version", repeat=True)
        try:
            told: Any = json.loads(answer)
        except ValueError:
            told = None
        found = told.get("gitVersion") if isinstance(told, Mapping) else None
        if not found:
            raise Unavailable(
                f"Cluster “{self.name}” does not report its version.",
                remedy=(
                    "Check what answers at its /version path, for example with `kubectl get "
                    "--raw /version`: there may be a proxy in between."
                ),
                answered=True,
            )
        return str(found)

    def reach(self) -> None:
        """Ask for the version once, whatever it is; nothing is repeated."""
        status, body = self._connection.answer("/version")
        if status >= 300:
            raise error_from(self.name, status, body, what="its version")

    def begin(self, call: Callable[[], T]) -> Future[T]:
        """Start one call beside others; its result or error is the future's."""
        return reported(self._pool.submit(carried(self.waits.carried(call))))

    def at_once(self, calls: Sequence[Callable[[], T]]) -> tuple[T, ...]:
        """The results of independent calls made in parallel, in their order.

        All of them end before the first error is raised. A call must not use `at_once` itself.
        """
        if len(calls) == 1:
            return (calls[0](),)
        running = [self.begin(call) for call in calls]
        errors = [error for future in running if (error := future.exception()) is not None]
        if errors:
            raise errors[0]
        return tuple(future.result() for future in running)

    def _read(
        self,
        kind: ResourceKind,
        namespace: str | None,
        name: str | None,
        *,
        what: str,
        query: Query | None = None,
    ) -> Manifest:
        answer = self._connection.request(
            "GET",
            kind.path(namespace, name),
            what=what,
            namespace=namespace,
            query=query,
            repeat=True,
        )
        return _object(answer)

    def _write(
        self,
        method: str,
        address: _Address,
        *,
        query: Query | None = None,
        body: Any,
        content_type: str = "application/json",
        repeat: bool = False,
        dry_run: bool = False,
        warned: Warned | None = None,
    ) -> bytes:
        kind, namespace, name = address
        noted = Unconfirmed() if dry_run or self._unconfirmed is None else self._unconfirmed
        shown = f"{kind.kind} {name}"
        try:
            answer = self._connection.request(
                method,
                kind.path(namespace, None if method == "POST" else name),
                what=f"{kind.kind} “{name}”",
                namespace=namespace,
                query=query,
                body=body,
                content_type=content_type,
                repeat=repeat,
                before=None if dry_run else self._before_write,
                doubtful=lambda: noted.add(shown),
                warned=warned if dry_run else warned or self._warned,
            )
        except (NotFound, AlreadyExists):
            # An attempt before this one has done it, or can no longer do anything.
            noted.settle(shown)
            raise
        noted.settle(shown)
        return answer


def connect(
    name: str,
    *,
    kubeconfig: Path | None = None,
    context: str | None = None,
    in_cluster: bool = False,
    namespaces: Sequence[str] = (),
    timeouts: Timeouts | None = None,
    waits: Waits | None = None,
) -> Cluster:
    """The cluster that a kubeconfig names, or the one the bot runs in; nothing is asked of it yet.
    `namespaces` are those to look at, where not at all of them.

    InvalidInput when the kubeconfig or the context cannot be used.
    """
    # A third of a second of imports that `gateway-bot --help` does not need.
    from deploy.kube import transport

    limits, noted = timeouts or Timeouts(), waits or Waits()
    if in_cluster:
        return Cluster(name, transport.connect_in_cluster(name, limits, noted), noted, namespaces)
    made = transport.connect_with_kubeconfig(name, kubeconfig, context, limits, noted)
    return Cluster(name, made, noted, namespaces)


def _applying(
    cluster: Cluster, manifest: Manifest, dry_run: bool, force: bool
) -> Callable[[], Manifest]:
    return lambda: cluster.apply(manifest, dry_run=dry_run, force=force)


def _address(manifest: Manifest) -> _Address:
    kind = kind_of(str(manifest.get("kind", "")))
    metadata: Any = manifest.get("metadata") or {}
    if not metadata.get("name"):
        raise InvalidInput(f"A {kind.kind} without a name cannot be written.")
    return kind, metadata.get("namespace"), metadata["name"]


def _object(answer: bytes) -> Manifest:
    parsed: Manifest = json.loads(answer)
    return parsed
