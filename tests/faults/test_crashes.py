"""The bot is killed after each thing it does, for each kind of action; the next one ends it."""

import dataclasses
import functools
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.actions.action import State
from deploy.actions.connection import connect as connect_redis
from deploy.actions.fencing import lease_name
from deploy.actions.store import ActionStore
from deploy.changes.kinds import DELETE, REGENERATE
from deploy.errors import Unavailable
from deploy.gateway import GatewayRef
from deploy.observed.token_only import copy_name, kept_in, stable_name
from deploy.policy import People
from tests.faults import stopping
from tests.faults.bots import CODEC, LEASE_SECONDS, REGENERATED, Job, Nursery, heard_in
from tests.faults.cases import CASES, Case, World, prepare
from tests.faults.judging import Tally
from tests.faults.pressing import NEXT, PRESSED_BY_ALL, PRESSED_ONCE, wrong_answers
from tests.support import actions
from tests.support.annotating.kind import note_of
from tests.support.azure import azure_bed
from tests.support.gateway_bed import PATIENT, gateway_bed
from tests.support.processes import alive
from tests.support.redis_servers import started
from tests.support.waiting import until

_AT_ONCE = 5
_LONG = 200
"""Seconds. Each bot is a process that imports everything, and two cores may have fifteen of them."""
_NEVER = 90
"""More things than any action does."""
_LONG_LEASE = 60.0
"""So long that whoever waited for it to end would show."""
_NEXT_WITHIN = 5.0
"""Seconds in which the next in line begins once Stop was pressed."""
_APPROVERS = ("U8", "U9")
pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Effect:
    """What there is to see of it on the cluster, whoever brought it about in how many runs."""

    generations: int
    revisions: int
    secrets: int
    there: bool
    tokens: tuple[int, ...] = ()
    """What Azure says to each of the case's tokens."""
    note: str = ""
    kept: tuple[bool, ...] = ()
    """Of each Secret for a gateway of others, whether the bot knows it as its own."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("crashes")
    with (
        gateway_bed(directory, timeouts=PATIENT) as bed,
        azure_bed(directory / "azure") as azure,
    ):
        for server in started("valkey", directory / "redis"):
            kubeconfig = bed.running.kubeconfig()
            audit = functools.partial(bed.running.call, lambda: bed.running.cluster.audit)
            yield World(bed.cluster, kubeconfig, server, azure, nursery, audit)


def approve(world: World, case: Case) -> ActionStore:
    """Have two approvers approve it, in a part of Redis that only this case's bots look at."""
    store = ActionStore(connect_redis(world.server.url), CODEC, prefix=case.name)
    actions.ask(
        store,
        "ACTION",
        ttl=600,
        kind=case.kind,
        ref=case.plan.spec.ref,
        request=case.asked.request,
        plan=case.plan,
        policy=actions.by_approvers(2, People(_APPROVERS)),
    )
    for who in _APPROVERS:
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
    managed = [cluster.get("Secret", ref.namespace, name) for name in _managed(ref.name)]
    if deployment is None:
        return Effect(0, 0, len(mine), there=False)
    uid = deployment["metadata"]["uid"]
    sets = [
        item
        for item in cluster.list("ReplicaSet", ref.namespace)
        if any(o["uid"] == uid for o in item["metadata"].get("ownerReferences", ()))
    ]
    told = tuple(world.azure.poll(token, ref.name).status_code for token in case.asked.tokens)
    return Effect(
        deployment["metadata"]["generation"],
        len(sets),
        len(mine),
        there=True,
        tokens=told,
        note=note_of(deployment),
        kept=tuple(kept_in(each) is not None for each in managed if each is not None),
    )


def _managed(name: str) -> tuple[str, str]:
    return stable_name(name), copy_name(name)


def carry_out(
    world: World, kind: str, die_at: int, directory: Path, stop_at: int = 0, **stopping: Any
) -> tuple[Case, ActionStore]:
    """One case to its end; the bot that begins it dies after that many things, with 0 never.

    With `stop_at` somebody stops it after that many things; `stopping` is what else the job says of that.
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
        azure=world.azure.azure.url if kind == REGENERATE else "",
        authority=str(world.azure.authority.ca_pem_path),
        **stopping,
    )
    pid = world.nursery.start(job)
    journals = [journal]
    if die_at:
        until(lambda: not alive(pid), f"the death of the bot at point {die_at}", _LONG)
        journals.append(directory / f"{name}-again")
        again = dataclasses.replace(
            job, owner="bot-2", die_at=0, stop_at=0, bystander=False, journal=str(journals[1])
        )
        pid = world.nursery.start(again)

    def ended() -> bool:
        try:
            action = store.get("ACTION")
        except Unavailable:
            return False
        # Redis knows of the end before the bot that brought it can write it down.
        told = any("finish" in each.read_text() for each in journals if each.exists())
        follows = store.get(NEXT)
        done = follows is None or follows.final
        return action is not None and action.final and told and done

    try:
        until(ended, f"the end of {name}", _LONG)
    finally:
        world.nursery.kill(pid)
    return case, store


@pytest.mark.parametrize("kind", CASES)
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
        if kind == REGENERATE:
            # Another time only where the bot died before it could say that Azure had done it.
            journals = (tmp_path / f"{kind}-{die_at}{again}" for again in ("", "-again"))
            # Who comes when all is done has nothing to write down.
            done = [path.read_text().count(REGENERATED) for path in journals if path.exists()]
            assert sum(done) == (2 if point == REGENERATED else 1), point
    for ref in (GatewayRef("west", "dev", f"{kind}-{n}") for n in range(len(points) + 1)):
        left = world.cluster.get("Lease", "dev", lease_name(ref))
        assert (left is None) == (kind == DELETE)
    record(f"{kind}, killed after each of {len(points)} steps", tally)


@pytest.mark.parametrize("dies", [False, True], ids=["alive", "dead"])
@pytest.mark.parametrize("kind", CASES)
def test_stop_pressed_after_any_step_is_heeded_from_the_right_person_and_nothing_is_written_then(
    world: World, kind: str, dies: bool, tmp_path: Path, record: Callable[[str, Tally], None]
) -> None:
    usual, store = carry_out(world, kind, 0, tmp_path, stop_at=_NEVER + dies, bystander=True)
    points = (tmp_path / usual.name).read_text().split("\n")[:-2]
    tally = Tally()
    tally.judge(store, "ACTION")
    tally.wrong += wrong_answers(heard_in(tmp_path / usual.name))
    presses = PRESSED_ONCE if dies else PRESSED_BY_ALL
    waits: list[float] = []

    def one(at: int) -> None:
        case, store = carry_out(
            world,
            kind,
            at if dies else 0,
            tmp_path,
            stop_at=at,
            pressed_by=[who for who, _ in presses],
            next=not dies,
            lease_seconds=LEASE_SECONDS if dies else _LONG_LEASE,
        )
        wrong = stopping.wrongs(world.cluster, world.audit(), case.plan, store, "ACTION")
        wrong += stopping.written_after(tmp_path / case.name)
        wrong += wrong_answers(heard_in(tmp_path / case.name), expected=presses)
        if kind == REGENERATE:
            wrong += stopping.wrong_about_azure(store, "ACTION", seen(world, case).tokens)
        if not dies:
            waits.append(stopping.wait_of_next(store, "ACTION"))
        tally.judge(store, "ACTION", wanted=frozenset({State.STOPPED}))
        tally.wrong += [f"stopped after {points[at - 1]!r}: {each}" for each in wrong]
        world.cluster.delete("Deployment", "dev", case.name)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(one, range(1, len(points) + 1)))
    assert not tally.wrong, "\n".join(tally.wrong)
    if waits:
        # By Redis' time. One of them may meet a machine that does something else; none waits for a lease.
        assert statistics.median(waits) <= _NEXT_WITHIN, waits
        assert max(waits) < _LONG_LEASE, waits
    told = "which then died, " if dies else ""
    record(f"{kind}, {told}stopped after each of {len(points)} steps", tally)
