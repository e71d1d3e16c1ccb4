"""The weekly digest: the tokens that a channel is notified about, and when they expire."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.actions.owed import Owed
from deploy.expiry.tracked import Tracked
from deploy.expiry.tracker import Tracker
from deploy.expiry.weekly import Weekly, began, due
from handlers.messages.budgets import Order
from handlers.messages.family import Message
from handlers.messages.store import MessageRecord, MessageStore
from handlers.views import expiry as view
from handlers.views.reply import Block

NAME = "digest"
Clock = Callable[[], datetime.datetime]


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True)
class _Digest:
    channel: str
    week: str
    now: datetime.datetime
    found: tuple[Tracked, ...]


class DigestMessages:
    """The family of digests; a key holds the channel and the week."""

    name = NAME

    def __init__(self, tracker: Tracker, weekly: Weekly, *, clock: Clock = _now) -> None:
        self._tracker = tracker
        self._weekly = weekly
        self._clock = clock

    def load(self, key: str, record: MessageRecord) -> _Digest | None:
        """How the channel's tokens are now; None where it was not posted while it was due."""
        channel, _, week = key.partition("|")
        now = self._clock()
        if record.place is None and record.intent is None and due(self._weekly, now) != week:
            return None
        every = self._tracker.listing()
        mine = tuple(t for t in every if channel in t.facts.channels and t.over != "gone")
        return _Digest(channel, week, now, mine)

    def render(self, state: Any, record: MessageRecord) -> Message:
        """How many expired, expire soon, and are not known, and which."""
        text, blocks = view.digest(state.found, state.now.timestamp())
        return self._message(state, text, tuple(blocks))

    def plain(self, state: Any, record: MessageRecord) -> Message:
        """Of how many gateways it is."""
        return self._message(state, view.digest(state.found, state.now.timestamp())[0], ())

    def versions(self) -> Mapping[str, int]:
        """None: the chore looks after what is due."""
        return {}

    def _message(self, state: _Digest, text: str, blocks: tuple[Block, ...]) -> Message:
        return Message(
            version=1,
            text=text,
            blocks=blocks,
            channels=(state.channel,),
            since=began(self._weekly, state.week),
            order=Order.PROGRESS,
            final=True,
            anew=False,
            patient=True,
        )


class Digests:
    """Marks the digests that are due and were not posted; `channels` are those notified of
    tokens."""

    def __init__(
        self,
        messages: MessageStore,
        owed: Owed,
        channels: Sequence[str],
        weekly: Weekly,
        *,
        clock: Clock = _now,
    ) -> None:
        self._messages = messages
        self._owed = owed
        self._channels = channels
        self._weekly = weekly
        self._clock = clock
        self._posted: set[str] = set()

    def turn(self) -> None:
        """Look once. Raises what Redis raises; calling it again is safe."""
        week = due(self._weekly, self._clock())
        if week is None:
            self._posted.clear()
            return
        keys = [f"{channel}|{week}" for channel in self._channels]
        waiting = [key for key in keys if key not in self._posted]
        for key, shown in self._messages.shown(NAME, waiting).items():
            if shown < 0:
                self._owed.now(key)
            else:
                self._posted.add(key)
