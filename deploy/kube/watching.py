"""List-and-watch: one stream of what exists and what changes, across every kind of interruption.

Not the official client's: its Watch repeats a watch with an expired resource version, its informer
spins without a pause while the server is away, and neither notices a connection that went silent.
"""

import json
import random
import threading
import time
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Protocol

from deploy.errors import NotGranted, Unavailable
from deploy.kube.api_errors import ResourceVersionExpired, error_from
from deploy.kube.connection import Silent, Stream
from deploy.kube.objects import Manifest
from deploy.kube.shapes import Shape
from deploy.retry import HELD_SECONDS

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0
_LASTED = 5.0
"""A stream that lived this many seconds was a good one: its end is not a failure."""
_SERVER_SECONDS = 290
"""After which, at the latest, the server ends a watch; the next one continues where it ended."""


class Change(StrEnum):
    """What an event of a watch means."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    SYNCED = "SYNCED"
    """Everything that exists has been reported; also after each recovery."""
    LOST = "LOST"
    """The server cannot be reached: what was reported may be out of date until the next SYNCED."""


Event = tuple[Change, Manifest]
"""For SYNCED the object is empty; for LOST it is {"message": why}."""


class Source(Protocol):
    """What a watch needs of a cluster."""

    @property
    def name(self) -> str:
        """The cluster's name."""

    def list_at(
        self,
        kind: str,
        namespace: str | None,
        label_selector: str,
        field_selector: str,
        shape: Shape | None,
    ) -> tuple[list[Manifest], str]:
        """All objects, read in that shape, and the resource version of the list."""

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
        """A watch from that version on."""


class Watch:
    """Iterate over it for events; close it from any thread to end it at once.

    `stop`, where given, ends it too, but is looked at only when something comes or is tried anew.

    `silence` is after how many seconds without a byte the connection counts as dead and the watch
    is taken up again, on another one, where it was. No middlebox can hide that: the server is asked
    to end each watch some time before. `shape` says what is kept of each object. Errors other than
    Unavailable (no right to watch, no such namespace) are raised; a refusal of what could be
    watched or listed before only after `held` seconds.
    """

    def __init__(
        self,
        source: Source,
        kind: str,
        namespace: str | None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        silence: float = 75.0,
        stop: threading.Event | None = None,
        shape: Shape | None = None,
        held: float = HELD_SECONDS,
    ) -> None:
        self._source = source
        self._what = (kind, namespace, label_selector, field_selector)
        self._silence = silence
        self._stop = stop or threading.Event()
        self._closed = threading.Event()
        self._shape = shape
        self._stream: Stream | None = None
        self._known: dict[str, Manifest] = {}
        self._version = ""
        self._lost = False
        self._held = held
        self._listed = False
        self._watched = False
        self._compared = False
        self._refused_since: float | None = None
        self.just_listed = False
        """Whether everything was listed a moment ago, and a watch from there on is being opened."""
        self.heard_at = 0.0
        """When the server last said anything (epoch seconds): what was reported was true then."""

    @property
    def connected(self) -> bool:
        """Whether a watch is open just now, as far as anybody can tell."""
        return self._stream is not None

    def close(self) -> None:
        """End the iteration, also while it waits."""
        self._closed.set()
        stream = self._stream
        if stream is not None:
            stream.close()

    @property
    def _ended(self) -> bool:
        return self._closed.is_set() or self._stop.is_set()

    def __iter__(self) -> Iterator[Event]:
        failures = 0
        while not self._ended:
            began, wait, silent = time.monotonic(), None, False
            try:
                if not self._version:
                    yield from self._list()
                yield from self._follow()
            except ResourceVersionExpired:
                self._version = ""
            except (Unavailable, NotGranted) as error:
                if isinstance(error, NotGranted) and not self._was_granted():
                    raise
                silent = isinstance(error, Silent)
                wait = error.retry_after if isinstance(error, Unavailable) else None
                # A stream that breaks once and can be taken up again has lost nothing.
                if failures and not self._lost and not self._ended:
                    self._lost = True
                    yield Change.LOST, {"message": error.happened}
            if time.monotonic() - began > _LASTED and not silent:
                failures = 0
                continue
            self._closed.wait(wait if wait is not None else _pause(failures))
            failures += 1

    def _was_granted(self) -> bool:
        """Whether what is refused now was granted before, or may have been: less than `held` ago."""
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        if now - self._refused_since >= self._held:
            return False
        if not self._version:
            self._compared = False
            return self._listed
        if self._watched:
            return True
        # Listed a moment ago: if the list is refused now too, the rights were lost in between.
        self._version, compared = "", self._compared
        self._compared = True
        return not compared

    def _list(self) -> Iterator[Event]:
        items, version = self._source.list_at(*self._what, self._shape)
        self.just_listed = self._listed = True
        self.heard_at = time.time()
        before, self._known = self._known, {_key(item): item for item in items}
        self._version = version
        for key, gone in before.items():
            if key not in self._known:
                yield Change.DELETED, gone
        for key, item in self._known.items():
            if key not in before:
                yield Change.ADDED, item
            elif _version(before[key]) != _version(item):
                yield Change.MODIFIED, item
        self._lost = False
        yield Change.SYNCED, {}

    def _follow(self) -> Iterator[Event]:
        try:
            self._stream = stream = self._source.open_watch(
                *self._what,
                resource_version=self._version,
                timeout_seconds=server_seconds(self._silence),
                silence=self._silence,
            )
        finally:
            self.just_listed = False
        self.heard_at = time.time()
        self._watched, self._refused_since = True, None
        try:
            if self._ended:
                return
            if self._lost:
                self._lost = False
                yield Change.SYNCED, {}
            for line in stream.lines():
                if self._ended:
                    return
                self.heard_at = time.time()
                event = self._read(json.loads(line))
                if event is not None:
                    yield event
        finally:
            self._stream = None
            stream.close()

    def _read(self, event: dict[str, Any]) -> Event | None:
        item: Manifest = event["object"]
        if event["type"] == "ERROR":
            status = int(item.get("code", 500))
            what = f"the watch of {self._what[0]} objects"
            raise error_from(self._source.name, status, json.dumps(item).encode(), what=what)
        self._version = _version(item) or self._version
        if event["type"] == "BOOKMARK":
            return None
        if self._shape is not None:
            item = self._shape.item(item)
        change = Change(event["type"])
        if change is Change.DELETED:
            self._known.pop(_key(item), None)
        else:
            self._known[_key(item)] = item
        return change, item


def _key(item: Manifest) -> str:
    metadata = item["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}/{metadata.get('uid', '')}"


def _version(item: Manifest) -> str:
    return str(item.get("metadata", {}).get("resourceVersion", ""))


def server_seconds(silence: float) -> int:
    """Well before `silence`, and spread out, so that many watches do not end in one moment."""
    return max(1, int(min(silence * random.uniform(0.6, 0.8), _SERVER_SECONDS)))


def _pause(failures: int) -> float:
    """How long to wait before the next attempt: longer each time, and never in step with others."""
    return float(min(_FIRST_PAUSE * 2**failures, _LONGEST_PAUSE) * random.uniform(0.5, 1.0))
