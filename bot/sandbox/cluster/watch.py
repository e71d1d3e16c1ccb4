"""Watches: a stream of changes from a resource version on."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from bot.sandbox.cluster.decoding import from_storage
from bot.sandbox.cluster.defaults import zero_object
from bot.sandbox.cluster.errors import expired
from bot.sandbox.cluster.kinds import Kind
from bot.sandbox.cluster.objects import Obj, namespace_of
from bot.sandbox.cluster.store import Change, Store

_BOOKMARK_SECONDS = 30.0


@dataclass(frozen=True)
class WatchRequest:
    """What to watch. `selects` is the label and field selector; `show` turns objects into what is
    sent."""

    kind: Kind
    namespace: str
    selects: Callable[[Obj], bool]
    show: Callable[[Obj], Obj]
    version: str
    bookmarks: bool
    initial_events: bool
    timeout: float


def _line(kind: str, obj: Obj) -> bytes:
    return json.dumps({"type": kind, "object": obj}, separators=(",", ":")).encode() + b"\n"


def _bookmark(kind: Kind, version: int, *, end_of_list: bool) -> bytes:
    metadata: Obj = {"resourceVersion": str(version)}
    if end_of_list:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    zero = zero_object(kind)
    obj = {"kind": kind.kind, "apiVersion": kind.api_version, **zero, "metadata": metadata}
    return _line("BOOKMARK", obj)


async def stream(store: Store, request: WatchRequest, ended: asyncio.Event) -> AsyncIterator[bytes]:
    """The lines of a watch, until its timeout or until `ended` is set."""
    kind = request.kind
    queue: asyncio.Queue[Change] = asyncio.Queue()

    def heard(change: Change) -> None:
        if change.storage == kind.storage:
            queue.put_nowait(change)

    stop_listening = store.listen(heard)
    try:
        current = store.version
        from_start = request.initial_events or request.version in ("", "0")
        if from_start:
            for obj in store.all(kind, request.namespace):
                shown = from_storage(kind, obj)
                if request.selects(shown):
                    yield _line("ADDED", request.show(shown))
            if request.initial_events:
                yield _bookmark(kind, current, end_of_list=True)
            after = current
        else:
            after = int(request.version)
            if after < store.compacted:
                error = expired(f"too old resource version: {after} ({store.compacted})")
                yield _line("ERROR", error.status)
                return
            for change in store.since(after, kind.storage):
                if line := _event(request, change):
                    yield line
            after = max(after, current)
        async for line in _follow(request, queue, after, ended, store):
            yield line
    finally:
        stop_listening()


async def _follow(
    request: WatchRequest,
    queue: "asyncio.Queue[Change]",
    after: int,
    ended: asyncio.Event,
    store: Store,
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + request.timeout
    bookmark_at = loop.time() + _BOOKMARK_SECONDS
    stopping = asyncio.ensure_future(ended.wait())
    try:
        while not ended.is_set():
            wait = min(deadline, bookmark_at if request.bookmarks else deadline) - loop.time()
            taking = asyncio.ensure_future(queue.get())
            await asyncio.wait(
                {taking, stopping},
                timeout=max(wait, 0),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if taking.done():
                change = taking.result()
                if change.version > after and (line := _event(request, change)):
                    yield line
                continue
            taking.cancel()
            now = loop.time()
            if request.bookmarks and now >= min(bookmark_at, deadline) and store.version >= after:
                yield _bookmark(request.kind, store.version, end_of_list=False)
                bookmark_at = now + _BOOKMARK_SECONDS
            if now >= deadline:
                return
    finally:
        stopping.cancel()


def _event(request: WatchRequest, change: Change) -> bytes | None:
    """One change as this watch shows it: an object that leaves the selection is deleted for it."""
    kind = request.kind
    if request.namespace and namespace_of(change.obj) != request.namespace:
        return None
    new = from_storage(kind, change.obj)
    old = from_storage(kind, change.old) if change.old is not None else None
    was = old is not None and request.selects(old)
    matches = change.type != "DELETED" and request.selects(new)
    if change.type == "DELETED":
        return _line("DELETED", request.show(new)) if was else None
    if matches:
        return _line("MODIFIED" if was else "ADDED", request.show(new))
    if was and old is not None:
        version = new["metadata"]["resourceVersion"]
        gone = {**old, "metadata": {**old["metadata"], "resourceVersion": version}}
        return _line("DELETED", request.show(gone))
    return None
