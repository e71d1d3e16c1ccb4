"""The least a kubelet does, over the public API: a Node, its Lease, and pods that become ready or
fail to pull."""

import asyncio
import datetime
import json
from typing import Any

import aiohttp

Obj = dict[str, Any]

_MERGE = {"Content-Type": "application/merge-patch+json"}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class FakeKubelet:
    """Runs every pod bound to its node by PATCHing status: images named `broken` never pull."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        node: str = "node-0",
        start_seconds: float = 0.02,
        kubelet_port: int = 10250,
        labels: dict[str, str] | None = None,
    ) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": "kubelet/v1.36.0"}
        self._node = node
        self._start_seconds = start_seconds
        self._kubelet_port = kubelet_port
        self._labels = labels or {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._seen: set[str] = set()
        self._stopping: set[str] = set()

    async def start(self) -> None:
        """Register the node and begin to run its pods."""
        self._session = aiohttp.ClientSession(
            headers=self._headers, connector=aiohttp.TCPConnector(ssl=False)
        )
        await self._register()
        self._spawn(self._watch())

    async def stop(self) -> None:
        """Go silent, as a node whose power is cut."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _register(self) -> None:
        condition = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "kubelet is posting ready status",
            "lastHeartbeatTime": _now(),
            "lastTransitionTime": _now(),
        }
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self._node, "labels": self._labels},
            "status": {
                "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                "conditions": [condition],
                "addresses": [
                    {"type": "InternalIP", "address": "127.0.0.1"},
                    {"type": "Hostname", "address": self._node},
                ],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self._kubelet_port}},
            },
        }
        async with self._session.post(f"{self._url}/api/v1/nodes", json=node) as answer:
            assert answer.status == 201, await answer.text()

    async def _watch(self) -> None:
        selector = f"fieldSelector=spec.nodeName%3D{self._node}"
        url = f"{self._url}/api/v1/pods?watch=1&{selector}"
        async with self._session.get(url) as answer:
            async for line in answer.content:
                event = json.loads(line)
                if event["type"] in ("ADDED", "MODIFIED"):
                    self._heard(event["object"])

    def _heard(self, pod: Obj) -> None:
        uid = pod["metadata"]["uid"]
        if pod["metadata"].get("deletionTimestamp"):
            if uid not in self._stopping:
                self._stopping.add(uid)
                self._spawn(self._end(pod))
        elif uid not in self._seen:
            self._seen.add(uid)
            self._spawn(self._run(pod))

    async def _run(self, pod: Obj) -> None:
        await self._report(
            pod, "Pending", ready=False, state={"waiting": {"reason": "ContainerCreating"}}
        )
        await asyncio.sleep(self._start_seconds)
        if any("broken" in c["image"] for c in pod["spec"]["containers"]):
            waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
            await self._report(pod, "Pending", ready=False, state=waiting)
            return
        await self._report(pod, "Running", ready=True, state={"running": {"startedAt": _now()}})

    async def _report(self, pod: Obj, phase: str, *, ready: bool, state: Obj) -> None:
        flag = "True" if ready else "False"
        conditions = [
            {"type": kind, "status": value, "lastTransitionTime": _now()}
            for kind, value in (
                ("PodReadyToStartContainers", "True"),
                ("Initialized", "True"),
                ("Ready", flag),
                ("ContainersReady", flag),
                ("PodScheduled", "True"),
            )
        ]
        statuses = [
            {
                "name": c["name"],
                "image": c["image"],
                "imageID": "",
                "ready": ready,
                "restartCount": 0,
                "state": state,
            }
            for c in pod["spec"]["containers"]
        ]
        status = {
            "phase": phase,
            "conditions": conditions,
            "podIP": "127.0.0.1",
            "podIPs": [{"ip": "127.0.0.1"}],
            "hostIP": "127.0.0.1",
            "containerStatuses": statuses,
        }
        metadata = pod["metadata"]
        url = (
            f"{self._url}/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        )
        async with self._session.patch(url, json={"status": status}, headers=_MERGE):
            pass

    async def _end(self, pod: Obj) -> None:
        await asyncio.sleep(self._start_seconds)
        metadata = pod["metadata"]
        url = f"{self._url}/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        async with self._session.delete(url, json=body):
            pass
