"""The messages of actions: each has one, with a thread for what happened."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from deploy.actions.action import Action, Event, State
from deploy.actions.pauses import Pause
from deploy.actions.store import ActionStore
from deploy.commands import Command
from deploy.rollouts.ways_out import stuck
from handlers.messages.budgets import Order
from handlers.messages.family import Line, Message
from handlers.messages.store import MessageRecord, Place
from handlers.slack.payloads import IN_PERSON
from handlers.views.allowed import for_requester, only
from handlers.views.notes import Note, within
from handlers.views.reply import Block
from handlers.views.text import cut, escape

NAME = "action"
RAN = "running"
"""What the message of an action says about itself while that is carried out."""

_ALONE_SECONDS = 900.0
"""Once its batch's message has failed for so long, that of a member stands alone."""
_SOONEST, _LATEST = 0.5, 10.0
"""How often it is looked at until then: more rarely, the longer it waits."""


class Render(Protocol):
    """The message of an action, given what else is open on its gateway and the pause that it would
    wait for."""

    def __call__(
        self, action: Action, /, *, beside: Sequence[Action], paused: Pause | None
    ) -> tuple[str, list[Block]]: ...


Notes = Callable[[Action, Sequence[Event], str], tuple[Note, ...]]
"""What these events of an action, whose message is in that channel, are worth saying."""


@dataclass(frozen=True)
class _Shown:
    """An action and the events of its log that no line was posted for yet."""

    action: Action
    events: tuple[Event, ...]
    parent: Place | None = None
    """Where the message of its batch is, in whose thread this one belongs."""
    waits: float = 0.0
    """While that is still to be posted, in how many seconds to look again."""
    beside: tuple[Action, ...] = ()
    """What else is open on its gateway, while it waits for its decision."""
    paused: Pause | None = None
    """The pause that it will wait for, should it be decided now."""


class ActionMessages:
    """The family of actions."""

    name = NAME

    def __init__(
        self,
        store: ActionStore,
        render: Render,
        notes: Notes,
        *,
        paused: Callable[[Action], Pause | None] = lambda action: None,
        window_place: Callable[[str], Place | None] = lambda window: None,
        batch_message: Callable[[str], MessageRecord | None] = lambda batch: None,
    ) -> None:
        """`paused` is the pause that keeps an action from starting now. `window_place` says where the
        message of an approval window is, `batch_message` what is known of that of a batch; None
        where there is no such batch."""
        self._store = store
        self._render = render
        self._notes = notes
        self._paused = paused
        self._window_place = window_place
        self._batch_message = batch_message

    def load(self, key: str, record: MessageRecord) -> _Shown | None:
        """The action as it is now."""
        action, told = self._store.told(key)
        if action is None:
            return None
        events = tuple(event for event in told if event.version > record.cursor)
        pending = action.state is State.PENDING
        paused = self._paused(action) if pending else None
        shown = _Shown(action, events, beside=self._beside(action), paused=paused)
        if not action.batch or record.place is not None:
            return shown
        top = self._batch_message(action.batch)
        if top is None or top.place is not None or _unseen(top, record.taken_at):
            return replace(shown, parent=top.place if top else None)
        waited = record.taken_at - action.created_at
        return replace(shown, waits=max(_SOONEST, min(waited / 4, _LATEST)))

    def _beside(self, action: Action) -> tuple[Action, ...]:
        if action.state is not State.PENDING:
            return ()
        return tuple(each for each in self._store.open_on(action.ref) if each.id != action.id)

    def render(self, state: Any, record: MessageRecord) -> Message:
        """The action's plan or progress or end, and its buttons."""
        action: Action = state.action
        text, blocks = self._render(action, beside=state.beside, paused=state.paused)
        if _alone(_places(state), record):
            blocks = only(blocks, for_requester(action))
        return self._message(state, record, text, tuple(blocks))

    def plain(self, state: Any, record: MessageRecord) -> Message:
        """What it is and how it stands."""
        action: Action = state.action
        end = f" {escape(cut(action.outcome.happened, 500))}" if action.outcome else ""
        text = (
            f"{action.kind} {action.ref}: {action.state.value}.{end} Slack cannot show all of it; "
            f"{Command('history', action.ref)} shows more."
        )
        return self._message(state, record, text, ())

    def versions(self) -> Mapping[str, int]:
        """Those of the actions that are not final, or were not a moment ago."""
        return self._store.versions()

    def _message(
        self, state: _Shown, record: MessageRecord, text: str, blocks: tuple[Block, ...]
    ) -> Message:
        action = state.action
        channels = _places(state)
        # Not posted yet, it is in the first place that is open.
        shown_in = record.place.channel if record.place else channels[0]
        inside = bool(record.place.thread) if record.place else state.parent is not None
        owed = (
            within(action, state.events) if inside else self._notes(action, state.events, shown_in)
        )
        # Everybody else comes before the requester, whose direct messages may not take any.
        ordered = sorted(owed, key=lambda note: note.to == "requester")
        lines = (self._line(action, note) for note in ordered)
        return Message(
            version=action.version,
            text=text,
            blocks=blocks,
            channels=channels,
            since=action.created_at,
            lines=tuple(line for line in lines if line is not None),
            cursor=max((event.version for event in state.events), default=record.cursor),
            order=_order(action),
            # Progress goes by too quickly to be read whole.
            whole=action.state is not State.RUNNING,
            final=action.final,
            instead=(_lost(action),),
            about=_about(action),
            parent=state.parent,
            waits=state.waits,
        )

    def _line(self, action: Action, note: Note) -> Line | None:
        if note.to == "channel":
            return Line(note.key, note.text, to=note.channel, blocks=note.blocks)
        if note.to == "requester":
            named = Line(note.key, f"<@{action.requester}> {note.text}")
            return Line(note.key, note.text, to=action.requester, otherwise=named)
        if note.to == "window":
            top = self._window_place(action.policy.windows[0])
            return Line(note.key, note.text, to=top.channel, thread=top.ts) if top else None
        return Line(note.key, note.text, broadcast=note.broadcast)


def _places(state: _Shown) -> tuple[str, ...]:
    """Where its message belongs, the first that takes it."""
    action = state.action
    asked = str(action.origin.get("channel", ""))
    first = state.parent.channel if state.parent else asked
    return tuple(dict.fromkeys(place for place in (first, asked, action.requester) if place))


def _alone(places: Sequence[str], record: MessageRecord) -> bool:
    """Whether it is, or will be, where only its requester sees it."""
    ahead = next((place for place in places if place not in record.closed), "")
    return (record.place.channel if record.place else ahead).startswith(IN_PERSON)


def _about(action: Action) -> dict[str, str]:
    """What its message carries for when Redis has lost it."""
    return {
        "state": "ended" if action.final else "open",
        "stage": RAN if action.state is State.RUNNING else "",
        "kind": action.kind,
        "gateway": str(action.ref),
        "by": "" if action.automatic else action.requester,
    }


def _unseen(top: MessageRecord, now: float) -> bool:
    """Whether the message of a batch is not there, and is not to be waited for."""
    # A turn that ended without a post found that Slack takes none.
    gave_up = bool(top.lost) or top.shown >= 0
    return gave_up or (top.failing is not None and now - top.failing > _ALONE_SECONDS)


def _order(action: Action) -> Order:
    if action.final or action.state is State.APPROVED:
        return Order.FINAL
    # Somebody has to do something about what is stuck.
    asks = action.state is State.PENDING or stuck(action) is not None
    return Order.PERSON if asks else Order.PROGRESS


def _lost(action: Action) -> Line:
    """For the requester, whose message can never be shown."""
    waits = action.policy.by == "approvers" and action.state is State.PENDING
    remedy = f" An approver can decide with {Command('approve', action.id)}." if waits else ""
    return Line(
        "once:lost",
        f"The message of your request to {action.kind} {action.ref} could not be posted or "
        f"updated.{remedy} "
        f"{Command('history', action.ref)} shows its progress and result.",
        to=action.requester,
    )
