"""Startup, readiness and liveness probes, really carried out against the pod's address."""

import asyncio
import errno
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from bot.sandbox.node.api import Json

_LEAST_TIMEOUT = 0.5
_LEAST_PERIOD = 0.02


@dataclass(frozen=True)
class Target:
    """Where a container answers: its pod's IP, named ports, and where a port is really bound.

    `bound` is empty unless the node had to fall back to other ports.
    """

    ip: str
    named_ports: dict[str, int]
    bound: dict[int, int]

    def port(self, wanted: int | str) -> int:
        """The port to connect to for a number or a name."""
        text = str(wanted)
        number = int(text) if text.isdigit() else self.named_ports.get(text, 0)
        return self.bound.get(number, number)


def named_ports(container: Json) -> dict[str, int]:
    """Port numbers by name of a container's spec."""
    ports = container.get("ports") or []
    return {str(p["name"]): int(p["containerPort"]) for p in ports if "name" in p}


@dataclass(frozen=True)
class Prober:
    """Runs one probe over and over. Times are multiplied by `time_scale`, thresholds are not."""

    session: aiohttp.ClientSession
    target: Target
    time_scale: float

    async def run(
        self,
        probe: Json,
        *,
        on_result: Callable[[bool], None],
        on_failure: Callable[[str], None],
        once: bool = False,
    ) -> None:
        """Probe until cancelled; with `once`, until it has succeeded.

        on_result(True/False) is called when a threshold is reached, on_failure for each failure.
        """
        period = max(_LEAST_PERIOD, float(probe.get("periodSeconds") or 10) * self.time_scale)
        await asyncio.sleep(float(probe.get("initialDelaySeconds") or 0) * self.time_scale)
        succeeded = failed = 0
        while True:
            problem = await self.check(probe)
            if problem is None:
                succeeded, failed = succeeded + 1, 0
                if succeeded >= int(probe.get("successThreshold") or 1):
                    on_result(True)
                    if once:
                        return
            else:
                succeeded, failed = 0, failed + 1
                on_failure(problem)
                if failed >= int(probe.get("failureThreshold") or 3):
                    on_result(False)
            await asyncio.sleep(period)

    async def check(self, probe: Json) -> str | None:
        """Probe once: None when it succeeded, else the kubelet's words for the failure.

        `exec` probes succeed: there is no process to run a command in.
        """
        seconds = max(_LEAST_TIMEOUT, float(probe.get("timeoutSeconds") or 1) * self.time_scale)
        if "httpGet" in probe:
            return await self._http(probe["httpGet"], seconds)
        action = probe.get("tcpSocket") or probe.get("grpc")
        if action is not None:
            return await self._tcp(action, seconds)
        return None

    async def _http(self, action: Json, seconds: float) -> str | None:
        scheme = str(action.get("scheme") or "HTTP").lower()
        host = action.get("host") or self.target.ip
        path = "/" + str(action.get("path") or "/").lstrip("/")
        url = f"{scheme}://{host}:{self.target.port(action['port'])}{path}"
        headers = {h["name"]: h["value"] for h in action.get("httpHeaders") or []}
        headers.setdefault("User-Agent", "kube-probe/1.36")
        try:
            async with (
                # aiohttp's own takes a cancellation in the same moment for its time-out.
                asyncio.timeout(seconds),
                self.session.get(
                    url,
                    headers=headers,
                    ssl=False,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None),
                ) as response,
            ):
                if 200 <= response.status < 400:
                    return None
                return f"HTTP probe failed with statuscode: {response.status}"
        except TimeoutError:
            late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            return f'Get "{url}": {late}'
        except aiohttp.ClientConnectorError as problem:
            refused = (
                "connection refused" if problem.errno == errno.ECONNREFUSED else problem.strerror
            )
            return f'Get "{url}": dial tcp {problem.host}:{problem.port}: connect: {refused}'
        except (aiohttp.ClientError, OSError):
            return f'Get "{url}": EOF'

    async def _tcp(self, action: Json, seconds: float) -> str | None:
        host = action.get("host") or self.target.ip
        port = self.target.port(action["port"])
        try:
            async with asyncio.timeout(seconds):
                _, writer = await asyncio.open_connection(host, port)
                writer.close()
        except TimeoutError:
            return f"dial tcp {host}:{port}: i/o timeout"
        except OSError:
            return f"dial tcp {host}:{port}: connect: connection refused"
        return None
