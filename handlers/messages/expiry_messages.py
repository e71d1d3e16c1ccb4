"""The messages of tokens that expire: one a gateway, channel and episode, with a thread."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.expiry.tracked import MESSAGES, MessageKey, Tracked
from deploy.expiry.tracker import Tracker
from handlers.messages.budgets import Order
from handlers.messages.family import Line, Message
from handlers.messages.store import MessageRecord
from handlers.views import expiry as view
from handlers.views.reply import Block

NAME = MESSAGES


@dataclass(frozen=True)
class _Warned:
    """A gateway's record as one episode has it, for one channel."""

    channel: str
    tracked: Tracked


class ExpiryMessages:
    """The family of warnings."""

    name = NAME

    def __init__(self, tracker: Tracker, production: Container[str] = ()) -> None:
        """`production` are the names of the environments that are production."""
        self._tracker = tracker
        self._production = production

    def load(self, key: str, record: MessageRecord) -> _Warned | None:
        """The episode as it is now; None for one that was over before anything of it was posted, as
        nobody heard that it began."""
        wanted = MessageKey.parse(key)
        tracked = self._tracker.find(wanted.ref)
        if tracked is None or tracked.episode < wanted.episode:
            return None
        tracked = tracked.during(wanted.episode)
        if tracked.over and record.place is None and record.intent is None:
            return None
        return _Warned(wanted.channel, tracked)

    def render(self, state: Any, record: MessageRecord) -> Message:
        """When its token expires, and what can be done; or how that ended."""
        text, blocks = view.message(
            state.tracked, production=self._is_production(state), refound=record.refound
        )
        return _message(state, record, text, tuple(blocks))

    def plain(self, state: Any, record: MessageRecord) -> Message:
        """What it is about."""
        text = view.headline(state.tracked, production=self._is_production(state))
        return _message(state, record, text, ())

    def _is_production(self, state: _Warned) -> bool:
        return state.tracked.facts.environment in self._production

    def versions(self) -> Mapping[str, int]:
        """Those of the episodes that last, or were over a moment ago."""
        return self._tracker.versions()


def _message(
    state: _Warned, record: MessageRecord, text: str, blocks: tuple[Block, ...]
) -> Message:
    tracked = state.tracked
    mine = [entry for entry in tracked.entries if entry.episode == tracked.episode]
    last = max((entry.number for entry in mine), default=0)
    # The post of the message itself shows what led to it, and what is gone has no thread.
    fresh = [e for e in mine if e.number > record.cursor] if record.place is not None else []
    lines = []
    for entry in fresh:
        note, broadcast = view.note(entry)
        lines.append(Line(str(entry.number), note, broadcast=broadcast))
    urgent = tracked.over or tracked.warned == 0
    return Message(
        version=tracked.version,
        text=text,
        blocks=blocks,
        channels=(state.channel,),
        since=_since(tracked),
        lines=tuple(lines),
        cursor=max(last, record.cursor),
        order=Order.FINAL if urgent else Order.PROGRESS,
        final=bool(tracked.over),
        anew=not tracked.over,
        opening=last,
        patient=True,
    )


def _since(tracked: Tracked) -> float:
    """When its first threshold was passed, perhaps before Redis lost what was known then."""
    began = [e.at for e in tracked.entries if e.episode == tracked.episode][:1]
    expires_at = tracked.facts.expires_at
    if expires_at is not None and not tracked.over:
        began.append(expires_at - max(tracked.facts.thresholds, default=0.0))
    return min(began, default=tracked.now)
