"""The messages of batches: each has one, and the messages of its actions stand in its thread."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.access import Environment
from deploy.actions.action import EDGES, State
from deploy.actions.batches import Batch, Batches
from deploy.actions.codec import Unreadable
from deploy.actions.records import BATCHES
from deploy.actions.reminders import before_end
from deploy.actions.store import ActionStore
from deploy.gateway import GatewayRef
from handlers.messages.budgets import Order
from handlers.messages.family import Line, Message
from handlers.messages.store import MessageRecord
from handlers.views import batch as view
from handlers.views import batch_lines
from handlers.views.batch_state import BatchState, Row
from handlers.views.reply import Block

_SETTLING_SECONDS = 60.0
"""For so long a plan that does not hold is waited for to be planned anew, before its batch ends."""


@dataclass(frozen=True)
class _Shown:
    """`version` is that of the batch and its actions together."""

    state: BatchState
    version: int


class BatchMessages:
    """The family of batches."""

    name = BATCHES

    def __init__(
        self,
        batches: Batches,
        store: ActionStore,
        environment: Callable[[GatewayRef], Environment],
        *,
        settling_seconds: float = _SETTLING_SECONDS,
    ) -> None:
        """`environment` says where a gateway is."""
        self._batches = batches
        self._store = store
        self._environment = environment
        self._settling = settling_seconds

    def load(self, key: str, record: MessageRecord) -> _Shown | None:
        """The batch and its actions as they are now; None before one was planned."""
        batch = self._batches.get(key)
        if batch is None:
            return None
        # Read first: what changes in between is shown with the version after this one.
        version = _version(batch, self._store.versions_of(batch.actions))
        state = read(batch, self._store, self._environment)
        settling = any(
            action.state is State.SUPERSEDED
            and record.taken_at - action.updated_at < self._settling
            for action in state.actions
        )
        state = dataclasses.replace(state, settling=settling)
        return _Shown(state, version) if state.actions else None

    def render(self, state: Any, record: MessageRecord) -> Message:
        """The request, and how each gateway stands."""
        text, blocks = view.message(state.state)
        return self._message(state, record, text, tuple(blocks))

    def plain(self, state: Any, record: MessageRecord) -> Message:
        """How many are in which state."""
        return self._message(state, record, view.summary(state.state), ())

    def versions(self) -> Mapping[str, int]:
        """Those of the batches that have not ended, or had not a moment ago."""
        found: dict[str, int] = {}
        for key in self._batches.open():
            try:
                batch = self._batches.get(key)
            except Unreadable:
                continue
            if batch is None:
                continue
            known = self._store.versions_of(batch.actions)
            found[key] = _version(batch, known)
            last = [known[m.action][1] for m in batch.members if m.action in known]
            if batch.planned and all(state and not EDGES[state] for state in last):
                self._batches.ended(key)
        return found

    def _message(
        self, shown: _Shown, record: MessageRecord, text: str, blocks: tuple[Block, ...]
    ) -> Message:
        state, batch = shown.state, shown.state.batch
        selection, ended = batch.selection, state.ended
        lines = _lines(state, record)
        # Once people have been asked, what changes is progress.
        asked = record.place is not None and all(line.key in record.lines for line in lines)
        asks = not asked and any(action.state is State.PENDING for action in state.actions)
        return Message(
            # While it settles it is behind, so that it is looked at again.
            version=shown.version - (1 if state.settling else 0),
            text=text,
            blocks=blocks,
            channels=tuple(dict.fromkeys((selection.channel, selection.requester))),
            since=batch.created_at,
            lines=lines,
            order=Order.PERSON if asks else Order.FINAL if ended else Order.PROGRESS,
            final=ended,
            anew=not ended,
            about={"state": "ended" if ended else "open"},
        )


def read(
    batch: Batch, store: ActionStore, environment: Callable[[GatewayRef], Environment]
) -> BatchState:
    """The batch with its actions as they are now."""
    listing = store.read([member.action for member in batch.members])
    found = {action.id: action for action in listing.actions}
    unplanned = {each.name for each in batch.unplanned}
    rows = []
    for member in batch.members:
        if str(member.ref) in unplanned and member.action not in found:
            continue
        where = environment(member.ref)
        rows.append(
            Row(
                member.ref,
                where.name,
                where.production,
                found.get(member.action),
                unreadable=member.action in listing.unreadable,
            )
        )
    return BatchState(batch, tuple(rows))


def _version(batch: Batch, known: Mapping[str, tuple[int, State | None]]) -> int:
    return batch.version + sum(version for version, _ in known.values())


def _lines(state: BatchState, record: MessageRecord) -> tuple[Line, ...]:
    if record.lost or record.place is None or not state.batch.planned:
        # A single one calls for itself.
        return ()
    lines = []
    asked = state.batch.selection.channel
    unseen = asked.startswith(("C", "G")) and record.place.channel.startswith("D")
    if unseen and state.to_approve:
        lines.append(Line("once:unseen", batch_lines.unseen(state)))
    elif not unseen:
        lines += [Line(f"once:call:{key}", text) for key, text in batch_lines.calls(state)]
    lines += [
        Line(f"once:elsewhere:{key}", text, to=channel)
        for key, channel, text in batch_lines.calls_elsewhere(state)
    ]
    late = [a for a in state.to_approve if record.taken_at >= a.expires_at - before_end(a)]
    if late:
        lines.append(Line("once:reminder", batch_lines.reminder(late)))
    if state.ended:
        number = len(state.batch.actions)
        lines.append(
            Line(f"once:end:{number}", batch_lines.end(state), broadcast=batch_lines.failed(state))
        )
    return tuple(lines)
