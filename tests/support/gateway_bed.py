"""A cluster whose nodes run stand-in gateways, on a thread of its own, for clients that block."""

import contextlib
import datetime
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.sandbox.node import Node
from bot.sandbox.tls import Authority
from deploy.actions.action import Action, State
from deploy.azure import ApimInstance
from deploy.errors import Unavailable
from deploy.gateway import ApimGateway, GatewayRef
from deploy.kube.cluster import Cluster, connect
from deploy.kube.connection import Timeouts
from deploy.kube.unconfirmed import Unconfirmed
from deploy.plans.plan import Plan
from deploy.plans.requests import DeployRequest
from deploy.policy import Policy
from deploy.retry import RunLost
from deploy.specs.gateway_spec import GatewaySpec
from deploy.tokens.token import Token
from tests.support.actions import as_stored
from tests.support.running_cluster import RunningCluster
from tests.support.tiny_configuration import TinyConfiguration

HOST = "contoso.configuration.azure-api.net"
REF = GatewayRef("west", "dev", "edge-1")
SPEC = GatewaySpec(
    ref=REF,
    apim=ApimGateway("contoso", "edge-1", HOST),
    tag="2.11.1",
    replicas=2,
    service_type="ClusterIP",
)
INSTANCE = ApimInstance("contoso", "sub", "group", "contoso", HOST)
INSTANCES = {"contoso": INSTANCE}
SIGNATURE = "c2lnbmF0dXJlLW9mLWEtdG9rZW4="
TIMEOUTS = Timeouts(connect=10.0, read=10.0, repeat=0.3)
PATIENT = Timeouts(connect=10.0, read=30.0, repeat=0.3)
"""For a cluster that shares a busy machine with many others."""


def end_watches(running: RunningCluster) -> None:
    """End every running watch; the cluster stays as it is."""
    cluster = running.cluster
    running.call(lambda: cluster.restore(cluster.snapshot()))


@dataclass
class GatewayBed:
    """The cluster, its nodes, and the configuration endpoint gateways poll."""

    running: RunningCluster
    node: Node
    configuration: TinyConfiguration
    cluster: Cluster

    def api(self, switch: str, value: Any) -> None:
        """Move a fault switch of the API server."""
        self.running.call(lambda: self.running.cluster.faults.set(switch, value))

    def end_watches(self) -> None:
        """End every running watch, as an API server that restarts does."""
        end_watches(self.running)

    def nodes(self, switch: str, value: Any) -> None:
        """Move a fault switch of the nodes."""
        self.running.call(lambda: self.node.faults.set(switch, value))


@contextlib.contextmanager
def gateway_bed(
    directory: Path, *, time_scale: float = 0.05, timeouts: Timeouts = TIMEOUTS
) -> Iterator[GatewayBed]:
    """Start everything; a kubelet's and a gateway's times pass faster by `time_scale`."""
    tls = Authority.load_or_create(directory / "ca").server_context()
    with RunningCluster(directory, namespaces=("dev",), with_kubelet=False) as running:
        configuration = TinyConfiguration()
        stack = contextlib.AsyncExitStack()
        running.wait(stack.enter_async_context(configuration.serving()))

        async def build() -> Node:
            return Node(
                kubeconfig=running.kubeconfig(),
                context="west",
                hosts={HOST: configuration.url},
                tls=tls,
                startup_seconds=0.05,
                time_scale=time_scale,
            )

        node = running.wait(build())
        running.wait(node.start())
        cluster = connect("west", kubeconfig=running.kubeconfig(), timeouts=timeouts)
        try:
            yield GatewayBed(running, node, configuration, cluster)
        finally:
            cluster.close()
            running.wait(node.stop())
            running.wait(stack.aclose())


@dataclass
class Mint:
    """Mints tokens that look like Azure's, and remembers for whom."""

    asked: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    failing: bool = False

    def time(self, instance: ApimInstance, gateway: str) -> datetime.datetime:
        """This machine's clock."""
        if self.failing:
            raise Unavailable("Azure does not answer.")
        return datetime.datetime.now(datetime.UTC)

    def generate_token(
        self, instance: ApimInstance, gateway: str, key: Any, expires_at: datetime.datetime
    ) -> Token:
        """A token of that gateway."""
        if self.failing:
            raise Unavailable("Azure does not answer.")
        self.asked.append(gateway)
        self.keys.append(key)
        return Token(gateway, expires_at, f"{gateway}&{expires_at:%Y%m%d%H%M}&{SIGNATURE}")


class RecordingRun:
    """What a runner gives an executor, and what the executor told it."""

    def __init__(self) -> None:
        self.lost = threading.Event()
        self.unconfirmed = Unconfirmed()
        self.steps: list[str] = []
        self.states: list[Mapping[str, Any]] = []

    def guard(self) -> None:
        """The gateway is this run's, unless it is lost."""
        if self.lost.is_set():
            raise RunLost

    def step(self, name: str, detail: str = "") -> None:
        """Record a step."""
        if self.lost.is_set():
            raise RunLost
        self.steps.append(name)

    def progress(self, state: Mapping[str, Any]) -> None:
        """Record progress."""
        if self.lost.is_set():
            raise RunLost
        self.states.append(state)


def action_for(plan: Plan, action_id: str = "ABC234", **changes: Any) -> Action:
    """The running action of a plan that was confirmed."""
    fields: dict[str, Any] = {
        "id": action_id,
        "kind": "deploy",
        "ref": plan.spec.ref,
        "state": State.RUNNING,
        "version": 3,
        "requester": "U1",
        "person": "U1",
        "policy": Policy(),
        "digest": plan.digest,
        "request": DeployRequest(plan.spec),
        "plan": as_stored(plan),
        "origin": {},
        "created_at": 0.0,
        "expires_at": 0.0,
        "updated_at": 0.0,
    }
    return Action(**(fields | changes))
