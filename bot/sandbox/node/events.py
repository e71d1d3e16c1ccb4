"""Core v1 Events about pods: repeated ones become one with a count."""

import asyncio
import collections
import datetime
import secrets
from typing import NamedTuple

from bot.sandbox.node.api import MERGE, Api, ApiError, ApiUnreachableError, Backoff, Json

_MAX_WAITING = 2000
_MAX_REMEMBERED = 4000


class _Occurrence(NamedTuple):
    at: str
    node: str
    component: str
    kind: str
    reason: str
    message: str
    pod: Json
    container: str | None

    @property
    def key(self) -> tuple[str, ...]:
        uid = self.pod["metadata"]["uid"]
        return (uid, self.container or "", self.kind, self.reason, self.message)


class _Known(NamedTuple):
    path: str
    times: int


def now_text() -> str:
    """The present as metav1.Time writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class EventRecorder:
    """Sends events in order from a queue of its own, so that nothing waits for the API server."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._waiting: collections.deque[_Occurrence] = collections.deque(maxlen=_MAX_WAITING)
        self._arrived = asyncio.Event()
        self._known: collections.OrderedDict[tuple[str, ...], _Known] = collections.OrderedDict()

    def record(
        self,
        pod: Json,
        reason: str,
        message: str,
        *,
        node: str,
        warning: bool = False,
        container: str | None = None,
        component: str = "kubelet",
    ) -> None:
        """Queue one event about `pod`, or about one of its containers."""
        kind = "Warning" if warning else "Normal"
        self._waiting.append(
            _Occurrence(now_text(), node, component, kind, reason, message, pod, container)
        )
        self._arrived.set()

    async def run(self) -> None:
        """Send until cancelled."""
        backoff = Backoff(0.2, 5.0)
        while True:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            occurrence = self._waiting[0]
            try:
                await self._send(occurrence)
            except ApiUnreachableError:
                await backoff.sleep()
                continue
            except ApiError as problem:
                if problem.status >= 500 or problem.status == 429:
                    await backoff.sleep()
                    continue
                # Refused for good (the namespace is going, say): an event is not worth more.
            backoff.reset()
            if self._waiting and self._waiting[0] is occurrence:
                self._waiting.popleft()

    async def _send(self, occurrence: _Occurrence) -> None:
        known = self._known.get(occurrence.key)
        if known is not None:
            count = known.times + 1
            try:
                await self._api.patch(
                    known.path, {"count": count, "lastTimestamp": occurrence.at}, MERGE
                )
            except ApiError as problem:
                if problem.status != 404:
                    raise
            else:
                self._known[occurrence.key] = known._replace(times=count)
                return
        event = _event(occurrence)
        path = f"/api/v1/namespaces/{event['metadata']['namespace']}/events"
        await self._api.post(path, event)
        self._known[occurrence.key] = _Known(f"{path}/{event['metadata']['name']}", 1)
        if len(self._known) > _MAX_REMEMBERED:
            self._known.popitem(last=False)


def _event(occurrence: _Occurrence) -> Json:
    metadata = occurrence.pod["metadata"]
    involved = {
        "kind": "Pod",
        "apiVersion": "v1",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "resourceVersion": metadata.get("resourceVersion", ""),
    }
    if occurrence.container is not None:
        involved["fieldPath"] = f"spec.containers{{{occurrence.container}}}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{secrets.token_hex(8)}",
            "namespace": metadata["namespace"],
        },
        "involvedObject": involved,
        "reason": occurrence.reason,
        "message": occurrence.message,
        "type": occurrence.kind,
        "count": 1,
        "firstTimestamp": occurrence.at,
        "lastTimestamp": occurrence.at,
        "source": {"component": occurrence.component, "host": occurrence.node},
        "reportingComponent": occurrence.component,
        "reportingInstance": occurrence.node,
    }
