"""The message about Socket Mode connections that no bot has: one for each time that lasts."""

from collections.abc import Mapping
from typing import Any

from handlers.messages.budgets import Order
from handlers.messages.family import Message
from handlers.messages.store import MessageRecord
from handlers.slack.connections import NAME, ConnectionCount
from handlers.views import connections as view
from handlers.views.connections import LostConnections
from handlers.views.reply import Block


class ConnectionMessages:
    """The family of them; `channel` is the operators', or empty, `command` is what people type."""

    name = NAME

    def __init__(self, count: ConnectionCount, channel: str, command: str) -> None:
        self._count = count
        self._channel = channel
        self._command = command

    def load(self, key: str, record: MessageRecord) -> LostConnections | None:
        """How it is now; None for one that was over before it was posted, and without a channel."""
        found = self._count.find(key)
        if found is None or not self._channel:
            return None
        unseen = record.place is None and record.intent is None and record.shown < 0
        return None if unseen and found.ended else found

    def render(self, state: Any, record: MessageRecord) -> Message:
        """What gets lost and what to do, or that it is over."""
        text, blocks = view.message(state, self._command)
        return self._message(state, text, tuple(blocks))

    def plain(self, state: Any, record: MessageRecord) -> Message:
        """It in one sentence."""
        return self._message(state, view.sentence(state), ())

    def versions(self) -> Mapping[str, int]:
        """Those of the last ones."""
        return self._count.versions() if self._channel else {}

    def _message(self, found: LostConnections, text: str, blocks: tuple[Block, ...]) -> Message:
        return Message(
            version=found.version,
            text=text,
            blocks=blocks,
            channels=(self._channel,),
            since=found.began,
            order=Order.FINAL,
            final=bool(found.ended),
            anew=not found.ended,
            patient=True,
            about={"state": "ended" if found.ended else "open"},
        )
