"""The messages of what Redis has lost, actions above all: each is ended where it stands.

They are found by a search through the channels after a reset (`lost_search.py`), or because somebody
clicks on one.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from deploy.actions.connection import now_of, redis_errors
from deploy.actions.owed import Owed, member, tagged
from deploy.actions.versions import check, reading
from deploy.actions.windows import MESSAGES as WINDOW
from deploy.errors import GatewayBotError
from deploy.gateway import GatewayRef
from deploy.rollouts.lost import LostActions, Remains, StillRuns
from handlers.messages import lookup
from handlers.messages.action_messages import NAME as ACTION
from handlers.messages.action_messages import RAN
from handlers.messages.budgets import Order
from handlers.messages.family import Line, Message
from handlers.messages.store import MessageRecord, MessageStore, Place
from handlers.slack.payloads import Click
from handlers.views import lost as view
from handlers.views.places import EnvironmentOf
from handlers.views.reply import Block
from handlers.views.text import cut

NAME = "lost"
OPEN = "open"
"""What a message says about itself while something may still become of it."""
_VERSION = 1
_KEEP_MS = 31 * 86_400_000
_PATIENCE = 120.0
"""For so many seconds a cluster that cannot be read is asked again before that is the answer."""


@dataclass(frozen=True)
class LostMessage:
    """A message without its record: which it was, where it is, and what it says about itself.

    `title` is its heading; `text` and `blocks` are what it shows, where it is about no action.
    `found_at` is Redis' time, epoch seconds; `reset` says that Redis was emptied since it was posted.
    """

    family: str
    key: str
    place: Place
    about: Mapping[str, str]
    title: str
    found_at: float
    reset: bool
    text: str = ""
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True)
class _Ended:
    """One, and what the cluster holds; `unread` says why that cannot be read."""

    lost: LostMessage
    remains: Remains | None = None
    unread: str = ""


class LostStore:
    """Those that were found. Raises Unavailable when Redis cannot be used."""

    def __init__(self, client: Any, messages: MessageStore, *, prefix: str = "gateway-bot") -> None:
        self._client = client
        self._messages = messages
        self._owed = Owed(client, NAME, prefix=prefix)
        self._prefix = prefix

    @property
    def marks(self) -> Owed:
        """The marks of these messages in the index."""
        return self._owed

    def report(self, message: Mapping[str, Any], channel: str) -> None:
        """Have this message of Slack's ended. It may be repeated."""
        name, about = lookup.carried(message)
        family, _, key = name.partition(":")
        self._keep(family, key, message, channel, about)

    def clicked(self, click: Click, family: str, key: str) -> None:
        """Have the message ended whose button was clicked, and of which there is no record.

        What only one person sees is left alone: Slack cannot update it.
        """
        message = click.message
        if click.alone or not message.get("ts"):
            return
        _, about = lookup.carried(message)
        if about and about.get("state") != OPEN:
            # It has ended, and this click came from before that was drawn.
            return
        self._keep(family, key or str(message["ts"]), message, click.channel, about)

    @redis_errors
    def find(self, key: str) -> LostMessage | None:
        """One of them, by its name in the index."""
        text = self._client.get(self._name(key))
        if text is None:
            return None
        with reading(f"The record of the lost message {key}"):
            data = json.loads(text)
            check(f"The record of the lost message {key}", data.pop("format"), _VERSION)
            data |= {"place": Place(**data["place"]), "blocks": tuple(data["blocks"])}
            return LostMessage(**data)

    @redis_errors
    def _keep(
        self,
        family: str,
        key: str,
        message: Mapping[str, Any],
        channel: str,
        about: Mapping[str, str],
    ) -> None:
        ts = str(message["ts"])
        thread = str(message.get("thread_ts") or "")
        generation = self._messages.generation()
        place = Place(channel, ts, "" if thread == ts else thread)
        found = LostMessage(
            family=family,
            key=key,
            place=place,
            about=dict(about),
            title=_heading(message),
            found_at=now_of(self._client),
            # Without one no bot has looked since.
            reset=generation is None or float(ts) < generation + lookup.SKEW_SECONDS,
            text="" if family == ACTION else str(message.get("text", "")),
            blocks=() if family == ACTION else tuple(message.get("blocks") or ()),
        )
        name = member(family, key)
        text = json.dumps({"format": _VERSION, **asdict(found)})
        # What a message says about itself is not in every payload of a click.
        self._client.set(self._name(name), text, px=_KEEP_MS, nx=not about)
        self._messages.adopt(NAME, name, place)
        self._owed.now(name)

    def _name(self, key: str) -> str:
        return tagged(self._prefix, f"lost:{key}")


class LostMessages:
    """The family of them."""

    name = NAME

    def __init__(
        self, store: LostStore, actions: LostActions, environment_of: EnvironmentOf
    ) -> None:
        self._store = store
        self._actions = actions
        self._environment_of = environment_of

    def load(self, key: str, record: MessageRecord) -> _Ended | None:
        """What became of it, as far as its cluster shows. Raises GatewayBotError while a bot still
        works on it, and for two minutes where the cluster cannot be read."""
        lost = self._store.find(key)
        if lost is None or (record.place is None and record.shown < 0):
            return None
        gateway = lost.about.get("gateway", "")
        if lost.family != ACTION or not gateway:
            return _Ended(lost)
        try:
            return _Ended(lost, self._actions.of(GatewayRef.parse(gateway), lost.key))
        except StillRuns:
            raise
        except GatewayBotError as error:
            if record.taken_at - lost.found_at < _PATIENCE:
                raise
            return _Ended(lost, unread=error.happened)

    def render(self, state: Any, record: MessageRecord) -> Message:
        """How it ended, or that it is no longer current; an action's requester is notified in the
        thread."""
        ended: _Ended = state
        request = _request(ended.lost)
        if ended.lost.family == WINDOW:
            closed = view.window_closed(request.gateway, request.by, self._environment_of)
            return _message(ended.lost, *closed)
        if ended.lost.family != ACTION:
            return _message(ended.lost, *view.stale(ended.lost.text, ended.lost.blocks))
        shown = view.ended(request, ended.remains, ended.unread, self._environment_of)
        return _message(ended.lost, *shown, _note(ended, request))

    def plain(self, state: Any, record: MessageRecord) -> Message:
        """That it is lost."""
        return dataclasses.replace(self.render(state, record), blocks=())

    def versions(self) -> Mapping[str, int]:
        """None: whoever finds one marks it, and finds it again until that is done."""
        return {}


def _request(lost: LostMessage) -> view.LostRequest:
    about = lost.about
    return view.LostRequest(
        title=lost.title,
        kind=about.get("kind", ""),
        gateway=about.get("gateway", ""),
        by=about.get("by", ""),
        ran=about.get("stage") == RAN,
        reset=lost.reset,
    )


def _note(ended: _Ended, request: view.LostRequest) -> tuple[Line, ...]:
    if not request.by:
        return ()
    text = view.note(request, ended.remains, ended.unread)
    return (Line("once:lost", text, otherwise=Line("", text, to=request.by)),)


def _message(
    lost: LostMessage, text: str, blocks: list[Block], lines: tuple[Line, ...] = ()
) -> Message:
    return Message(
        version=1,
        text=text,
        blocks=tuple(blocks),
        channels=(lost.place.channel,),
        since=lost.found_at,
        lines=lines,
        order=Order.FINAL,
        final=True,
        anew=False,
        about={"state": "ended"},
    )


def _heading(message: Mapping[str, Any]) -> str:
    """The header above a message."""
    headers = (b for b in message.get("blocks") or () if b.get("type") == "header")
    return cut(next((str(b["text"]["text"]) for b in headers), ""), 150)
