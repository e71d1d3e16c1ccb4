"""Binds unscheduled pods to our nodes, for a cluster that has no scheduler."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from bot.sandbox.node.api import Api, ApiError, ApiUnreachableError, Backoff, Json
from bot.sandbox.node.events import EventRecorder

_log = logging.getLogger(__name__)


class Binder:
    """Gives each pod the node that has the fewest, among those its nodeSelector allows."""

    def __init__(
        self,
        api: Api,
        events: EventRecorder,
        labels: Mapping[str, Mapping[str, str]],
        count: Callable[[str], int],
    ) -> None:
        """`labels` are the nodes' by name; `count` says how many pods a node has."""
        self._api = api
        self._events = events
        self._labels = labels
        self._count = count
        self._waiting: asyncio.Queue[Json] = asyncio.Queue()
        self._queued: set[str] = set()
        self._given: dict[str, str] = {}

    def offer(self, pod: Json) -> None:
        """Bind this pod soon."""
        uid = pod["metadata"]["uid"]
        if uid not in self._queued and "deletionTimestamp" not in pod["metadata"]:
            self._queued.add(uid)
            self._waiting.put_nowait(pod)

    def forget(self, uid: str) -> None:
        """The pod is gone, or has reached its node."""
        self._queued.discard(uid)
        self._given.pop(uid, None)

    async def run(self) -> None:
        """Bind until cancelled."""
        while True:
            pod = await self._waiting.get()
            await self._bind(pod)

    async def _bind(self, pod: Json) -> None:
        metadata = pod["metadata"]
        node = self._choose(pod)
        if node is None:
            message = "0 nodes are available: node(s) didn't match Pod's node affinity/selector."
            self._record(pod, "FailedScheduling", message, warning=True)
            # Its next change may be one that lets it be placed.
            self._queued.discard(metadata["uid"])
            return
        name, namespace = metadata["name"], metadata["namespace"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        backoff = Backoff(0.1, 5.0)
        while True:
            try:
                await self._api.post(f"/api/v1/namespaces/{namespace}/pods/{name}/binding", binding)
                break
            except ApiUnreachableError:
                await backoff.sleep()
            except ApiError as problem:
                if problem.status < 500:
                    _log.info("binding %s/%s: %s", namespace, name, problem)
                    return
                await backoff.sleep()
        self._given[metadata["uid"]] = node
        self._record(pod, "Scheduled", f"Successfully assigned {namespace}/{name} to {node}")

    def _choose(self, pod: Json) -> str | None:
        selector = (pod["spec"].get("nodeSelector") or {}).items()
        fitting = [n for n, labels in self._labels.items() if selector <= labels.items()]
        given = list(self._given.values())
        return min(fitting, key=lambda n: self._count(n) + given.count(n), default=None)

    def _record(self, pod: Json, reason: str, message: str, *, warning: bool = False) -> None:
        self._events.record(
            pod, reason, message, node="", warning=warning, component="default-scheduler"
        )
