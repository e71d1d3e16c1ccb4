"""One pod on the node, from its binding to its end, and the status written about it."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable

from bot.sandbox.node import podstatus
from bot.sandbox.node.api import Api, ApiError, ApiUnreachableError, Backoff, Json
from bot.sandbox.node.container import ContainerWorker, PodView
from bot.sandbox.node.events import now_text
from bot.sandbox.node.services import Services
from bot.sandbox.node.volumes import mount_problem

_log = logging.getLogger(__name__)
_MOUNT_RETRY_FIRST, _MOUNT_RETRY_MOST = 0.5, 10.0


class StatusWriter:
    """Writes a pod's status whenever it has changed, and keeps trying while the API is away."""

    def __init__(self, api: Api, view: PodView) -> None:
        metadata = view.pod["metadata"]
        self._api = api
        self._uid = metadata["uid"]
        self._path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        self._wanted: Json | None = None
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def write(self, status: Json) -> None:
        """Make `status` the one to write."""
        if status != self._wanted:
            self._wanted = status
            self._idle.clear()
            self._work.set()

    async def flushed(self) -> None:
        """Return when the newest status has been written, or cannot be any more."""
        await self._idle.wait()

    async def run(self) -> None:
        """Write until cancelled, or until the pod is gone."""
        backoff = Backoff(0.1, 5.0)
        while True:
            await self._work.wait()
            self._work.clear()
            status = self._wanted
            try:
                body = {"metadata": {"uid": self._uid}, "status": status}
                await self._api.patch(f"{self._path}/status", body)
            except ApiUnreachableError:
                await self._again(backoff)
                continue
            except ApiError as problem:
                if problem.status in (409, 429, 500, 502, 503, 504):
                    await self._again(backoff)
                    continue
                if problem.status != 404:
                    _log.warning("status of %s: %s", self._path, problem)
            backoff.reset()
            if self._wanted is status:
                self._idle.set()

    async def remove(self) -> None:
        """Delete the pod object for good; returns when it is gone."""
        backoff = Backoff(0.1, 5.0)
        options = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": self._uid},
        }
        while True:
            try:
                await self._api.delete(self._path, options)
                return
            except ApiError as problem:
                if problem.status in (404, 409):
                    return
            except ApiUnreachableError:
                pass
            await backoff.sleep()

    async def _again(self, backoff: Backoff) -> None:
        await backoff.sleep()
        self._work.set()


class PodWorker:
    """Runs one pod. update() feeds it newer versions of the object; run() is its life."""

    def __init__(self, pod: Json, services: Services) -> None:
        self._services = services
        self.view = PodView(pod, str(pod["spec"]["nodeName"]), services.addresses.node_address)
        self._writer = StatusWriter(services.api, self.view)
        self._deleting = asyncio.Event()
        self._conditions: dict[str, Json] = {}
        before = pod.get("status") or {}
        self._over = before.get("phase") in ("Succeeded", "Failed")
        self._start_time = str(before.get("startTime") or now_text())
        self._initialized = not pod["spec"].get("initContainers")
        waiting = "ContainerCreating" if self._initialized else "PodInitializing"
        self._init = [
            ContainerWorker(self.view, spec, services, self._report, waiting=waiting, ends=True)
            for spec in pod["spec"].get("initContainers") or []
        ]
        self._main = [
            ContainerWorker(self.view, spec, services, self._report, waiting=waiting)
            for spec in pod["spec"]["containers"]
        ]
        statuses = {s["name"]: s for s in before.get("containerStatuses") or []}
        for worker in self._main:
            if worker.record.name in statuses:
                worker.adopt(statuses[worker.record.name])
        # Init containers are over once a main container has been anything but waiting.
        if any(worker.record.running or worker.record.last_state for worker in self._main):
            self._initialized = True
        if "deletionTimestamp" in pod["metadata"]:
            self._deleting.set()

    def update(self, pod: Json) -> None:
        """Take a newer version of the pod."""
        self.view.pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            self._deleting.set()

    def container(self, name: str) -> ContainerWorker | None:
        """A container by name, init containers too."""
        for worker in (*self._main, *self._init):
            if worker.record.name == name:
                return worker
        return None

    def container_ids(self) -> list[str]:
        """The IDs of its containers, those that have one."""
        return [w.record.container_id for w in self._main if w.record.container_id]

    async def run(self) -> None:
        """Live until the pod is deleted from the API server; cancelled, everything is killed."""
        writing = asyncio.create_task(self._writer.run())
        living = asyncio.create_task(self._live())
        deleting = asyncio.create_task(self._deleting.wait())
        try:
            await asyncio.wait({living, deleting}, return_when=asyncio.FIRST_COMPLETED)
            if living.done() and (problem := living.exception()) is not None:
                _log.error("pod %s failed", self.view.pod["metadata"]["name"], exc_info=problem)
            await deleting
            await self._shut_down(living)
        finally:
            for task in (writing, living, deleting):
                task.cancel()
            await asyncio.gather(writing, living, deleting, return_exceptions=True)
            if self.view.ip:
                self._services.addresses.release(self.view.ip)

    async def _live(self) -> None:
        status = self.view.pod.get("status") or {}
        if self._over:
            return
        if not self._was_running():
            self._report()
        await self._mount()
        self.view.ip = self._services.addresses.take(status.get("podIP"))
        if not self._initialized:
            self._report()
            for worker in self._init:
                await worker.run()
            self._initialized = True
        self._report()
        async with asyncio.TaskGroup() as group:
            for worker in self._main:
                group.create_task(worker.run())

    async def _shut_down(self, living: asyncio.Task[None]) -> None:
        metadata = self.view.pod["metadata"]
        grace = float(metadata.get("deletionGracePeriodSeconds") or 0)
        running = [worker for worker in self._main if worker.record.running]
        if running and not living.done():
            for worker in self._main:
                worker.stop(grace)
            deadline = self._services.scaled(grace) + 5.0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deadline):
                    await _all_ended(running)
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
        if not self._over:
            self._report()
            await self._writer.flushed()
        await self._writer.remove()

    async def _mount(self) -> None:
        pause = Backoff(_MOUNT_RETRY_FIRST, _MOUNT_RETRY_MOST)
        while True:
            try:
                problem = await mount_problem(self._services.api, self.view.pod)
                if problem is None:
                    return
                self._services.events.record(
                    self.view.pod, "FailedMount", problem, node=self.view.node, warning=True
                )
            except (ApiError, ApiUnreachableError) as trouble:
                _log.info("volumes of %s: %s", self.view.pod["metadata"]["name"], trouble)
            await asyncio.sleep(self._services.scaled(pause.next()))

    def _was_running(self) -> bool:
        return any(worker.record.running for worker in self._main)

    def _report(self) -> None:
        pod = self.view.pod
        api_conditions = {c["type"]: c for c in (pod.get("status") or {}).get("conditions") or []}
        known = {**pod, "status": {**(pod.get("status") or {})}}
        known["status"]["conditions"] = list((api_conditions | self._conditions).values())
        facts = podstatus.PodFacts(
            self.view.host_ip, self._start_time, self.view.ip or None, self._initialized
        )
        status = podstatus.build(
            known, facts, _records(self._main), _records(self._init), now_text()
        )
        self._conditions = {c["type"]: c for c in status["conditions"]}
        self._writer.write(status)


def _records(workers: Iterable[ContainerWorker]) -> list[podstatus.ContainerRecord]:
    return [worker.record for worker in workers]


async def _all_ended(workers: list[ContainerWorker]) -> None:
    for worker in workers:
        await worker.ended.wait()
