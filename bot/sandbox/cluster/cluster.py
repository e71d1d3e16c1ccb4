"""A whole cluster: API server, controllers and their state, on one port."""

import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web

from bot.sandbox.cluster.admission import Admission
from bot.sandbox.cluster.api import Api
from bot.sandbox.cluster.authentication import Tokens
from bot.sandbox.cluster.bootstrap import ensure_namespace, fill
from bot.sandbox.cluster.controllers.all import controllers
from bot.sandbox.cluster.controllers.manager import Manager
from bot.sandbox.cluster.decoding import Options
from bot.sandbox.cluster.identity import Identity
from bot.sandbox.cluster.kinds import KINDS, by_kind
from bot.sandbox.cluster.kubelet_client import KubeletClient
from bot.sandbox.cluster.objects import Obj, copy, name_of, namespace_of
from bot.sandbox.cluster.rbac import Authorizer
from bot.sandbox.cluster.schema import load
from bot.sandbox.cluster.server import ApiServer, Written
from bot.sandbox.cluster.store import Change, Store
from bot.sandbox.faults import FaultBoard, Switch

SWITCHES = (
    Switch("api_down", "API server closes every connection", "toggle", default=False),
    Switch("api_slow_ms", "API server waits before it answers (ms)", "number", default=0.0),
    Switch(
        "api_error",
        "API server answers with an error",
        "choice",
        default="none",
        choices=("none", "500", "503", "429", "401"),
    ),
    Switch("watch_drop", "Every watch is cut after a second", "toggle", default=False),
    Switch(
        "image_mirror",
        "A webhook sends images to a mirror",
        "toggle",
        default=False,
        help="The registry of each new or changed Deployment's images becomes mirror.example.",
    ),
    Switch("no_load_balancer", "Load balancers stay pending", "toggle", default=False),
    Switch("deny_logs", "Pod logs are forbidden", "toggle", default=False),
    Switch("forbid_writes", "Writes are forbidden", "toggle", default=False),
)


class Cluster:
    """A Kubernetes API server with its controllers. Pods need a kubelet, which joins by the
    public API.

    `tokens` are the bearer tokens of its users. `node_grace_seconds` is how long a node may be
    silent before it counts as lost, `hpa_sync_seconds` how often autoscalers are looked at.
    `changed` is called after each write.
    """

    def __init__(
        self,
        name: str,
        *,
        namespaces: Sequence[str],
        tokens: Mapping[str, Identity],
        tls: ssl.SSLContext | None,
        port: int = 0,
        changed: Callable[[], None] = lambda: None,
        version: str = "v1.36.0",
        node_grace_seconds: float = 40.0,
        hpa_sync_seconds: float = 15.0,
    ) -> None:
        self.name = name
        self.faults = FaultBoard(f"cluster {name}", SWITCHES)
        self._tls = tls
        self._port = port
        self._changed = changed
        self._store = Store()
        self._tokens = Tokens(tokens)
        admission = Admission(self._store, lambda: bool(self.faults.get("image_mirror")))
        self._api = Api(self._store, Authorizer(self._store), admission)
        self._kubelets = KubeletClient(self._store)
        self._server = ApiServer(self._api, self._tokens, self._kubelets, self.faults, version)
        self._manager = Manager(
            self._store,
            controllers(
                self._api,
                self.faults,
                node_grace_seconds=node_grace_seconds,
                hpa_sync_seconds=hpa_sync_seconds,
            ),
        )
        self._runner: web.AppRunner | None = None
        fill(self._api, namespaces)
        self._store.listen(self._wrote)
        self.faults.on_change(self._fault_changed)

    @property
    def url(self) -> str:
        """Where it listens, once started."""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._port}"

    @property
    def audit(self) -> tuple[Written, ...]:
        """The newest requests to write, oldest first."""
        return tuple(self._server.audit)

    async def start(self) -> None:
        """Begin to listen and to reconcile."""
        for kind in KINDS:
            load(kind.model)
        await self._kubelets.start()
        self._runner = web.AppRunner(
            self._server.application(), access_log=None, handle_signals=False, shutdown_timeout=1.0
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls)
        await site.start()
        self._port = int(self._runner.addresses[0][1])
        await self._manager.start()

    async def stop(self) -> None:
        """End every watch and connection."""
        await self._manager.stop()
        self._server.end_watches()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._kubelets.stop()

    async def apply(
        self, objects: Iterable[Obj], manager: str = "kubectl-client-side-apply"
    ) -> list[Obj]:
        """Create or replace objects as `manager`, as somebody's manifests would have been put
        there."""
        written = []
        for obj in objects:
            kind = by_kind(obj["apiVersion"], obj["kind"])
            namespace = (namespace_of(obj) or "default") if kind.namespaced else ""
            options = Options(manager=manager, field_validation="Strict")
            if namespace:
                ensure_namespace(self._api, namespace)
            if self._api.find(kind, namespace, name_of(obj)) is None:
                written.append(self._api.create(kind, namespace, copy(obj), options))
            else:
                written.append(self._api.update(kind, namespace, name_of(obj), copy(obj), options))
        return written

    def admit(self, token: str, who: Identity, seconds: float) -> None:
        """Accept a bearer token for so long; after that it is answered with 401."""
        self._tokens.admit(token, who, seconds)

    def snapshot(self) -> dict[str, Any]:
        """All objects and minted tokens as JSON data."""
        return {"store": self._store.snapshot(), "tokens": self._tokens.snapshot()}

    def restore(self, data: dict[str, Any]) -> None:
        """Take up the state of a snapshot; running watches end."""
        self._store.restore(data["store"])
        self._tokens.restore(data["tokens"])
        self._server.end_watches()
        self._manager.resync()

    def compact(self) -> None:
        """Forget the history of changes: watches from an older resource version get 410 Expired."""
        self._store.compact()

    def _fault_changed(self) -> None:
        if self.faults.get("api_down") or self.faults.get("watch_drop"):
            self._server.end_watches()
        self._manager.resync()

    def _wrote(self, change: Change) -> None:
        self._changed()
