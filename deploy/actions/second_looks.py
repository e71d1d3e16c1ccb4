"""Successes that are looked at once more: what is done may be undone a minute later.

Each is due in an index of its own, which is written before the success is recorded, so that no crash
loses one. Whichever bot takes it looks; the first answer is noted with the action, beside its end and
without changing it, and what was reverted is an event of its log like any other.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from functools import partial
from typing import Any

from deploy.actions.action import Action, Outcome, State
from deploy.actions.codec import Codec, Unreadable
from deploy.actions.connection import now_of, redis_errors
from deploy.actions.records import Due, Records
from deploy.actions.store import ActionStore
from deploy.errors import GatewayBotError, Unavailable

log = logging.getLogger(__name__)

AFTER_SECONDS = 120.0
"""A controller that reconciles, or a person who undoes it, has mostly done so by then."""
_PATIENCE_SECONDS = 600.0
"""For so long a cluster that does not answer is asked again."""
_AT_ONCE = 20
_LONGEST_SECONDS = 5.0
"""For so long a step waits for its looks; what takes longer continues beside the next step."""
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
        longest: float = _LONGEST_SECONDS,
    ) -> None:
        """`look` says in sentences what of a success no longer holds, empty where all does; it raises
        what looking raises. `after` is in how many seconds that is asked, `longest` for how many a
        step waits."""
        self._client = client
        self._records = Records(client, prefix, {"SEEN_AGAIN": _SEEN_AGAIN}, codec)
        self._store = store
        self._look = look
        self._index = f"{prefix}:{{looks}}"
        self._after = after
        self._longest = longest
        self._running: dict[str, Future[int]] = {}

    @redis_errors
    def expect(self, action: Action, outcome: Outcome) -> None:
        """Called before the end of an action is recorded, perhaps more than once."""
        if outcome.state is State.SUCCEEDED:
            due = int((now_of(self._client) + self._after) * 1000)
            self._client.zadd(self._index, {action.id: due})

    @redis_errors
    def step(self) -> int:
        """Look at what is due now, at each cluster beside the others; how many were reverted."""
        for cluster, looks in self._due().items():
            self._running[cluster] = _beginning(partial(self._settle_all, looks), cluster)
        ended, _ = wait(self._running.values(), self._longest)
        self._running = {c: each for c, each in self._running.items() if each not in ended}
        return sum(each.result() for each in ended)

    def _due(self) -> dict[str, list[tuple[Due, Action]]]:
        """What there is to be looked at by cluster. A cluster that is being looked at is left alone:
        what is due there comes again."""
        found: dict[str, list[tuple[Due, Action]]] = {}
        for due in self._records.take_due(self._index, _AT_ONCE, _VISIBILITY_MS):
            try:
                action = self._records.get(due.id)
            except Unreadable:
                # The newer bot that wrote it looks.
                continue
            if action is None or action.state is not State.SUCCEEDED:
                # Of one that has no end yet, it is recorded in a moment, or by whoever takes it over.
                if action is None or action.final:
                    self._records.drop(self._index, due)
            elif action.ref.cluster not in self._running:
                found.setdefault(action.ref.cluster, []).append((due, action))
        return found

    @redis_errors
    def _settle_all(self, looks: Sequence[tuple[Due, Action]]) -> int:
        """Look at those of one cluster; how many were reverted. What is left stays due."""
        reverted = 0
        for due, action in looks:
            try:
                said = self._said(action)
            except GatewayBotError as error:
                if now_of(self._client) >= action.updated_at + self._after + _PATIENCE_SECONDS:
                    log.warning("action %s is not looked at once more: %s", due.id, error)
                    self._records.drop(self._index, due)
                if isinstance(error, Unavailable):
                    # It would let the next look wait as long.
                    break
                continue
            self._note(due, said)
            reverted += bool(said)
        return reverted

    def _note(self, due: Due, said: str) -> None:
        """It stays due until its answer is noted and its message is marked."""
        self._records.run("SEEN_AGAIN", due.id, said)
        if said:
            self._records.index(due.id, due=False)
        self._records.drop(self._index, due)

    def _said(self, action: Action) -> str:
        """What no longer holds, unless a later action on the gateway has seen to that."""
        said = self._look(action)
        # Asked after the cluster was: what a later one has written, it has recorded before.
        later = any(
            other.fence > action.fence and other.begun for other in self._store.recent(action.ref)
        )
        return "" if later else said


def _beginning(work: Callable[[], int], cluster: str) -> Future[int]:
    future: Future[int] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:
            # Where no step waits for it any longer, this line is what is left of it.
            log.info("the second looks at %s failed", cluster, exc_info=error)
            future.set_exception(error)

    threading.Thread(target=run, name=f"second-looks-{cluster}", daemon=True).start()
    return future
