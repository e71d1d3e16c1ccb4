"""One container of a pod: pulled, created, probed, restarted with back-off, stopped."""

import asyncio
import dataclasses
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.sandbox.node.api import ApiError, ApiUnreachableError, Backoff, Json
from bot.sandbox.node.containerlog import ContainerLog
from bot.sandbox.node.environment import ConfigError, EnvironmentBuilder
from bot.sandbox.node.events import now_text
from bot.sandbox.node.health import watch_health
from bot.sandbox.node.images import Image
from bot.sandbox.node.podstatus import ContainerRecord
from bot.sandbox.node.probes import Prober, Target, named_ports
from bot.sandbox.node.program import Launch, Program
from bot.sandbox.node.pull import pull
from bot.sandbox.node.security import check_user
from bot.sandbox.node.services import ContainerMemory, Services
from bot.sandbox.node.volumes import claims_by_path

_CONFIG_RETRY_SECONDS = 10.0
_CRASH_SECONDS = 0.2
_OOM_SECONDS = 2.0
_BACKOFF_FIRST, _BACKOFF_MOST = 10.0, 300.0
_BACKOFF_FORGOTTEN_SECONDS = 600.0


@dataclass(frozen=True)
class End:
    """How a run of the container ended."""

    exit_code: int
    reason: str

    @classmethod
    def of_code(cls, code: int) -> "End":
        """An end by itself."""
        return cls(code, "Completed" if code == 0 else "Error")


@dataclass
class PodView:
    """The pod as its containers see it; `pod` is always the newest version."""

    pod: Json
    node: str
    host_ip: str
    ip: str = ""


class ContainerWorker:
    """Carries one container through its life; `record` says where it stands."""

    def __init__(
        self,
        view: PodView,
        spec: Json,
        services: Services,
        on_change: Callable[[], None],
        *,
        waiting: str = "ContainerCreating",
        ends: bool = False,
    ) -> None:
        """`ends` marks an init container, whose program completes at once."""
        self._view = view
        self._spec = spec
        self._services = services
        self._on_change = on_change
        self._ends = ends
        self._image = Image.parse(str(spec["image"]))
        self._stop_asked = asyncio.Event()
        self._grace = 0.0
        self._resumed: ContainerMemory | None = None
        self._ended: Json = {}
        self.ended = asyncio.Event()
        self.record = ContainerRecord(
            str(spec["name"]), self._image.reference, state={"waiting": {"reason": waiting}}
        )
        self.log: ContainerLog | None = None
        self.previous_log: ContainerLog | None = None

    def adopt(self, status: Json) -> None:
        """Take over what an earlier node process reported about this container."""
        record = dataclasses.replace(
            self.record,
            restart_count=int(status.get("restartCount") or 0),
            last_state=status.get("lastState") or {},
        )
        running = (status.get("state") or {}).get("running")
        memory = self._services.memories.get(str(status.get("containerID") or ""))
        if running and memory is not None:
            self._resumed = memory
            record = dataclasses.replace(
                record,
                state={"running": running},
                container_id=status["containerID"],
                image_id=status.get("imageID", ""),
                ready=bool(status.get("ready")),
                started=bool(status.get("started")),
            )
        elif running:
            # As after a reboot of the machine: the container is gone, nobody saw how it ended.
            lost = {
                "exitCode": 255,
                "reason": "Unknown",
                "startedAt": running.get("startedAt"),
                "finishedAt": now_text(),
                "containerID": status.get("containerID", ""),
            }
            record = dataclasses.replace(
                record, last_state={"terminated": lost}, restart_count=record.restart_count + 1
            )
        self.record = record

    async def run(self) -> None:
        """Live until stopped, or until the end where the pod is not to restart it."""
        backoff = Backoff(_BACKOFF_FIRST, _BACKOFF_MOST)
        first_end = True
        restart = False
        while True:
            launch = self._resume() if self._resumed else await self._create(restart=restart)
            begun = time.monotonic()
            end = await self._live(launch)
            self._finish(end)
            if self._stop_asked.is_set() or not self._restarts(end):
                self.ended.set()
                return
            if time.monotonic() - begun > self._services.scaled(_BACKOFF_FORGOTTEN_SECONDS):
                backoff.reset()
                first_end = True
            if not first_end:
                await self._crash_back_off(backoff.next())
            first_end, restart = False, True

    def stop(self, grace: float) -> None:
        """Ask a running container to end within `grace` seconds; run() then returns."""
        self._grace = grace
        self._stop_asked.set()

    async def _create(self, *, restart: bool) -> Launch:
        if restart:
            self._update(last_state=self._ended)
        policy = self._image.pull_policy(self._spec.get("imagePullPolicy"))
        await pull(self._image, policy, self._view.node, self._services, self._event, self._wait)
        env = await self._environment()
        container_id = f"containerd://{secrets.token_hex(32)}"
        memory = ContainerMemory(env, ContainerLog())
        self._services.memories[container_id] = memory
        self.previous_log, self.log = self.log, memory.log
        self._event("Created", f"Created container: {self.record.name}")
        self._event("Started", f"Started container {self.record.name}")
        self._update(
            state={"running": {"startedAt": now_text()}},
            restart_count=self.record.restart_count + (1 if restart else 0),
            container_id=container_id,
            image_id=self._image.image_id,
            started=False,
            ready=False,
        )
        self._services.changed()
        return self._launch(memory, resumed=False)

    def _resume(self) -> Launch:
        memory = self._resumed
        assert memory is not None
        self._resumed = None
        self.log = memory.log
        self._services.pulled.add((self._view.node, self._image.reference))
        return self._launch(memory, resumed=True)

    def _launch(self, memory: ContainerMemory, *, resumed: bool) -> Launch:
        return Launch(
            pod_name=str(self._view.pod["metadata"]["name"]),
            image=self._image,
            ip=self._view.ip,
            env=memory.env,
            claims=claims_by_path(self._view.pod, self._spec),
            log=memory.log,
            bound={},
            memory=memory.memory,
            resumed=resumed,
        )

    async def _environment(self) -> dict[str, str]:
        outage = Backoff(0.2, 5.0)
        while True:
            addresses = {
                "status.podIP": self._view.ip,
                "status.podIPs": self._view.ip,
                "status.hostIP": self._view.host_ip,
                "status.hostIPs": self._view.host_ip,
            }
            builder = EnvironmentBuilder(self._services.api, self._view.pod, addresses)
            try:
                env = await builder.build(self._spec)
                check_user(self._view.pod, self._spec)
                return env
            except ConfigError as problem:
                self._event("Failed", f"Error: {problem}", warning=True)
                self._wait("CreateContainerConfigError", str(problem))
                await asyncio.sleep(self._services.scaled(_CONFIG_RETRY_SECONDS))
            except (ApiError, ApiUnreachableError):
                await outage.sleep()

    async def _live(self, launch: Launch) -> End:
        program = self._services.program(launch, ends=self._ends)
        main = asyncio.create_task(program.run())
        doom = asyncio.create_task(self._doom(launch.log))
        probed = asyncio.create_task(self._watch_health(launch))
        stop = asyncio.create_task(self._stop_asked.wait())
        tasks: list[asyncio.Task[Any]] = [main, doom, probed, stop]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if doom.done() or (self._ends and self._services.network.trouble.crashing(init=True)):
                return await doom
            if not main.done():
                message = f"Stopping container {self.record.name}"
                if not stop.done():
                    message = probed.result()
                    self._grace = float(
                        self._view.pod["spec"].get("terminationGracePeriodSeconds") or 30
                    )
                self._event("Killing", message)
                await self._end_program(program, main)
            if not main.done():
                return End(137, "Error")
            problem = main.exception()
            if problem is not None:
                launch.log.write(f"Unhandled exception. {problem}")
                return End.of_code(1)
            return End.of_code(main.result())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            launch.log.close()

    async def _end_program(self, program: Program, main: asyncio.Task[int]) -> None:
        action = (self._spec.get("lifecycle") or {}).get("preStop") or {}
        pause = float((action.get("sleep") or {}).get("seconds") or 0)
        pause = min(pause, self._grace)
        await asyncio.wait({main}, timeout=self._services.scaled(pause))
        program.stop()
        # What is left of the grace period; the kubelet gives at least two seconds after a hook.
        left = max(self._grace - pause, 2.0) if self._grace > 0 else 0.0
        await asyncio.wait({main}, timeout=self._services.scaled(left))

    async def _doom(self, log: ContainerLog) -> End:
        trouble = self._services.network.trouble
        while True:
            if trouble.crashing(init=self._ends):
                await asyncio.sleep(self._services.scaled(_CRASH_SECONDS))
                log.write("Unhandled exception. System.InvalidOperationException: crash asked for")
                return End(134, "Error")
            if trouble.on("oom"):
                await asyncio.sleep(self._services.scaled(_OOM_SECONDS))
                return End(137, "OOMKilled")
            await trouble.changed()

    async def _watch_health(self, launch: Launch) -> str:
        network = self._services.network
        target = Target(launch.ip, named_ports(self._spec), launch.bound)
        prober = Prober(network.session, target, network.time_scale)
        return await watch_health(
            self._spec,
            prober,
            started=self.record.started,
            ready=self.record.ready,
            report=lambda started, ready: self._update(started=started, ready=ready),
            event=self._event,
        )

    def _finish(self, end: End) -> None:
        running = self.record.state.get("running") or {}
        self._services.memories.pop(self.record.container_id, None)
        terminated = {
            "exitCode": end.exit_code,
            "reason": end.reason,
            "startedAt": running.get("startedAt"),
            "finishedAt": now_text(),
            "containerID": self.record.container_id,
        }
        ready = self._ends and end.exit_code == 0
        self._ended = {"terminated": terminated}
        self._update(state=self._ended, ready=ready, started=False)
        self._services.changed()

    def _restarts(self, end: End) -> bool:
        policy = self._view.pod["spec"].get("restartPolicy", "Always")
        if self._ends and end.exit_code == 0:
            return False
        return bool(policy == "Always" or (policy == "OnFailure" and end.exit_code != 0))

    async def _crash_back_off(self, seconds: float) -> None:
        metadata = self._view.pod["metadata"]
        pod = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        name = self.record.name
        self._event(
            "BackOff", f"Back-off restarting failed container {name} in pod {pod}", warning=True
        )
        self._update(last_state=self._ended)
        pause = f"{seconds:g}s" if seconds < 60 else f"{seconds // 60:g}m{seconds % 60:g}s"
        self._wait(
            "CrashLoopBackOff", f"back-off {pause} restarting failed container={name} pod={pod}"
        )
        await asyncio.sleep(self._services.scaled(seconds))

    def _wait(self, reason: str, message: str) -> None:
        self._update(state={"waiting": {"reason": reason, "message": message}})

    def _update(self, **fields: Any) -> None:
        record = dataclasses.replace(self.record, **fields)
        if record != self.record:
            self.record = record
            self._on_change()

    def _event(self, reason: str, message: str, *, warning: bool = False) -> None:
        self._services.events.record(
            self._view.pod,
            reason,
            message,
            node=self._view.node,
            warning=warning,
            container=self.record.name,
        )
