"""Successes that are looked at once more: what is done may be undone a minute later.

Each is due in an index of its own, which is written before the success is recorded, so that no crash
loses one. Whichever bot takes it looks; the first answer is noted with the action, beside its end and
without changing it, and what was reverted is an event of its log like any other.
"""

import logging
from collections.abc import Callable
from typing import Any

from deploy.actions.action import Action, Outcome, State
from deploy.actions.codec import Codec, Unreadable
from deploy.actions.connection import now_of, redis_errors
from deploy.actions.records import Due, Records
from deploy.actions.store import ActionStore
from deploy.errors import GatewayBotError

log = logging.getLogger(__name__)

AFTER_SECONDS = 120.0
"""A controller that reconciles, or a person who undoes it, has mostly done so by then."""
_PATIENCE_SECONDS = 600.0
"""For so long a cluster that does not answer is asked again."""
_AT_ONCE = 20
_VISIBILITY_MS = 90_000
"""Longer than one look takes, so that no other bot looks meanwhile."""

_SEEN_AGAIN = """
if field('state') ~= 'succeeded' or field('looked') ~= '' then return snapshot('no') end
set('looked', now)
if ARGV[1] ~= '' then
  local version = redis.call('HINCRBY', act, 'version', 1)
  redis.call('XADD', log, '*', 'event', 'reverted', 'who', '', 'detail', ARGV[1], 'version', version,
             'at', now)
end
return snapshot('done')
"""
"""The record's end stays as it is, also when it was updated; only its log gets longer."""


class SecondLooks:
    """Those in one Redis, shared by every bot."""

    def __init__(
        self,
        client: Any,
        codec: Codec,
        store: ActionStore,
        look: Callable[[Action], str],
        *,
        prefix: str = "gateway-bot",
        after: float = AFTER_SECONDS,
    ) -> None:
        """`look` says in sentences what of a success no longer holds, empty where all does; it raises
        what looking raises. `after` is in how many seconds that is asked."""
        self._client = client
        self._records = Records(client, prefix, {"SEEN_AGAIN": _SEEN_AGAIN}, codec)
        self._store = store
        self._look = look
        self._index = f"{prefix}:{{looks}}"
        self._after = after

    @redis_errors
    def expect(self, action: Action, outcome: Outcome) -> None:
        """Called before the end of an action is recorded, perhaps more than once."""
        if outcome.state is State.SUCCEEDED:
            due = int((now_of(self._client) + self._after) * 1000)
            self._client.zadd(self._index, {action.id: due})

    @redis_errors
    def step(self) -> int:
        """Look at what is due now; how many were reverted."""
        reverted = 0
        for _ in range(_AT_ONCE):
            taken = self._records.take_due(self._index, 1, _VISIBILITY_MS)
            if not taken:
                break
            reverted += self._settle(taken[0])
        return reverted

    def _settle(self, due: Due) -> bool:
        """Look at one; it stays due until its answer is noted and its message is marked."""
        records = self._records
        try:
            action = records.get(due.id)
        except Unreadable:
            # The newer bot that wrote it looks.
            return False
        if action is not None and not action.final:
            # Its end is recorded in a moment, or by whoever takes it over.
            return False
        said = None
        if action is not None and action.state is State.SUCCEEDED:
            try:
                said = self._said(action)
            except GatewayBotError as error:
                if now_of(self._client) < action.updated_at + self._after + _PATIENCE_SECONDS:
                    return False
                log.warning("action %s is not looked at once more: %s", due.id, error)
        if said is not None:
            records.run("SEEN_AGAIN", due.id, said)
        if said:
            records.index(due.id, due=False)
        records.drop(self._index, due)
        return bool(said)

    def _said(self, action: Action) -> str:
        """What no longer holds, unless a later action on the gateway has seen to that."""
        said = self._look(action)
        # Asked after the cluster was: what a later one has written, it has recorded before.
        later = any(
            other.fence > action.fence and other.begun for other in self._store.recent(action.ref)
        )
        return "" if later else said
