"""The bot is killed after each thing it does, for each kind of action; the next one ends it."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.cluster.server import Written
from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect as connect_redis
from deploy.actions.fencing import lease_name
from deploy.actions.record import State
from deploy.actions.store import ActionStore
from deploy.deadline import Deadline
from deploy.errors import Unavailable
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from deploy.kube.cluster import Cluster
from deploy.plans.plan import Plan
from deploy.plans.planning import Planner
from deploy.plans.requests import (
    DeployRequest,
    KeyRequest,
    RemovalRequest,
    RestartRequest,
    RotateRequest,
    ScaleRequest,
)
from deploy.policy import People
from deploy.rendering.manifests import render, token_secret
from deploy.rollouts.applying import Applier
from deploy.rollouts.deployer import Deployer
from deploy.rollouts.minting import Minter
from deploy.specs.gateway_spec import GatewaySpec
from deploy.tokens.rotation import Rotation
from deploy.tokens.token import Token
from tests.faults import stopping
from tests.faults.bots import REGENERATED, Job, Nursery
from tests.faults.judging import Tally
from tests.support import actions
from tests.support.actions import CODEC, ask, by_approvers, replanning, workings
from tests.support.azure import AzureBed, azure_bed
from tests.support.custody import LocalCustody
from tests.support.gateway_bed import (
    INSTANCE,
    SPEC,
    Mint,
    RecordingRun,
    action_for,
    gateway_bed,
)
from tests.support.processes import alive
from tests.support.redis_servers import started
from tests.support.waiting import until

KINDS = ("deploy", "scale", "restart", "rollback", "adopt", "delete", "rotate", "regenerate-key")
_AT_ONCE = 5
_NEVER = 90
"""More things than any action does."""
APPROVERS = ("U8", "U9")


class World:
    """A cluster with nodes, a Redis, an Azure, and bots that are processes."""

    def __init__(
        self,
        cluster: Cluster,
        kubeconfig: Path,
        server: Valkey,
        azure: AzureBed,
        nursery: Nursery,
        audit: Callable[[], tuple[Written, ...]],
    ) -> None:
        self.cluster = cluster
        self.audit = audit
        self.azure = azure
        self.kubeconfig = kubeconfig
        self.server = server
        self.nursery = nursery
        clusters = {"west": cluster}
        self.planner = Planner(clusters.__getitem__, list, instances={"contoso": INSTANCE})
        applier = Applier(clusters, Minter(Mint(), {"contoso": INSTANCE}, LocalCustody()))
        self.deployer = Deployer(applier, replanning(self.planner, clusters))
        self._numbers = itertools.count()

    def plan(self, kind: str, request: Any) -> Plan:
        """The plan of the action."""
        cache = ClusterCache(self.cluster)
        clusters = {"west": self.cluster}
        table = workings(planner=self.planner, clusters=clusters, caches={"west": cache})
        try:
            return table[kind].plan(request, "ACTION")
        finally:
            cache.stop(Deadline.after(5))

    def deploy(self, spec: GatewaySpec) -> None:
        """Have it run."""
        new_id = f"BEFORE{next(self._numbers)}"
        plan = self.planner.plan(spec, new_id)
        outcome = self.deployer.execute(action_for(plan, new_id), RecordingRun())
        assert outcome.state is State.SUCCEEDED, outcome


@dataclass
class Case:
    """One action on a gateway of its own."""

    name: str
    kind: str
    request: Any
    plan: Plan
    tokens: tuple[str, ...] = ()
    """Those that a regenerated key is to spare and to kill, as pods would show them to Azure."""


@dataclass(frozen=True)
class Effect:
    """What there is to see of it on the cluster, whoever brought it about in how many runs."""

    generations: int
    revisions: int
    secrets: int
    there: bool
    tokens: tuple[int, ...] = ()
    """What Azure says to each of the case's tokens."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("crashes")
    with gateway_bed(directory) as bed, azure_bed(directory / "azure") as azure:
        for server in started("valkey", directory / "redis"):
            kubeconfig = bed.running.kubeconfig()
            audit = functools.partial(bed.running.call, lambda: bed.running.cluster.audit)
            yield World(bed.cluster, kubeconfig, server, azure, nursery, audit)


def spec_named(name: str, **changes: Any) -> GatewaySpec:
    ref = GatewayRef("west", "dev", name)
    # Small, for there are many of them on few nodes.
    return dataclasses.replace(SPEC, ref=ref, replicas=1, cpu="50m", memory="64Mi", **changes)


def prepare(world: World, kind: str, name: str) -> Case:
    """Bring the gateway to where the action begins, and plan the action."""
    spec = spec_named(name)
    if kind == "regenerate-key":
        return _leaked(world, spec)
    if kind not in ("deploy", "adopt"):
        world.deploy(spec)
    requests: dict[str, Any] = {
        "deploy": DeployRequest(spec),
        "rollback": DeployRequest(spec),
        "adopt": DeployRequest(spec, take_over=True),
        "scale": ScaleRequest(spec.ref, 2),
        "restart": RestartRequest(spec.ref, "2026-12-01T00:00:00Z"),
        "rotate": RotateRequest(spec.ref, Rotation("secondary")),
        "delete": RemovalRequest(spec.ref),
    }
    if kind == "rollback":
        world.deploy(dataclasses.replace(spec, tag="2.11.0"))
    elif kind == "adopt":
        _by_hand(world.cluster, spec)
    return Case(name, kind, requests[kind], world.plan(kind, requests[kind]))


def _leaked(world: World, spec: GatewaySpec) -> Case:
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
    request = KeyRequest(spec.ref, "secondary")
    tokens = tuple(f"GatewayKey {value}" for value in values)
    return Case(name, "regenerate-key", request, world.plan("regenerate-key", request), tokens)


def _by_hand(cluster: Cluster, spec: GatewaySpec) -> None:
    """The same gateway as somebody else would have put it there."""
    secret = f"{spec.ref.name}-by-hand"
    mint = Mint()
    token = mint.generate_token(INSTANCE, "edge-1", "primary", mint.time(INSTANCE, "edge-1"))
    cluster.create(token_secret(spec, secret, token, "BYHAND"))
    other = dataclasses.replace(spec, tag="2.11.0")
    for manifest in render(other, secret):
        cluster.apply(manifest, manager="kubectl")


def approve(world: World, case: Case) -> ActionStore:
    """Have two approvers approve it, in a part of Redis that only this case's bots look at."""
    store = ActionStore(connect_redis(world.server.url), CODEC, prefix=case.name)
    ask(
        store,
        "ACTION",
        kind=case.kind,
        ref=case.plan.spec.ref,
        policy=by_approvers(2, People(APPROVERS)),
        request=case.request,
        plan=case.plan,
        ttl=600,
    )
    for who in APPROVERS:
        actions.approve(store, who, "ACTION", digest=case.plan.digest)
    return store


def seen(world: World, case: Case) -> Effect:
    """The gateway as it is."""
    cluster, ref = world.cluster, case.plan.spec.ref
    deployment = cluster.get("Deployment", ref.namespace, ref.name)
    mine = [
        item
        for item in cluster.list("Secret", ref.namespace)
        if item["metadata"]["name"].startswith(f"{ref.name}-token")
    ]
    if deployment is None:
        return Effect(0, 0, len(mine), there=False)
    uid = deployment["metadata"]["uid"]
    sets = [
        item
        for item in cluster.list("ReplicaSet", ref.namespace)
        if any(o["uid"] == uid for o in item["metadata"].get("ownerReferences", ()))
    ]
    told = tuple(world.azure.poll(token, ref.name).status_code for token in case.tokens)
    return Effect(deployment["metadata"]["generation"], len(sets), len(mine), True, told)


def carry_out(
    world: World, kind: str, die_at: int, directory: Path, stop_at: int = 0
) -> tuple[Case, ActionStore]:
    """One case to its end; the bot that begins it dies after that many things, with 0 never.

    With `stop_at` somebody stops it after that many things.
    """
    name = f"{kind}-{die_at}" + (f"-{stop_at}" if stop_at else "")
    case = prepare(world, kind, name)
    store = approve(world, case)
    journal = directory / name
    job = Job(
        "bot-1",
        world.server.url,
        name,
        str(world.kubeconfig),
        str(journal),
        die_at,
        stop_at,
        azure=world.azure.azure.url if kind == "regenerate-key" else "",
        authority=str(world.azure.authority.ca_pem_path),
    )
    pid = world.nursery.start(job)
    journals = [journal]
    if die_at:
        until(lambda: not alive(pid), f"the death of the bot at point {die_at}", 40)
        journals.append(directory / f"{name}-again")
        again = dataclasses.replace(
            job, owner="bot-2", die_at=0, stop_at=0, journal=str(journals[1])
        )
        pid = world.nursery.start(again)

    def ended() -> bool:
        try:
            action = store.get("ACTION")
        except Unavailable:
            return False
        # Redis knows of the end before the bot that brought it can write it down.
        told = any("finish" in each.read_text() for each in journals if each.exists())
        return action is not None and action.final and told

    try:
        until(ended, f"the end of {name}", 40)
    finally:
        world.nursery.kill(pid)
    return case, store


@pytest.mark.parametrize("kind", KINDS)
def test_a_bot_that_is_killed_after_any_of_its_steps_is_followed_by_one_that_ends_the_action(
    world: World, kind: str, tmp_path: Path, record: Callable[[str, Tally], None]
) -> None:
    case, store = carry_out(world, kind, 0, tmp_path)
    usual = seen(world, case)
    assert usual.tokens in ((), (200, 403)), "what is in use is spared, what leaked is dead"
    points = (tmp_path / case.name).read_text().split("\n")[:-1]
    assert {"claim", "finish"} <= set(points)
    tally = Tally()
    tally.judge(store, "ACTION", effects=1)

    def one(die_at: int) -> tuple[int, ActionStore, Effect]:
        case, store = carry_out(world, kind, die_at, tmp_path)
        effect = seen(world, case)
        world.cluster.delete("Deployment", "dev", case.name)
        return die_at, store, effect

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        results = list(pool.map(one, range(1, len(points) + 1)))
    for die_at, store, effect in results:
        point = points[die_at - 1]
        tally.judge(store, "ACTION", effects=1 if effect == usual else 2)
        if effect != usual:
            tally.wrong.append(f"killed after {point!r}: {effect} and not {usual}")
        if kind == "regenerate-key":
            # Another time only where the bot died before it could say that Azure had done it.
            journals = (tmp_path / f"{kind}-{die_at}{again}" for again in ("", "-again"))
            # Who comes when all is done has nothing to write down.
            done = [path.read_text().count(REGENERATED) for path in journals if path.exists()]
            assert sum(done) == (2 if point == REGENERATED else 1), point
    for ref in (GatewayRef("west", "dev", f"{kind}-{n}") for n in range(len(points) + 1)):
        left = world.cluster.get("Lease", "dev", lease_name(ref))
        assert (left is None) == (kind == "delete")
    record(f"{kind}, killed after each of {len(points)} steps", tally)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("dies", [False, True], ids=["alive", "dead"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_stopped_after_any_of_its_steps_writes_nothing_more_and_says_what_there_is(
    world: World, kind: str, dies: bool, tmp_path: Path, record: Callable[[str, Tally], None]
) -> None:
    usual, _ = carry_out(world, kind, 0, tmp_path, stop_at=_NEVER + dies)
    points = (tmp_path / usual.name).read_text().split("\n")[:-2]
    tally = Tally()

    def one(at: int) -> None:
        case, store = carry_out(world, kind, at if dies else 0, tmp_path, stop_at=at)
        wrong = stopping.wrongs(world.cluster, world.audit(), case.plan, store, "ACTION")
        wrong += stopping.written_after(tmp_path / case.name)
        if kind == "regenerate-key":
            wrong += stopping.wrong_about_azure(store, "ACTION", seen(world, case).tokens)
        tally.judge(store, "ACTION", wanted=frozenset({State.STOPPED}))
        tally.wrong += [f"stopped after {points[at - 1]!r}: {each}" for each in wrong]
        world.cluster.delete("Deployment", "dev", case.name)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(one, range(1, len(points) + 1)))
    assert not tally.wrong, "\n".join(tally.wrong)
    told = "which then died, " if dies else ""
    record(f"{kind}, {told}stopped after each of {len(points)} steps", tally)
