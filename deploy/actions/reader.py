"""What is known of actions: nothing here changes one.

Every method raises Unavailable when Redis cannot be used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from deploy.actions import scripts
from deploy.actions.action import EDGES, Action, Event, State
from deploy.actions.codec import Codec, Unreadable
from deploy.actions.connection import now_of, redis_errors
from deploy.actions.records import Records, plausible
from deploy.gateway import GatewayRef

_FORGOTTEN_SECONDS = 5.0
"""What runs, or may begin, is due again sooner than that."""
_OPEN_LIMIT = 500
_RECENT_LIMIT = 50
_STATES = frozenset(state.value for state in State)
_FINAL = frozenset(state.value for state, following in EDGES.items() if not following)
_WAITING = (State.PENDING, State.APPROVED)


class Interruption(StrEnum):
    """Why a run must end: somebody stopped its action, or it has ended otherwise, or Redis has lost it."""

    STOPPED = "stopped"
    LOST = "lost"


@dataclass(frozen=True)
class Listing:
    """Actions, and the names of those that this bot cannot read; `more` is how many were left out."""

    actions: tuple[Action, ...]
    unreadable: tuple[str, ...] = field(default=())
    more: int = 0


class ActionReader:
    """Reads the actions in one Redis."""

    def __init__(self, client: Any, codec: Codec, *, prefix: str = "gateway-bot") -> None:
        self._client = client
        self._prefix = prefix
        self._records = Records(client, prefix, scripts.TRANSITIONS, codec)

    @redis_errors
    def get(self, action_id: str) -> Action | None:
        """The record as it is now; None when there is none (any longer)."""
        return self._records.get(action_id) if plausible(action_id) else None

    @redis_errors
    def told(self, action_id: str) -> tuple[Action | None, tuple[Event, ...]]:
        """The record as it is now, None when there is none (any longer), and its own log."""
        return self._records.told(action_id) if plausible(action_id) else (None, ())

    @redis_errors
    def events(self, action_id: str) -> tuple[Event, ...]:
        """The action's own log, oldest first."""
        return self._records.events(action_id, 0) if plausible(action_id) else ()

    @redis_errors
    def listing(self) -> Listing:
        """Pending and running actions, oldest first, and which of them cannot be read. Of very many,
        those that are due first."""
        records = self._records
        ids = [str(i) for i in records.client.zrange(records.due_key, 0, _OPEN_LIMIT - 1)]
        full = len(ids) == _OPEN_LIMIT
        more = records.client.zcard(records.due_key) - _OPEN_LIMIT if full else 0
        found = self._read(ids)
        waiting = [action for action in found.actions if not action.final]
        return Listing(tuple(sorted(waiting, key=_age)), found.unreadable, max(0, more))

    @redis_errors
    def versions(self) -> dict[str, int]:
        """The version of each action that waits or runs, or did a moment ago.

        Whoever decides one may die before it is made due: what is no longer pending is due by
        then.
        """
        records = self._records
        listed = records.client.zrange(records.due_key, 0, -1, withscores=True)
        if not listed:
            return {}
        known = self.versions_of([str(action_id) for action_id, _ in listed])
        latest = self.now() + _FORGOTTEN_SECONDS
        forgotten = [
            action_id
            for action_id, at in listed
            if at / 1000 > latest and known.get(action_id, (0, None))[1] is not State.PENDING
        ]
        if forgotten:
            records.client.zadd(records.due_key, dict.fromkeys(forgotten, 0), xx=True)
        return {name: version for name, (version, _) in known.items()}

    @redis_errors
    def versions_of(self, ids: Sequence[str]) -> dict[str, tuple[int, State | None]]:
        """The version and state of each of these actions that there is; None for a state that only
        a newer bot knows."""
        with self._client.pipeline(transaction=False) as pipe:
            for action_id in ids:
                pipe.hmget(self._records.keys(action_id)[0], "version", "state")
            found = pipe.execute() if ids else []
        return {
            name: (int(version), State(state) if state in _STATES else None)
            for name, (version, state) in zip(ids, found, strict=True)
            if version
        }

    @redis_errors
    def read(self, ids: Sequence[str]) -> Listing:
        """These actions as they are now, those that there are."""
        return self._read(ids)

    @redis_errors
    def open(self) -> tuple[Action, ...]:
        """Each pending and running action, however many there are, the oldest first."""
        ids = [str(i) for i in self._client.zrange(self._records.due_key, 0, -1)]
        found = [
            action
            for start in range(0, len(ids), _OPEN_LIMIT)
            for action in self.read(ids[start : start + _OPEN_LIMIT]).actions
            if not action.final
        ]
        return tuple(sorted(found, key=_age))

    @redis_errors
    def now(self) -> float:
        """Redis' own time, epoch seconds: the clock of everything that is decided."""
        return now_of(self._client)

    @redis_errors
    def recent(self, ref: GatewayRef) -> tuple[Action, ...]:
        """The actions of one gateway that were asked for since yesterday, newest first."""
        names = self._client.zrevrange(self._recent_key(ref), 0, _RECENT_LIMIT - 1)
        return self._read([str(name) for name in names]).actions

    @redis_errors
    def open_on(self, ref: GatewayRef) -> tuple[Action, ...]:
        """The actions of one gateway that wait or run, newest first."""
        return self._read(self._open_names(ref, *_WAITING, State.RUNNING)).actions

    def _open_names(self, ref: GatewayRef, *states: State) -> list[str]:
        """The ids of its actions in one of these states, newest first."""
        names = self._client.zrevrange(self._recent_key(ref), 0, -1)
        known = self.versions_of([str(name) for name in names])
        return [name for name, (_, state) in known.items() if state in states]

    @redis_errors
    def interruption(self, action_id: str) -> Interruption | None:
        """Why a run of the action must end, if it must: one command, for it is asked before each
        write."""
        state, stopped_by = self._records.fields(action_id, "state", "stop_by")
        if state is None or state in _FINAL:
            return Interruption.LOST
        return Interruption.STOPPED if stopped_by else None

    def _read(self, ids: Sequence[str]) -> Listing:
        found: list[Action] = []
        unreadable: list[str] = []
        for action_id, action in self._records.each(ids):
            if isinstance(action, Unreadable):
                unreadable.append(action_id)
            elif action is not None:
                found.append(action)
        return Listing(tuple(found), tuple(unreadable))

    def _recent_key(self, ref: GatewayRef) -> str:
        return f"{self._prefix}:{{recent:{ref}}}"


def _age(action: Action) -> tuple[float, str]:
    return action.created_at, action.id
