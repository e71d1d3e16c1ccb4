"""The backlog in Redis and its age, for whoever measures: two round trips, three where the trail is behind.

It looks and changes nothing. Of many entries those are looked at that are due first.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from deploy.actions.action import EDGES, WAITING_FOR, State
from deploy.actions.connection import redis_errors
from deploy.actions.inbox import KEPT_MS
from deploy.actions.owed import tagged
from deploy.actions.pauses import PROGRESS as PAUSED

_LOOKED_AT = 200
_STATES: Mapping[str, State] = {state.value: state for state in State}
_MOMENT_MS = 1e11
"""A score below it is a rank and says nothing of when it was given (deploy.actions.owed)."""


@dataclass(frozen=True)
class Queue:
    """How many entries wait, and for how many seconds the oldest has; 0 where none waits."""

    depth: int
    oldest: float


@dataclass(frozen=True)
class Budget:
    """How many calls were left when one was last counted, `age` seconds ago."""

    left: float
    age: float


@dataclass(frozen=True)
class Backlog:
    """`inbox` are requests without an answer, `approved` actions that are not running yet and wait neither for
    another action nor for the end of a pause, `messages` those
    that are late or that Slack does not accept, `audit` actions of whose log the trail lacks entries. `states` counts
    actions that are not over, and `budgets` says how many calls of Slack's methods were left."""

    inbox: Queue
    approved: Queue
    messages: Queue
    audit: Queue
    states: Mapping[State, int] = field(default_factory=dict)
    budgets: Mapping[str, Budget] = field(default_factory=dict)


class BacklogReader:
    """Several may look at once."""

    def __init__(
        self,
        client: Any,
        methods: Sequence[str],
        *,
        prefix: str = "gateway-bot",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`methods` are those of Slack's whose calls are counted."""
        self._client = client
        self._methods = methods
        self._prefix = prefix
        self._clock = clock
        self._unseen: dict[str, float] = {}

    @redis_errors
    def read(self) -> Backlog:
        """The backlog as it is now. Unavailable where Redis does not say."""
        now = self._clock() * 1000
        inbox, due, unaudited = (
            f"{self._prefix}:{{inbox}}:open",
            f"{self._prefix}:{{due}}",
            f"{self._prefix}:{{unaudited}}",
        )
        owed = tagged(self._prefix, "owed")
        pipe = self._client.pipeline(transaction=False)
        pipe.zcard(inbox)
        pipe.zrange(inbox, 0, _LOOKED_AT - 1)
        pipe.zrange(due, 0, _LOOKED_AT - 1)
        pipe.zrange(unaudited, 0, _LOOKED_AT - 1)
        pipe.zrange(owed, 0, _LOOKED_AT - 1, withscores=True)
        for method in self._methods:
            pipe.hmget(tagged(self._prefix, f"budget:{method}"), "left", "at")
        open_, requests, actions, logged, messages, *left = pipe.execute()
        pipe = self._client.pipeline(transaction=False)
        for key in requests:
            pipe.pttl(f"{self._prefix}:{{i:{key}}}")
        for action in actions:
            pipe.hmget(f"{self._prefix}:{{a:{action}}}:act", "state", "decided", "progress")
        for member, _ in messages:
            pipe.hmget(tagged(self._prefix, f"record:{member}"), "failing", "owed_since")
        for action in logged:
            pipe.hmget(f"{self._prefix}:{{a:{action}}}:act", "version", "audited", "updated")
        answers = iter(pipe.execute() if requests or actions or messages or logged else [])
        kept, standing, noted, written = (
            list(islice(answers, len(each))) for each in (requests, actions, messages, logged)
        )
        states = [_STATES[state] for state, *_ in standing if state in _STATES]
        decided = [
            float(at)
            for state, at, progress in standing
            if state == State.APPROVED and at is not None and not _waits(progress)
        ]
        return Backlog(
            inbox=_queue(int(open_), [now - KEPT_MS + int(ttl) for ttl in kept if ttl > 0], now),
            approved=_queue(len(decided), decided, now),
            messages=self._late(messages, noted, now),
            audit=self._unaudited(logged, written, now),
            states={state: states.count(state) for state in State if EDGES[state]},
            budgets={
                method: Budget(float(calls), max(0.0, now - float(at)) / 1000)
                for method, (calls, at) in zip(self._methods, left, strict=True)
                if calls is not None and at is not None
            },
        )

    def _unaudited(
        self, actions: Sequence[str], written: Sequence[Sequence[str | None]], now: float
    ) -> Queue:
        """Those whose log has what the trail lacks. When one is due says nothing of that: it is due at
        once after each change, and again after each attempt to copy it."""
        behind = [
            (action, int(audited or 0), float(updated or now))
            for action, (version, audited, updated) in zip(actions, written, strict=True)
            if version is not None and int(version) > int(audited or 0)
        ]
        pipe = self._client.pipeline(transaction=False)
        for action, _, _ in behind:
            pipe.xrange(f"{self._prefix}:{{a:{action}}}:log", "-", "+")
        logs = pipe.execute() if behind else []
        since: list[float] = []
        for (_, audited, updated), log in zip(behind, logs, strict=True):
            if not log:
                since.append(updated)
            # Not every change has an entry: progress has none.
            since += islice(
                (float(each["at"]) for _, each in log if int(each["version"]) > audited), 1
            )
        return _queue(len(since), since, now)

    def _late(
        self,
        messages: Sequence[tuple[str, float]],
        noted: Sequence[Sequence[str | None]],
        now: float,
    ) -> Queue:
        since: list[float] = []
        ranked: dict[str, float] = {}
        for (member, score), moments in zip(messages, noted, strict=True):
            if known := [float(at) for at in moments if at is not None]:
                since.append(min(known))
            elif score < _MOMENT_MS:
                # It is due at once, and nobody knows since when: for as long as it was seen here.
                ranked[member] = self._unseen.get(member, now)
                since.append(ranked[member])
            elif score <= now:
                since.append(score)
        self._unseen = ranked
        return _queue(len(since), since, now)


def _waits(progress: str | None) -> bool:
    """Whether an approved action was last seen to wait for another one, or for the end of a pause."""
    try:
        seen = json.loads(progress or "{}")
    except ValueError:
        return False
    return isinstance(seen, dict) and not seen.keys().isdisjoint((WAITING_FOR, PAUSED))


def _queue(depth: int, since: Sequence[float], now: float) -> Queue:
    oldest = max((now - at for at in since), default=0.0)
    return Queue(depth, max(0.0, oldest / 1000))
