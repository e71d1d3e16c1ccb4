"""The messages of approval windows: each opening has one, and counts while that is shown."""

from collections.abc import Mapping
from typing import Any

from deploy.actions.windows import MESSAGES, Window, Windows
from handlers.messages.budgets import Order
from handlers.messages.family import Line, Message
from handlers.messages.store import MessageRecord
from handlers.views import window as view
from handlers.views.places import EnvironmentOf
from handlers.views.reply import Block


class WindowMessages:
    """The family of approval windows."""

    name = MESSAGES

    def __init__(self, windows: Windows, environment_of: EnvironmentOf) -> None:
        self._windows = windows
        self._environment_of = environment_of

    def load(self, key: str, record: MessageRecord) -> Window | None:
        """The window as it is now; None for one that was over before it was posted."""
        window = self._windows.at(key)
        if window is None or not window.channel:
            return None
        unseen = record.place is None and record.intent is None and record.shown < 0
        return None if unseen and window.over else window

    def render(self, state: Any, record: MessageRecord) -> Message:
        """Who may do what until when, with the button that closes it; or that it is closed."""
        window: Window = state
        text, blocks = view.message(window, self._environment_of(window.ref))
        return _message(window, text, tuple(blocks))

    def plain(self, state: Any, record: MessageRecord) -> Message:
        """How it stands."""
        window: Window = state
        return _message(window, view.plain(window), ())

    def versions(self) -> Mapping[str, int]:
        """Those of the windows that are open, or were a moment ago."""
        return self._windows.versions()


def _message(window: Window, text: str, blocks: tuple[Block, ...]) -> Message:
    return Message(
        version=2 if window.over else 1,
        text=text,
        blocks=blocks,
        channels=(window.channel,),
        since=window.opened_at,
        order=Order.FINAL if window.over else Order.PERSON,
        final=window.over,
        instead=(Line("once:lost", view.unseen(window), to=window.by),),
        anew=not window.over,
        about={
            "state": "ended" if window.over else "open",
            "gateway": str(window.ref),
            "by": window.requester,
        },
    )
