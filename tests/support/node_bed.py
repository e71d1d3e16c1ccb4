"""A node between a tiny API server and a tiny configuration endpoint, faster than life."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from bot.sandbox.node import Node
from bot.sandbox.tls import Authority
from tests.support.tiny_api import TinyApi
from tests.support.tiny_configuration import TOKEN, TinyConfiguration

T = TypeVar("T")
Json = dict[str, Any]
CONFIGURATION_HOST = "contoso.configuration.azure-api.net"
GATEWAY = "mcr.microsoft.com/azure-api-management/gateway"
TIME_SCALE = 0.05
_STATUS_PATH = "/status-0123456789abcdef"


async def eventually(look: Callable[[], T | None], what: str, seconds: float = 60) -> T:
    """What `look` returns once it is true; fails naming `what` was waited for."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"{what} did not happen within {seconds} s; last seen: {seen!r}")
        await asyncio.sleep(0.02)


def gateway_container(tag: str = "2.11.1", **changes: Any) -> Json:
    """A gateway's container, its token in the Secret `edge-1-token`."""
    probe = {"httpGet": {"path": _STATUS_PATH, "port": "http"}, "periodSeconds": 5}
    token = {"secretKeyRef": {"name": "edge-1-token", "key": "value"}}
    env = {
        "config.service.endpoint": f"https://{CONFIGURATION_HOST}",
        "telemetry.logs.std.color": "false",
        **changes.pop("settings", {}),
    }
    return {
        "name": "gateway",
        "image": f"{GATEWAY}:{tag}",
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [
            {"name": "config.service.auth", "valueFrom": token},
            *({"name": name, "value": value} for name, value in env.items()),
        ],
        "readinessProbe": probe,
        **changes,
    }


@dataclass
class Bed:
    """The parts, and ways to look at a pod."""

    api: TinyApi
    configuration: TinyConfiguration
    node: Node
    session: aiohttp.ClientSession
    new_node: Callable[[], Node]

    def add_token(self, value: str = TOKEN) -> None:
        """Create or change the Secret with the gateway's token."""
        data = {"value": base64.b64encode(value.encode()).decode()}
        item = {"metadata": {"name": "edge-1-token", "namespace": "dev"}, "data": data}
        self.api.put("/api/v1/namespaces/dev/secrets/edge-1-token", item)

    def run(self, name: str = "edge-1-a", *containers: Json, **spec: Any) -> None:
        """Create a pod on the first node."""
        chosen = list(containers) or [gateway_container()]
        spec = {"nodeName": "west-node-1", "containers": chosen, **spec}
        self.api.pod(name, spec)

    def container(self, name: str = "edge-1-a") -> Json:
        """The status of the pod's first container."""
        pod = self.api.get_pod(name)
        statuses: list[Json] = (pod or {}).get("status", {}).get("containerStatuses") or [{}]
        return statuses[0]

    def waiting(self, name: str = "edge-1-a") -> str:
        """Why the first container waits."""
        state: Json = self.container(name).get("state") or {}
        return str((state.get("waiting") or {}).get("reason") or "")

    def ready(self, name: str = "edge-1-a") -> bool:
        """Whether the pod's Ready condition is true."""
        conditions = ((self.api.get_pod(name) or {}).get("status") or {}).get("conditions") or []
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    async def until_ready(self, name: str = "edge-1-a") -> None:
        """Wait for the Ready condition."""
        await eventually(lambda: self.ready(name), f"{name} became ready")

    def reasons(self, name: str = "edge-1-a") -> list[str]:
        """The reasons of the pod's events."""
        return [event["reason"] for event in self.api.events(name)]

    async def logs(self, name: str = "edge-1-a", container: str = "gateway", **query: str) -> str:
        """GET the kubelet's log route."""
        url = f"{self.node.url}/containerLogs/dev/{name}/{container}"
        async with self.session.get(url, params=query) as response:
            return await response.text()

    async def until_logged(self, text: str, name: str = "edge-1-a", **query: str) -> str:
        """Wait until the container's log has `text`, and return the log."""
        for _ in range(1200):
            log = await self.logs(name, **query)
            if text in log:
                return log
            await asyncio.sleep(0.05)
        raise AssertionError(f"{text!r} was not logged; the log is:\n{log}")

    async def get(self, path: str, name: str = "edge-1-a") -> tuple[int, str]:
        """Ask the gateway itself, at its pod IP."""
        pod = self.api.get_pod(name)
        assert pod is not None
        url = f"http://{pod['status']['podIP']}:8080{path}"
        async with self.session.get(url) as response:
            return response.status, await response.text()


@contextlib.asynccontextmanager
async def node_bed(directory: Path, **options: Any) -> AsyncIterator[Bed]:
    """Start everything; `options` go to the Node."""
    authority = Authority.load_or_create(directory / "ca")
    trust = ssl.create_default_context(cadata=authority.ca_pem.decode())
    async with (
        TinyApi().serving() as api,
        TinyConfiguration().serving() as configuration,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session,
    ):
        settings: dict[str, Any] = {
            "kubeconfig": api.kubeconfig(directory / "kubeconfig"),
            "context": "west",
            "hosts": {
                CONFIGURATION_HOST: configuration.url,
                "login.microsoftonline.com": configuration.url,
            },
            "tls": authority.server_context(),
            "ca_pem": authority.ca_pem,
            "startup_seconds": 0.05,
            "time_scale": TIME_SCALE,
            **options,
        }

        def new_node() -> Node:
            return Node(**settings)

        bed = Bed(api, configuration, new_node(), session, new_node)
        await bed.node.start()
        try:
            yield bed
        finally:
            await bed.node.stop()


def on_bed(
    **options: Any,
) -> Callable[[Callable[[Bed], Awaitable[None]]], Callable[[Path], None]]:
    """Turn `async def test(bed)` into a test that pytest can call."""

    def decorate(body: Callable[[Bed], Awaitable[None]]) -> Callable[[Path], None]:
        async def on(directory: Path) -> None:
            async with node_bed(directory, **options) as bed:
                bed.add_token()
                await body(bed)

        def test(tmp_path: Path) -> None:
            asyncio.run(on(tmp_path))

        return test

    return decorate
