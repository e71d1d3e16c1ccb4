"""Builds the world's parts, starts them in order, and says how to reach them."""

import contextlib
import datetime
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bot.sandbox.azure import ApimService, Azure, ClientApp, GatewayResource, Subscription
from bot.sandbox.cluster import Cluster, Identity
from bot.sandbox.faults import FaultBoard
from bot.sandbox.files import kept_secrets, kubeconfig
from bot.sandbox.foreign import lacks_scheduler, prepare
from bot.sandbox.legacy import (
    APPLY_MANAGER,
    ARGO_MANAGER,
    CREATE_MANAGER,
    git_objects,
    portal_objects,
    portal_secret,
)
from bot.sandbox.locks import hold
from bot.sandbox.node import Node
from bot.sandbox.node.addresses import LOOPBACK, routed_range
from bot.sandbox.registry import Registry
from bot.sandbox.rights import BOT, rights
from bot.sandbox.settings_file import Addresses, write_settings
from bot.sandbox.slack import AppConfig, SlackWorkspace
from bot.sandbox.slack.traffic import TrafficLog
from bot.sandbox.snapshots import Part, Snapshots
from bot.sandbox.tls import Authority
from bot.sandbox.world import World

SCOPES = (
    "commands",
    "app_mentions:read",
    "chat:write",
    "channels:history",
    "groups:history",
    "channels:read",
    "groups:read",
    "im:read",
    "im:write",
    "im:history",
    "users:read",
    "usergroups:read",
    "files:write",
    "files:read",
)
EVENTS = ("app_home_opened", "app_mention", "message.im")
_APIM = "Microsoft.ApiManagement/service/gateways"
_ACTIONS = frozenset(
    {f"{_APIM}/read", f"{_APIM}/generateToken/action", f"{_APIM}/regenerateKey/action"}
)
_PERSON = "demo-admin"
_LOCK_SECONDS = 2.0
"""How long a world that is stopping may take."""
_TIME_SCALE = 0.3
"""The nodes' probes and the gateways' polls run this much of their time: nobody likes to wait."""


@dataclass(frozen=True)
class Plan:
    """How the world is to be run."""

    world: World
    data: Path
    port: int = 0
    mode: Literal["socket", "http"] = "socket"
    bot_url: str | None = None
    bot_options_url: str | None = None
    foreign_kubeconfig: Path | None = None
    event_grid_url: str | None = None


class Running:
    """A started world."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._kept = plan.data / "sandbox"
        self._kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._snapshots = Snapshots(self._kept)
        self._secrets = kept_secrets(
            self._kept / "secrets.json",
            ("bot_token", "app_token", "signing", "azure", "person", "kube_bot", "event_grid"),
        )
        self._authority = Authority.load_or_create(self._kept / "tls")
        self._tls = self._authority.server_context()
        self._parts: dict[str, Part] = {}
        self._boards: list[FaultBoard] = []
        self._log = TrafficLog()
        self._stack = contextlib.AsyncExitStack()

    async def start(self) -> dict[str, Any]:
        """Start every part; what others need to know of it.

        InUseError when another world runs over the same data; SnapshotError when they cannot be
        used; OSError for a port that is taken.
        """
        lock = hold(self._kept / "lock", seconds=_LOCK_SECONDS)
        self._stack.callback(lock.close)
        world = self._plan.world
        azure = self._azure()
        await self._run("azure", azure)
        registry = Registry(repository=world.repository, tags=world.tags)
        await self._run("registry", registry)
        contexts = await self._clusters(azure)
        for name, context in contexts.items():
            await self._run(f"node-{name}", await self._node(name, context, azure, registry))
        slack = self._slack()
        await self._run("slack", slack)
        self._snapshots.start(self._parts)
        self._stack.push_async_callback(self._snapshots.stop)
        return self._described(slack, azure, registry, contexts)

    async def stop(self) -> None:
        """Keep everything, then stop in reverse order."""
        await self._stack.aclose()

    async def _run(self, name: str, part: Any) -> bool:
        """Start a part on what was kept of it; whether there was anything."""
        known = self._snapshots.restore(name, part)
        await part.start()
        self._stack.push_async_callback(part.stop)
        self._parts[name] = part
        self._boards.append(part.faults)
        return known

    def _azure(self) -> Azure:
        azure, url = self._plan.world.azure, self._plan.event_grid_url
        return Azure(
            tenant_id=azure.tenant_id,
            clients=[ClientApp(azure.client_id, self._secrets["azure"], _ACTIONS)],
            services=[
                ApimService(
                    azure.subscription,
                    azure.resource_group,
                    azure.service,
                    gateways=[GatewayResource(*gateway) for gateway in azure.gateways],
                )
            ],
            tls=self._tls,
            changed=lambda: self._snapshots.note("azure"),
            subscription=Subscription(f"{url}?key={self._secrets['event_grid']}") if url else None,
            asked=lambda method, path: self._log.add("azure", method=method, path=path),
        )

    async def _node(self, name: str, context: str, azure: Azure, registry: Registry) -> Node:
        foreign = self._plan.foreign_kubeconfig
        return Node(
            kubeconfig=self._persons_kubeconfig,
            context=context,
            name=name,
            hosts={
                self._configuration_host: azure.configuration_url,
                "login.microsoftonline.com": azure.url,
            },
            ca_pem=self._authority.ca_pem,
            registry_url=registry.url,
            tls=self._tls,
            bind=foreign is not None and await lacks_scheduler(foreign, context),
            changed=functools.partial(self._snapshots.note, f"node-{name}"),
            time_scale=_TIME_SCALE,
            network=LOOPBACK if foreign is None else routed_range(),
        )

    async def _clusters(self, azure: Azure) -> Mapping[str, str]:
        """Each cluster's name and its context in the kubeconfig."""
        world = self._plan.world
        if self._plan.foreign_kubeconfig is not None:
            return await prepare(self._plan.foreign_kubeconfig, world.clusters)
        servers = {}
        for name, namespaces in world.clusters.items():
            cluster = Cluster(
                name,
                namespaces=namespaces,
                tokens={
                    self._secrets["person"]: Identity(_PERSON, ("system:masters",)),
                    self._secrets["kube_bot"]: Identity(BOT),
                },
                tls=self._tls,
                changed=functools.partial(self._snapshots.note, f"cluster-{name}"),
            )
            known = await self._run(f"cluster-{name}", cluster)
            servers[name] = cluster.url
            if not known:
                await cluster.apply(rights(namespaces))
                await self._install_legacy(name, cluster, azure)
        ca = self._authority.ca_pem
        kubeconfig(self._persons_kubeconfig, servers, _PERSON, self._secrets["person"], ca)
        kubeconfig(self._bot_kubeconfig, servers, BOT, self._secrets["kube_bot"], ca)
        return {name: name for name in servers}

    @property
    def _configuration_host(self) -> str:
        return f"{self._plan.world.azure.service.lower()}.configuration.azure-api.net"

    @property
    def _persons_kubeconfig(self) -> Path:
        return self._plan.foreign_kubeconfig or self._plan.data / "kubeconfig"

    @property
    def _bot_kubeconfig(self) -> Path:
        return self._plan.foreign_kubeconfig or self._plan.data / "bot.kubeconfig"

    async def _install_legacy(self, name: str, cluster: Cluster, azure: Azure) -> None:
        world, host = self._plan.world, self._configuration_host
        for legacy in world.legacy:
            if legacy.cluster != name:
                continue
            lasts = datetime.timedelta(days=legacy.token_days)
            expires = datetime.datetime.now(datetime.UTC) + lasts
            token = azure.issue_token(world.azure.service, legacy.gateway, expires)
            secret = portal_secret(legacy.gateway, legacy.namespace, token)
            await cluster.apply([secret], CREATE_MANAGER)
            wanted = (legacy.gateway, legacy.namespace, host, legacy.tag)
            if legacy.application:
                manifests = git_objects(*wanted, application=legacy.application)
                await cluster.apply(manifests, ARGO_MANAGER)
            else:
                await cluster.apply(portal_objects(*wanted), APPLY_MANAGER)

    def _slack(self) -> SlackWorkspace:
        world = self._plan.world
        return SlackWorkspace(
            team=dict(world.team),
            users=world.users,
            usergroups=world.usergroups,
            channels=world.channels,
            app=AppConfig(
                app_id=world.app["id"],
                name=world.app["name"],
                bot_user_id=world.app["bot_user_id"],
                bot_id=world.app["bot_id"],
                bot_token=self._bot_token,
                app_token=self._app_token,
                signing_secret=self._secrets["signing"],
                scopes=SCOPES,
                commands=[
                    (
                        "/gateway",
                        "Deploy and operate API Management gateways",
                        "deploy | status | help",
                    )
                ],
                mode=self._plan.mode,
                request_url=self._plan.bot_url,
                options_url=self._plan.bot_options_url,
                bot_events=EVENTS,
            ),
            port=self._plan.port,
            boards=tuple(self._boards),
            changed=lambda: self._snapshots.note("slack"),
            log=self._log,
        )

    @property
    def _bot_token(self) -> str:
        return f"xoxb-{self._secrets['bot_token']}"

    @property
    def _app_token(self) -> str:
        return f"xapp-1-{self._secrets['app_token']}"

    def _described(
        self,
        slack: SlackWorkspace,
        azure: Azure,
        registry: Registry,
        contexts: Mapping[str, str],
    ) -> dict[str, Any]:
        settings = write_settings(
            self._plan.data / "gateway-bot.yaml",
            self._plan.world,
            Addresses(
                slack.api_url,
                azure.url,
                registry.url,
                self._plan.bot_url,
                self._plan.event_grid_url,
            ),
            mode=self._plan.mode,
            kubeconfig=self._bot_kubeconfig,
            contexts=contexts,
        )
        return {
            "ready": True,
            "slack": slack.url,
            "api": slack.api_url,
            "azure": azure.url,
            "registry": registry.url,
            "kubeconfig": str(self._persons_kubeconfig),
            "context": next(iter(contexts.values())),
            "settings": str(settings),
            "env": {
                "SLACK_BOT_TOKEN": self._bot_token,
                "SLACK_APP_TOKEN": self._app_token,
                "SLACK_SIGNING_SECRET": self._secrets["signing"],
                "AZURE_CLIENT_SECRET": self._secrets["azure"],
                "EVENT_GRID_SECRET": self._secrets["event_grid"],
                "REQUESTS_CA_BUNDLE": str(self._authority.ca_pem_path),
            },
        }
