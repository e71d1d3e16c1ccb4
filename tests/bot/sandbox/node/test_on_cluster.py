"""The node on the sandbox's own cluster: rollouts, logs, ports, crashes and outages."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from bot.sandbox.cluster import Cluster
from bot.sandbox.cluster.identity import Identity
from bot.sandbox.node import Node
from bot.sandbox.tls import Authority
from tests.support.node_bed import CONFIGURATION_HOST, TIME_SCALE, gateway_container
from tests.support.tiny_configuration import TOKEN, TinyConfiguration

Json = dict[str, Any]
DEPLOYMENT = "/apis/apps/v1/namespaces/dev/deployments/edge-1"
PODS = "/api/v1/namespaces/dev/pods"
ADMIN = "admin-token"


@dataclass
class Stage:
    """A cluster with nodes, and a client of its API."""

    cluster: Cluster
    node: Node
    configuration: TinyConfiguration
    session: aiohttp.ClientSession

    async def text(self, path: str, **query: str) -> str:
        """GET as text."""
        async with self.session.get(self.cluster.url + path, params=query) as response:
            return await response.text()

    async def get(self, path: str) -> Json:
        """GET an object."""
        async with self.session.get(self.cluster.url + path) as response:
            found: Json = await response.json()
            return found

    async def delete(self, path: str) -> None:
        """DELETE an object."""
        async with self.session.delete(self.cluster.url + path) as response:
            assert response.status < 300

    async def until(self, look: Callable[[], Awaitable[Any]], what: str) -> Any:
        """Wait for `look` to find something."""
        for _ in range(1200):
            try:
                seen = await look()
            except aiohttp.ClientError:
                seen = None
            if seen:
                return seen
            await asyncio.sleep(0.05)
        raise AssertionError(f"{what} did not happen; last seen {seen!r}")

    async def available(self) -> bool:
        """Whether the Deployment has all its replicas."""
        status = (await self.get(DEPLOYMENT))["status"]
        return bool(status.get("availableReplicas") == 2 and status.get("replicas") == 2)

    async def pods(self) -> list[Json]:
        """The pods."""
        items: list[Json] = (await self.get(PODS))["items"]
        return items

    async def roll_out(self) -> list[Json]:
        """Deploy two replicas and wait for them."""
        labels = {"app": "edge-1"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [gateway_container()]}}
        data = {"value": base64.b64encode(TOKEN.encode()).decode()}
        await self.cluster.apply(
            [
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": "edge-1-token", "namespace": "dev"},
                    "data": data,
                },
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "metadata": {"name": "edge-1", "namespace": "dev"},
                    "spec": {
                        "replicas": 2,
                        "selector": {"matchLabels": labels},
                        "template": template,
                    },
                },
            ]
        )
        await self.until(self.available, "the rollout")
        return await self.pods()


@asynccontextmanager
async def stage(directory: Path) -> AsyncIterator[Stage]:
    """Start everything."""
    authority = Authority.load_or_create(directory / "ca")
    tls = authority.server_context()
    cluster = Cluster(
        "west", namespaces=["dev"], tokens={ADMIN: Identity("admin", ("system:masters",))}, tls=tls
    )
    await cluster.start()
    ca = base64.b64encode(authority.ca_pem).decode()
    config = {
        "clusters": [
            {
                "name": "west",
                "cluster": {"server": cluster.url, "certificate-authority-data": ca},
            }
        ],
        "users": [{"name": "admin", "user": {"token": ADMIN}}],
        "contexts": [{"name": "west", "context": {"cluster": "west", "user": "admin"}}],
    }
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    trust = ssl.create_default_context(cadata=authority.ca_pem.decode())
    async with (
        TinyConfiguration().serving() as configuration,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust),
            headers={"Authorization": f"Bearer {ADMIN}"},
        ) as session,
    ):
        node = Node(
            kubeconfig=kubeconfig,
            context="west",
            hosts={CONFIGURATION_HOST: configuration.url},
            tls=tls,
            startup_seconds=0.05,
            time_scale=TIME_SCALE,
        )
        await node.start()
        try:
            yield Stage(cluster, node, configuration, session)
        finally:
            await node.stop()
            await cluster.stop()


def on_stage(body: Callable[[Stage], Awaitable[None]]) -> Callable[[Path], None]:
    """Turn `async def test(stage)` into a test that pytest can call."""

    async def on(directory: Path) -> None:
        async with stage(directory) as ready:
            await body(ready)

    def test(tmp_path: Path) -> None:
        asyncio.run(on(tmp_path))

    return test


@on_stage
async def test_a_deployment_becomes_available_on_both_nodes(stage: Stage) -> None:
    pods = await stage.roll_out()
    assert {pod["spec"]["nodeName"] for pod in pods} == set(stage.node.names)
    assert {pod["status"]["phase"] for pod in pods} == {"Running"}

    async def told() -> bool:
        events = (await stage.get("/api/v1/namespaces/dev/events"))["items"]
        return {"Pulling", "Pulled", "Created", "Started"} <= {e["reason"] for e in events}

    await stage.until(told, "the events")


@on_stage
async def test_the_api_server_reaches_logs_and_ports_of_a_pod(stage: Stage) -> None:
    path = f"{PODS}/{(await stage.roll_out())[0]['metadata']['name']}"
    assert await stage.text(f"{path}:8080/proxy/status-0123456789abcdef") == ""
    assert '"api": "echo-api"' in await stage.text(f"{path}:8080/proxy/echo/x")
    log = await stage.text(f"{path}/log", tailLines="1")
    assert "[GatewayLogs]" in log
    url = f"{stage.cluster.url}{path}/log"
    query = {"follow": "true", "tailLines": "0"}
    async with asyncio.timeout(60), stage.session.get(url, params=query) as response:
        await stage.text(f"{path}:8080/proxy/echo/again")
        assert b"/echo/again" in await response.content.readline()


@on_stage
async def test_the_previous_log_of_a_crashed_container_can_be_read(stage: Stage) -> None:
    path = f"{PODS}/{(await stage.roll_out())[0]['metadata']['name']}"
    stage.node.faults.set("crash_loop", "all")

    async def previous() -> bool:
        return "Unhandled exception" in await stage.text(f"{path}/log", previous="true")

    await stage.until(previous, "the previous log")


@on_stage
async def test_a_deleted_deployment_takes_its_pods_along(stage: Stage) -> None:
    await stage.roll_out()
    await stage.delete(f"{DEPLOYMENT}?propagationPolicy=Background")

    async def gone() -> bool:
        return not await stage.pods()

    await stage.until(gone, "the end of the pods")


@on_stage
async def test_an_outage_of_the_cluster_is_survived(stage: Stage) -> None:
    await stage.roll_out()
    stage.cluster.faults.set("api_down", True)
    stage.node.faults.set("not_ready", True)
    polls = len(stage.configuration.polls)
    while len(stage.configuration.polls) < polls + 4:
        await asyncio.sleep(0.05)
    stage.cluster.faults.set("api_down", False)

    async def unavailable() -> bool:
        return not await stage.available()

    await stage.until(unavailable, "the late status")
    stage.node.faults.set("not_ready", False)
    await stage.until(stage.available, "the recovery")


@on_stage
async def test_a_watch_that_is_too_old_is_taken_up_again(stage: Stage) -> None:
    await stage.roll_out()
    stage.cluster.faults.set("watch_drop", True)
    stage.cluster.compact()
    name = (await stage.pods())[0]["metadata"]["name"]
    await stage.delete(f"{PODS}/{name}")

    async def replaced() -> bool:
        names = [pod["metadata"]["name"] for pod in await stage.pods()]
        return name not in names and await stage.available()

    await stage.until(replaced, "the replacement")
