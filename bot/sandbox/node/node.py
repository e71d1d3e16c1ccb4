"""The sandbox's machines: a kubelet's part against any API server, over its public API only."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bot.sandbox.faults import FaultBoard
from bot.sandbox.node.addresses import LOOPBACK, AddressPool
from bot.sandbox.node.api import Access, Api, Json
from bot.sandbox.node.binder import Binder
from bot.sandbox.node.events import EventRecorder
from bot.sandbox.node.gateway_link import Network
from bot.sandbox.node.images import TagSource, registry_tags
from bot.sandbox.node.kubelet import kubelet_app
from bot.sandbox.node.listwatch import ListWatch
from bot.sandbox.node.pod import PodWorker
from bot.sandbox.node.registration import NodeInfo, Registration
from bot.sandbox.node.services import ContainerMemory, Services
from bot.sandbox.node.trouble import Trouble

_log = logging.getLogger(__name__)


class Node:
    """One or more nodes of one cluster, in this process."""

    def __init__(
        self,
        *,
        kubeconfig: Path,
        context: str,
        name: str = "",
        hosts: Mapping[str, str],
        tls: ssl.SSLContext,
        ca_pem: bytes | None = None,
        images: TagSource | None = None,
        registry_url: str | None = None,
        node_count: int = 2,
        port: int = 0,
        bind: bool = False,
        startup_seconds: float = 0.3,
        time_scale: float = 1.0,
        network: IPv4Network = LOOPBACK,
        labels: Mapping[str, str] | None = None,
        taints: Sequence[Json] = (),
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`hosts` stands in for DNS: host name -> base URL that answers for it.

        The gateway's tags come from `images` or a registry at `registry_url`; with neither, every
        tag exists. `ca_pem` is what gateways trust. `time_scale` multiplies all of a kubelet's and
        gateway's times (0.1: ten times faster), except `startup_seconds`, a gateway's own time to
        start. Pods and nodes have their addresses from `network`. The nodes are named
        `<name>-node-1` and so on; `name` is the context unless given, for a context may hold what
        no node's name does. They register with `labels` and `taints`, as a kubelet does that is
        told to: on a shared cluster no pod of others can come before.
        """
        self.trouble = Trouble(context)
        self._context = context
        self._kubeconfig = kubeconfig
        self._hosts = hosts
        self._tls = tls
        self._trust = ssl.create_default_context()
        if ca_pem is not None:
            self._trust.load_verify_locations(cadata=ca_pem.decode())
        self._images = images
        self._registry_url = registry_url
        self._names = [f"{name or context}-node-{number}" for number in range(1, node_count + 1)]
        self._port = port
        self._bind = bind
        self._startup_seconds = startup_seconds
        self._time_scale = time_scale
        self._addresses = AddressPool(network)
        self._labels = labels or {}
        self._taints = tuple(taints)
        self._changed = changed
        self._backups: dict[str, Json] = {}
        self._memories: dict[str, ContainerMemory] = {}
        self._pods: dict[str, PodWorker] = {}
        self._pod_tasks: dict[str, asyncio.Task[None]] = {}
        self._finished: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._restored = False
        self._stack = contextlib.AsyncExitStack()
        self._services: Services | None = None
        self._binder: Binder | None = None

    @property
    def faults(self) -> FaultBoard:
        """The fault switches of these nodes."""
        return self.trouble.board

    @property
    def url(self) -> str:
        """Where the kubelet server listens."""
        return f"https://{self._addresses.node_address}:{self._port}"

    @property
    def names(self) -> list[str]:
        """The names of the Node objects."""
        return list(self._names)

    async def start(self) -> None:
        """Serve, register and begin to run pods. An API server that is away is waited for."""
        self._stack = contextlib.AsyncExitStack()
        api = Api(Access.from_kubeconfig(self._kubeconfig, self._context))
        await api.open()
        self._stack.push_async_callback(api.close)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True), trust_env=False
        )
        self._stack.push_async_callback(session.close)
        await self._serve()
        events = EventRecorder(api)
        tags = self._images
        if tags is None and self._registry_url is not None:
            tags = registry_tags(self._registry_url, session)
        self._services = Services(
            api=api,
            events=events,
            network=Network(session, self._hosts, self._trust, self.trouble, self._time_scale),
            addresses=self._addresses,
            tags=tags,
            startup_seconds=self._startup_seconds,
            changed=self._changed,
            backups=self._backups,
            memories=self._memories,
        )
        nodes = [
            NodeInfo(
                name,
                f"zone-{number % 3 + 1}",
                self._addresses.node_address,
                self._port,
                self._labels,
                self._taints,
            )
            for number, name in enumerate(self._names)
        ]
        if self._bind:
            labels = {node.name: node.labels() for node in nodes}
            self._binder = Binder(api, events, labels, self._count)
            self._spawn(self._binder.run())
        for node in nodes:
            self._spawn(Registration(api, node).run())
        pods = ListWatch(
            api,
            "/api/v1/pods",
            replace=self._replace,
            changed=self._pod_changed,
            deleted=self._pod_deleted,
        )
        self._spawn(pods.run())
        self._spawn(events.run())

    async def stop(self) -> None:
        """Stop at once, as a machine that loses power: nothing is written about the pods."""
        tasks = [*self._tasks, *self._pod_tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._pods.clear()
        self._pod_tasks.clear()
        await self._stack.aclose()

    def snapshot(self) -> dict[str, Any]:
        """What outlives a restart: configuration backups and live containers.

        It holds the containers' environment, tokens included: keep it as private as a node's disk.
        """
        return {
            "backups": self._backups,
            "containers": {key: memory.snapshot() for key, memory in self._memories.items()},
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take a snapshot over; before start()."""
        self._backups.update(data.get("backups") or {})
        for key, memory in (data.get("containers") or {}).items():
            self._memories[key] = ContainerMemory.restore(memory)
        self._restored = True

    async def _serve(self) -> None:
        app = kubelet_app(self._find)
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, self._addresses.node_address, self._port, ssl_context=self._tls)
        await site.start()
        self._port = int(runner.addresses[0][1])

    def _find(self, namespace: str, name: str) -> PodWorker | None:
        for worker in self._pods.values():
            metadata = worker.view.pod["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, name):
                return worker
        return None

    def _count(self, node: str) -> int:
        return sum(worker.view.node == node for worker in self._pods.values())

    def _replace(self, pods: list[Json]) -> None:
        if self._restored:
            self._restored = False
            self._keep_memories_of(pods)
        listed = {pod["metadata"]["uid"] for pod in pods}
        for uid in [uid for uid in self._pods if uid not in listed]:
            self._drop(uid)
        for pod in pods:
            self._pod_changed(pod)

    def _keep_memories_of(self, pods: list[Json]) -> None:
        alive = {
            status.get("containerID")
            for pod in pods
            for status in (pod.get("status") or {}).get("containerStatuses") or []
        }
        for container_id in [key for key in self._memories if key not in alive]:
            del self._memories[container_id]

    def _pod_changed(self, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        node = pod["spec"].get("nodeName")
        if not node:
            if self._binder is not None:
                self._binder.offer(pod)
            return
        if node not in self._names or uid in self._finished:
            return
        if self._binder is not None:
            self._binder.forget(uid)
        worker = self._pods.get(uid)
        if worker is not None:
            worker.update(pod)
            return
        assert self._services is not None
        worker = PodWorker(pod, self._services)
        self._pods[uid] = worker
        task = asyncio.create_task(worker.run())
        self._pod_tasks[uid] = task
        task.add_done_callback(lambda done: self._ended(uid, done))

    def _pod_deleted(self, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        if self._binder is not None:
            self._binder.forget(uid)
        self._drop(uid)
        self._finished.discard(uid)

    def _drop(self, uid: str) -> None:
        worker = self._pods.pop(uid, None)
        if worker is not None:
            self._forget(worker)
        task = self._pod_tasks.pop(uid, None)
        if task is not None:
            task.cancel()

    def _ended(self, uid: str, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        if task.exception() is not None:
            _log.error("pod %s: its worker failed", uid, exc_info=task.exception())
        if self._pod_tasks.pop(uid, None) is not None:
            self._forget(self._pods.pop(uid))
            # The watch may still bring older versions of a pod that is over.
            self._finished.add(uid)

    def _forget(self, worker: PodWorker) -> None:
        for container_id in worker.container_ids():
            self._memories.pop(container_id, None)

    def _spawn(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work))
