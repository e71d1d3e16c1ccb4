"""A stand-in for the self-hosted gateway's container.

It reads the real one's environment, polls the configuration endpoint, listens on port 8080,
answers the status path and logs the real event names. An expired or denied token leaves it running
on the configuration it has; without any configuration the status path answers 503. Port 8081
(https) is not served.
"""

import asyncio
import contextlib
import secrets
import uuid
from collections.abc import Callable, MutableMapping

from aiohttp import web

from bot.sandbox.node.addresses import listen
from bot.sandbox.node.api import Json
from bot.sandbox.node.gateway_link import ConfigurationLink, HostUnknownError, LinkError, Network
from bot.sandbox.node.gateway_log import ERROR, INFO, VERBOSE, WARNING, Entry, GatewayLog
from bot.sandbox.node.gateway_settings import GatewaySettings
from bot.sandbox.node.gateway_traffic import Traffic
from bot.sandbox.node.program import Launch

PORT = 8080
BACKUP_PATH = "/apim/config"
POLL_SECONDS = 10.0
HEARTBEAT_SECONDS = 60.0
_DRAIN_SECONDS = 1.0
_SHORTEST_DRAIN_SECONDS = 0.5
"""However fast a gateway's times pass: who sends it requests learns of its end in real time."""
_CHATTER_SECONDS = 0.05


class Gateway:
    """One gateway process."""

    def __init__(
        self,
        launch: Launch,
        network: Network,
        *,
        startup_seconds: float,
        backups: MutableMapping[str, Json],
        changed: Callable[[], None],
    ) -> None:
        """`backups` remembers by claim (`namespace/name`) what a configuration backup holds.

        `changed` is called when what has to survive a restart of the node has changed.
        """
        self._launch = launch
        self._network = network
        self._startup_seconds = startup_seconds
        self._backups = backups
        self._changed = changed
        self._settings = GatewaySettings.parse(launch.env)
        self._log = GatewayLog(
            self._settings,
            launch.image.version,
            launch.log.write,
            lambda: network.trouble.on("frozen"),
            lambda: network.trouble.joined_records,
        )
        self._link = ConfigurationLink(self._settings, network)
        self._traffic = Traffic(self._log, network.trouble)
        self._stopping = asyncio.Event()
        self._skip_token = ""
        self._dataset = secrets.token_hex(8)[:15]

    async def run(self) -> int:
        """Live until stop(), then drain; 0 is the exit code of an orderly end."""
        if not self._launch.resumed:
            self._say_hello()
            slow = self._network.trouble.number("slow_start_seconds")
            with contextlib.suppress(TimeoutError):
                # Unlike wait_for before Python 3.12 it keeps a cancellation of the same moment.
                async with asyncio.timeout(self._startup_seconds + slow):
                    await self._stopping.wait()
                return 0
        self._load_backup()
        runner = web.ServerRunner(
            web.Server(self._traffic.answer, access_log=None), shutdown_timeout=0.1
        )
        await runner.setup()
        try:
            listener = listen(self._launch.ip, PORT)
            port = listener.getsockname()[1]
            if port != PORT:
                self._launch.bound[PORT] = port
            await web.SockSite(runner, listener).start()
            self._log(Entry(INFO, "HostStarted", f"Now listening on: http://[::]:{PORT}"))
            await self._work()
        finally:
            await runner.cleanup()
        return 0

    def stop(self) -> None:
        """SIGTERM: finish what is under way, then end."""
        self._stopping.set()

    async def _work(self) -> None:
        loops = [self._chatter()]
        if self._settings.auth_problem is None:
            loops += [self._poll(), self._heartbeat(), self._greet_peers()]
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            await self._stopping.wait()
            self._log(Entry(INFO, "HostStopping", "Application is shutting down..."))
            # Still answering: who sends it requests learns of its end a little later than it does.
            drain = _DRAIN_SECONDS * self._network.time_scale
            await asyncio.sleep(max(drain, _SHORTEST_DRAIN_SECONDS))
            await self._traffic.drained()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _say_hello(self) -> None:
        settings = self._settings
        if settings.endpoint and not settings.endpoint_has_scheme:
            level = INFO if self._launch.image.version >= (2, 9) else WARNING
            self._log(Entry(level, "ConfigurationEndpointHasNoScheme", settings.host))
        if settings.auth_problem is not None:
            self._log(Entry(ERROR, "GatewayStartup", settings.auth_problem))

    def _load_backup(self) -> None:
        claim = self._launch.claims.get(BACKUP_PATH)
        if claim is None:
            self._log(
                Entry(INFO, "LocalBackupLocationNotFound", BACKUP_PATH, "BackupMetadataProvider")
            )
        elif claim in self._backups:
            self._traffic.load(self._backups[claim])
        if "configuration" in self._launch.memory:
            self._traffic.load(self._launch.memory["configuration"])

    async def _poll(self) -> None:
        while True:
            await self._network.trouble.while_on("frozen")
            await self._poll_once()
            await asyncio.sleep(POLL_SECONDS * self._network.time_scale)

    async def _poll_once(self) -> None:
        url = self._link.events_url(self._skip_token)
        request = f"uri: {url}, dataset-id: {self._dataset}, request-id: {uuid.uuid4()}"
        self._log(Entry(VERBOSE, "GettingEventsFromApi", request, "ConfigurationApiClient"))
        try:
            answer = await self._link.events(self._skip_token)
        except LinkError as problem:
            if isinstance(problem, HostUnknownError):
                text = f"Could not resolve {self._settings.host}"
                self._log(Entry(ERROR, "ErrorResolvingHostname", text))
            text = f"The configuration V2 API is not reachable on {url}"
            entry = Entry(WARNING, "ConfigurationApiV2NotAvailable", text, exception=str(problem))
            self._log(entry)
            return
        self._skip_token = str(answer.get("skipToken") or self._skip_token)
        if self._traffic.load(answer):
            self._log(Entry(INFO, "ConfigurationLoaded", source="EntityEventLoop"))
            self._launch.memory["configuration"] = answer
            claim = self._launch.claims.get(BACKUP_PATH)
            if claim is not None:
                self._backups[claim] = answer
            self._changed()
        else:
            self._log(Entry(VERBOSE, "NoNewEvents", source="EntityEventLoop"))

    async def _heartbeat(self) -> None:
        while True:
            await self._network.trouble.while_on("frozen")
            # Nothing is known of a log line for this, so it succeeds and fails in silence.
            with contextlib.suppress(LinkError):
                await self._link.heartbeat(self._launch.pod_name)
            await asyncio.sleep(HEARTBEAT_SECONDS * self._network.time_scale)

    async def _greet_peers(self) -> None:
        source = "UdpHeartbeatSender"
        while self._settings.neighborhood:
            self._log(
                Entry(VERBOSE, "SendingHeartbeat", "Sending heartbeat to 0 instances", source)
            )
            self._log(Entry(VERBOSE, "HeartbeatSent", source=source))
            await asyncio.sleep(POLL_SECONDS * self._network.time_scale)

    async def _chatter(self) -> None:
        trouble = self._network.trouble
        owed = 0.0
        while True:
            rate = trouble.number("chatter")
            if rate <= 0:
                await trouble.changed()
                continue
            await asyncio.sleep(_CHATTER_SECONDS)
            owed += rate * _CHATTER_SECONDS
            while owed >= 1:
                self._traffic.log_request("GET", "/echo/resource", 200, 0.001, "echo-api")
                owed -= 1
