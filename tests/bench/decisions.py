"""Decisions of 16 people at once on a Valkey that syncs each write, beside WATCH/MULTI of redis-py.

Each of many actions is approved by 16 clients in the same moment; two approvals make the quorum. All
clients are threads of this process, so the figures hold its own turns too, the peer's alike.
"""

import itertools
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from bot.sandbox.valkey import Valkey
from deploy.actions.action import State
from deploy.actions.connection import connect
from deploy.actions.store import ActionStore
from deploy.gateway import GatewayRef
from deploy.plans.requests import DeployRequest
from deploy.policy import People
from tests.bench.results import Result, milliseconds
from tests.support.actions import CODEC, by_approvers, facts, plan_of

CLIENTS = 16
_ACTIONS = 60
_QUORUM = 2
REACH = 0.5
Decide = Callable[[int, str, str], str]


@dataclass(frozen=True)
class Measured:
    """Seconds of one decision, sorted, and how many actions ended wrong."""

    taken: list[float]
    wrong: int

    @property
    def median(self) -> float:
        """Half of the decisions take no longer."""
        return statistics.median(self.taken)

    @property
    def p99(self) -> float:
        """All but one of a hundred take no longer."""
        return self.taken[int(len(self.taken) * 0.99)]


def measure() -> tuple[Measured, Measured, float]:
    """Ours, the peer's, and the median of a decision that nobody races, in seconds."""
    with tempfile.TemporaryDirectory(prefix="bench-decisions-") as name:
        server = Valkey(Path(name), fsync="always")
        server.start()
        try:
            return _ours(server.url), _peer(server.url), _alone(server.url)
        finally:
            server.stop()


def _ours(url: str) -> Measured:
    stores = [ActionStore(connect(url), CODEC) for _ in range(CLIENTS)]
    ids = [_ask(stores[0], f"B{n}") for n in range(_ACTIONS)]

    def decide(client: int, action_id: str, who: str) -> str:
        return _approve(stores[client], action_id, who)

    taken = _race(ids, decide)
    ended = [stores[0].get(action_id) for action_id in ids]
    wrong = sum(a is None or a.state is not State.APPROVED or len(a.votes) != 2 for a in ended)
    return Measured(taken, wrong)


def _alone(url: str) -> float:
    store = ActionStore(connect(url), CODEC)
    taken = []
    for number in range(100):
        action_id = _ask(store, f"C{number}")
        began = time.perf_counter()
        _approve(store, action_id, "U1")
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _peer(url: str) -> Measured:
    """The same decision as it is written without scripts: read, check, write if nothing changed."""
    clients = [redis.Redis.from_url(url, decode_responses=True) for _ in range(CLIENTS)]
    ids = [f"peer:{n}" for n in range(_ACTIONS)]
    for key in ids:
        clients[0].hset(key, mapping={"state": "pending", "digest": "d"})

    def decide(client: int, key: str, who: str) -> str:
        return _watched(clients[client], key, who)

    taken = _race(ids, decide)
    wrong = sum(
        clients[0].hget(key, "state") != "approved" or clients[0].hlen(f"{key}:votes") != _QUORUM
        for key in ids
    )
    return Measured(taken, wrong)


def _watched(client: Any, key: str, who: str) -> str:
    votes = f"{key}:votes"
    while True:
        with client.pipeline() as pipe:
            try:
                pipe.watch(key, votes)
                if pipe.hget(key, "state") != "pending" or pipe.hget(key, "digest") != "d":
                    return "already"
                count = pipe.hlen(votes)
                pipe.multi()
                pipe.hset(votes, who, json.dumps({"verdict": "approve", "digest": "d"}))
                if count + 1 >= _QUORUM:
                    pipe.hset(key, "state", "approved")
                pipe.xadd(f"{key}:log", {"event": "approval", "who": who})
                pipe.execute()
            except redis.WatchError:
                continue
            return "done"


def _race(ids: list[str], decide: Decide) -> list[float]:
    """Every client decides on each action in the same moment; the seconds that each took."""
    taken: list[float] = []
    together = threading.Barrier(CLIENTS)

    def work(client: int) -> None:
        for action_id in ids:
            together.wait()
            began = time.perf_counter()
            decide(client, action_id, f"U{client}")
            taken.append(time.perf_counter() - began)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(work, range(CLIENTS)))
    return sorted(taken)


_NUMBERS = itertools.count()
_PLAN = plan_of(GatewayRef("west", "prod", "edge-1"))
_POLICY = by_approvers(_QUORUM, People(tuple(f"U{n}" for n in range(CLIENTS))))


def _ask(store: ActionStore, action_id: str) -> str:
    store.create(
        action_id,
        kind="deploy",
        ref=GatewayRef("west", "prod", "edge-1"),
        requester="U99",
        policy=_POLICY,
        digest="d",
        request=DeployRequest(_PLAN.spec),
        plan=_PLAN,
        origin={},
        ttl_seconds=600,
        request_id=action_id,
    )
    return action_id


def _approve(store: ActionStore, action_id: str, who: str) -> str:
    return store.approve(
        action_id,
        by=who,
        person=who,
        digest="d",
        request_id=f"{who}:{next(_NUMBERS)}",
        facts=facts(_POLICY),
    ).result


def main() -> list[Result]:
    """Print the row."""
    ours, peer, alone = measure()
    ratio = ours.median / peer.median
    reached = ratio <= REACH and not ours.wrong
    print(
        f"decision, fsync always, {CLIENTS} at once: median {ours.median * 1000:.2f} ms, "
        f"p99 {ours.p99 * 1000:.1f} ms, {ours.wrong} wrong   WATCH/MULTI "
        f"{peer.median * 1000:.2f} ms, p99 {peer.p99 * 1000:.1f} ms, {peer.wrong} wrong   "
        f"{ratio:.2f}×   alone {alone * 1000:.2f} ms   "
        f"(reach {REACH}×, none wrong: {'reached' if reached else 'NOT reached'})"
    )
    return [
        Result(
            *("decision", f"fsync always, {CLIENTS} at once, {ours.wrong} wrong"),
            milliseconds(ours.median),
            f"≤ {REACH}×, none wrong",
            reached,
            milliseconds(peer.median),
            ratio,
        )
    ]


if __name__ == "__main__":
    main()
