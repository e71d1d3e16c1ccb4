"""The messages of automatic rotation that stopped in an environment, and of what ended that."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.actions.owed import Owed
from deploy.expiry.rotation_stops import RotationStop, RotationStops
from handlers.messages.budgets import Order
from handlers.messages.family import Line, Message
from handlers.messages.store import MessageRecord, MessageStore
from handlers.views import expiry as view
from handlers.views.reply import Block

NAME = "rotation"
_STOPPED, _RESUMED = 1, 2
"""The versions of a stop."""


@dataclass(frozen=True)
class _Stop:
    channel: str
    stop: RotationStop


class RotationMessages:
    """The family of stops; a key holds the channel, the stop's number and the environment."""

    name = NAME

    def __init__(self, stops: RotationStops, production: Container[str] = ()) -> None:
        """`production` are the names of the environments that are production."""
        self._stops = stops
        self._production = production

    def load(self, key: str, record: MessageRecord) -> _Stop | None:
        """The stop as it is now; None for one that was over before anything of it was posted."""
        channel, number, environment = key.split("|", 2)
        stop = self._stops.find(environment, int(number))
        if stop is None or (stop.resumed_by and record.place is None and record.intent is None):
            return None
        return _Stop(channel, stop)

    def render(self, state: Any, record: MessageRecord) -> Message:
        """Why nothing is rotated, with a button; later who resumed it."""
        text, blocks = view.stopped(state.stop, production=self._is_production(state))
        return _message(state, record, text, tuple(blocks))

    def plain(self, state: Any, record: MessageRecord) -> Message:
        """What it is about; it is resumed by the button of another channel."""
        text = view.stop_title(state.stop, production=self._is_production(state))
        return _message(state, record, text, ())

    def _is_production(self, state: _Stop) -> bool:
        return state.stop.environment in self._production

    def versions(self) -> Mapping[str, int]:
        """None: whoever stops reports it again and again."""
        return {}


def _message(state: _Stop, record: MessageRecord, text: str, blocks: tuple[Block, ...]) -> Message:
    stop = state.stop
    lines: tuple[Line, ...] = ()
    if stop.resumed_by and record.place is not None:
        # An edit notifies nobody.
        lines = (Line("resumed", view.goes_on(stop), broadcast=True),)
    return Message(
        version=_version(stop),
        text=text,
        blocks=blocks,
        channels=(state.channel,),
        since=stop.at,
        lines=lines,
        order=Order.FINAL,
        final=bool(stop.resumed_by),
        anew=not stop.resumed_by,
        about={"state": "ended" if stop.resumed_by else "open"},
        patient=True,
    )


def _version(stop: RotationStop) -> int:
    return _RESUMED if stop.resumed_by else _STOPPED


class StopMarks:
    """Marks the messages of a stop that do not show it; `channels` are by environment."""

    def __init__(
        self, messages: MessageStore, owed: Owed, channels: Mapping[str, Sequence[str]]
    ) -> None:
        self._messages = messages
        self._owed = owed
        self._channels = channels

    def mark(self, stop: RotationStop) -> None:
        """Calling it again is safe. Raises what Redis raises."""
        places = self._channels.get(stop.environment, ())
        keys = [f"{place}|{stop.number}|{stop.environment}" for place in places]
        for key, shown in self._messages.shown(NAME, keys).items():
            # What was never reported needs no end.
            if shown < _version(stop) and (shown >= 0 or not stop.resumed_by):
                self._owed.now(key)
