"""The messages that are kept current for some minutes: what they show is read from their record."""

from collections.abc import Mapping
from typing import Any

from deploy.health.live_messages import LiveMessage, LiveMessages
from handlers.messages.budgets import Order
from handlers.messages.family import Line, Message
from handlers.messages.store import MessageRecord, Place
from handlers.views import live as view
from handlers.views.reply import Block


class LiveFamily:
    """A family of them."""

    def __init__(self, name: str, store: LiveMessages, stop_id: str) -> None:
        """`stop_id` is the action_id of its Stop button."""
        self.name = name
        self._store = store
        self._stop_id = stop_id

    def load(self, key: str, record: MessageRecord) -> LiveMessage | None:
        """What the bot that keeps it saw last."""
        return self._store.find(key)

    def render(self, state: Any, record: MessageRecord) -> Message:
        """That, and until when it is kept current, or why it no longer is."""
        message: LiveMessage = state
        text, blocks = view.message(message, self._stop_id)
        return _message(message, record, text, tuple(blocks))

    def plain(self, state: Any, record: MessageRecord) -> Message:
        """Whether it is kept current."""
        message: LiveMessage = state
        return _message(message, record, view.plain(message), ())

    def versions(self) -> Mapping[str, int]:
        """Those of the messages that are kept current, or were a moment ago."""
        return self._store.versions()


def _message(
    message: LiveMessage, record: MessageRecord, text: str, blocks: tuple[Block, ...]
) -> Message:
    channel, user = str(message.payload["channel"]), str(message.payload["user"])
    # What is shared is for the channel, and nobody else has asked for it.
    places = (channel,) if view.shared(message) else (channel, user)
    thread = str(message.payload.get("thread", ""))
    progress = Order.PROGRESS if message.ending is None else Order.FINAL
    return Message(
        version=message.version,
        text=text,
        blocks=blocks,
        channels=tuple(dict.fromkeys(each for each in places if each)),
        since=message.begun,
        title="" if thread else str(message.payload.get("title", "")),
        parent=Place(channel, thread) if thread else None,
        lines=(Line("once:note", message.note),) if message.note else (),
        order=Order.PERSON if record.place is None else progress,
        final=message.ending is not None,
        instead=(Line("once:lost", view.lost(message), to=user),),
        anew=False,
        # It changes all the time: each of its states would be posted.
        whole=False,
        about={"state": "open" if message.ending is None else "ended"},
    )
