"""What each kind of change is asked for with where its bot is to die, and how its gateway is first.

Every kind in the table has its case here, and so has the one that only tests know.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.sandbox.cluster.server import Written
from bot.sandbox.valkey import Valkey
from deploy.actions.action import ChangeRequest, State
from deploy.changes.kinds import (
    ADOPT,
    DELETE,
    DEPLOY,
    END_MANAGE_TOKEN,
    MANAGE_TOKEN,
    REGENERATE,
    RESTART,
    ROLLBACK,
    ROTATE,
    SCALE,
    Workings,
)
from deploy.deadline import Deadline
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from deploy.kube.cluster import Cluster
from deploy.observed.token_only import KeptToken, copy_name, stable_name
from deploy.plans.plan import Plan
from deploy.plans.requests import (
    DeployRequest,
    EndTokenRequest,
    KeyRequest,
    ManageTokenRequest,
    RemovalRequest,
    RestartRequest,
    RollbackRequest,
    RotateRequest,
    ScaleRequest,
)
from deploy.rendering.manifests import render, token_secret
from deploy.rendering.token_only import own_secret
from deploy.specs.gateway_spec import GatewaySpec
from deploy.tokens.rotation import Rotation
from deploy.tokens.token import Token
from tests.faults.bots import Nursery, workings_of
from tests.support.annotating.kind import ANNOTATE, NoteRequest
from tests.support.azure import AzureBed
from tests.support.gateway_bed import INSTANCE, SPEC, Mint, RecordingRun, action_for


@dataclass(frozen=True)
class Asked:
    """What somebody asks for.

    `tokens` are those that a regenerated key is to spare and to kill, as pods would show them to
    Azure.
    """

    request: ChangeRequest
    tokens: tuple[str, ...] = ()


@dataclass
class Case:
    """One action on a gateway of its own."""

    name: str
    kind: str
    asked: Asked
    plan: Plan


@dataclass
class World:
    """A cluster with nodes, a Redis, an Azure, and bots that are processes. `audit` is what the API
    server was asked to write."""

    cluster: Cluster
    kubeconfig: Path
    server: Valkey
    azure: AzureBed
    nursery: Nursery
    audit: Callable[[], tuple[Written, ...]]

    def __post_init__(self) -> None:
        self._numbers = itertools.count()

    def plan(self, kind: str, request: ChangeRequest, action_id: str = "ACTION") -> Plan:
        """What comes of it now."""
        cache = ClusterCache(self.cluster)
        try:
            return self._workings(cache)[kind].plan(request, action_id)
        finally:
            cache.stop(Deadline.after(5))

    def deploy(self, spec: GatewaySpec) -> None:
        """Have it run."""
        new_id, request = f"BEFORE{next(self._numbers)}", DeployRequest(spec)
        plan = self.plan("deploy", request, new_id)
        deployer = self._workings(ClusterCache(self.cluster))["deploy"].executor
        outcome = deployer.execute(action_for(plan, new_id, request=request), RecordingRun())
        assert outcome.state is State.SUCCEEDED, outcome

    def _workings(self, cache: ClusterCache) -> Mapping[str, Workings]:
        clusters = {self.cluster.name: self.cluster}
        return workings_of(clusters, cache, mint=Mint())


def prepare(world: World, kind: str, name: str) -> Case:
    """Bring a gateway of that name to where the action begins, and plan the action."""
    ref = GatewayRef("west", "dev", name)
    # Small, for there are many of them on few nodes.
    spec = dataclasses.replace(SPEC, ref=ref, replicas=1, cpu="50m", memory="64Mi")
    asked = CASES[kind](world, spec)
    return Case(name, kind, asked, world.plan(kind, asked.request))


def _new(world: World, spec: GatewaySpec) -> Asked:
    return Asked(DeployRequest(spec))


def _scaled(world: World, spec: GatewaySpec) -> Asked:
    world.deploy(spec)
    return Asked(ScaleRequest(spec.ref, 2))


def _restarted(world: World, spec: GatewaySpec) -> Asked:
    world.deploy(spec)
    return Asked(RestartRequest(spec.ref, "2026-12-01T00:00:00Z"))


def _rolled_back(world: World, spec: GatewaySpec) -> Asked:
    world.deploy(spec)
    world.deploy(dataclasses.replace(spec, tag="2.11.0"))
    return Asked(RollbackRequest(spec, revision=1))


def _adopted(world: World, spec: GatewaySpec) -> Asked:
    """The same gateway as somebody else would have put it there."""
    secret = f"{spec.ref.name}-by-hand"
    mint = Mint()
    token = mint.generate_token(INSTANCE, "edge-1", "primary", mint.time(INSTANCE, "edge-1"))
    world.cluster.create(token_secret(spec, secret, token, "BYHAND"))
    for manifest in render(dataclasses.replace(spec, tag="2.11.0"), secret):
        world.cluster.apply(manifest, manager="kubectl")
    return Asked(DeployRequest(spec, take_over=True))


def _deleted(world: World, spec: GatewaySpec) -> Asked:
    world.deploy(spec)
    return Asked(RemovalRequest(spec.ref))


def _rotated(world: World, spec: GatewaySpec) -> Asked:
    world.deploy(spec)
    return Asked(RotateRequest(spec.ref, Rotation("secondary")))


def _kept(world: World, spec: GatewaySpec) -> Asked:
    """A gateway of others whose pods read the bot's Secret, which is written over."""
    _of_others(world, spec, stable_name(spec.ref.name))
    return Asked(ManageTokenRequest(spec.ref, "contoso", "edge-1", Rotation("secondary")))


def _ended(world: World, spec: GatewaySpec) -> Asked:
    """The same, with a copy of its previous token that a failed rotation has left."""
    _of_others(world, spec, stable_name(spec.ref.name), copy_name(spec.ref.name))
    return Asked(EndTokenRequest(spec.ref))


def _of_others(world: World, spec: GatewaySpec, *names: str) -> None:
    """A gateway of others that reads the first of these Secrets of the bot's."""
    mint, kept = Mint(), KeptToken(spec.ref.name, "contoso", "edge-1")
    token = mint.generate_token(INSTANCE, "edge-1", "primary", mint.time(INSTANCE, "edge-1"))
    for name in names:
        world.cluster.create(
            own_secret(
                spec.ref,
                name,
                kept,
                "value",
                token,
                "BEFORE",
                "primary",
                now=world.cluster.now(),
                immutable=False,
            )
        )
    for manifest in render(spec, names[0]):
        metadata = {k: v for k, v in manifest["metadata"].items() if k != "annotations"}
        world.cluster.apply({**manifest, "metadata": metadata}, manager="argocd-controller")


def _leaked(world: World, spec: GatewaySpec) -> Asked:
    """A gateway of its own in Azure, with a token of the other key than the one in use."""
    name = spec.ref.name
    spec = dataclasses.replace(spec, apim=dataclasses.replace(spec.apim, gateway=name))
    body = {"properties": {"locationData": {"name": "North"}}}
    assert world.azure.call("PUT", f"/gateways/{name}", body=body).status_code == 201
    world.deploy(spec)
    values = [world.azure.token(name, key) for key in ("primary", "secondary")]
    leaked = Token.parse(values[1])
    assert leaked is not None
    world.cluster.create(token_secret(spec, f"{name}-token-leaked", leaked, "LEAK", "secondary"))
    tokens = tuple(f"GatewayKey {value}" for value in values)
    return Asked(KeyRequest(spec.ref, "secondary"), tokens)


def _annotated(world: World, spec: GatewaySpec) -> Asked:
    world.deploy(spec)
    return Asked(NoteRequest(spec.ref, "read the runbook"))


CASES: Mapping[str, Callable[[World, GatewaySpec], Asked]] = {
    DEPLOY: _new,
    SCALE: _scaled,
    RESTART: _restarted,
    ROLLBACK: _rolled_back,
    ADOPT: _adopted,
    DELETE: _deleted,
    ROTATE: _rotated,
    MANAGE_TOKEN: _kept,
    END_MANAGE_TOKEN: _ended,
    REGENERATE: _leaked,
    ANNOTATE: _annotated,
}
"""The case of each kind: what brings the gateway to where it begins."""
