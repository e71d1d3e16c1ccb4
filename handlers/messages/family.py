"""What a family of messages says of each of its own; the engine does the rest."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from handlers.messages.budgets import Order
from handlers.messages.store import MessageRecord, Place
from handlers.views.reply import Block


@dataclass(frozen=True)
class Line:
    """Something that is posted once beside a message: in its thread, or where `to` says.

    `key` tells it from every other line of its message. `to` is a channel, or a person's user id;
    with `thread` the ts of another message there. `otherwise` is posted where Slack lets this one
    not be.
    """

    key: str
    text: str
    to: str = ""
    thread: str = ""
    blocks: tuple[Block, ...] = ()
    broadcast: bool = False
    otherwise: "Line | None" = None


@dataclass(frozen=True)
class Message:
    """What a message is to be now.

    `version` is that of the state it shows. `channels` are where it belongs, the first that takes
    it; a user id stands for the person's direct messages. `since` is the earliest moment at which it
    can have been posted (epoch seconds, Redis' time). `lines` are all that happened since the
    record's cursor, and `cursor` is up to where they go. `final`: nothing more can come. `instead`
    is posted when the message can never be shown. `anew`: it is posted again when somebody deletes
    it. `whole`: where it is cut to Slack's bounds, all of it is posted in its thread. With a
    `title`, that is posted first, once, and the message stands in its thread. `opening` is up to
    where a post of the message itself covers everything, so that no line is owed for that.
    `patient`: where its channel takes nothing, that is tried again later and later. `about` is what
    the message itself carries of its subject, unseen, for when Redis has lost the rest. It is posted
    in the thread of the message at `parent`, where that is in its channel; while it is not known yet
    where that message is, nothing is posted, and in `waits` seconds it is looked again.
    """

    version: int
    text: str
    blocks: tuple[Block, ...]
    channels: tuple[str, ...]
    since: float
    lines: tuple[Line, ...] = ()
    cursor: int = 0
    order: Order = Order.PROGRESS
    final: bool = False
    instead: tuple[Line, ...] = ()
    anew: bool = True
    whole: bool = True
    title: str = ""
    opening: int = 0
    patient: bool = False
    about: Mapping[str, str] = field(default_factory=dict)
    parent: Place | None = None
    waits: float = 0.0


class Family(Protocol):
    """Messages of one kind, by key.

    `name` is part of the key of each record; it holds no colon.
    """

    @property
    def name(self) -> str:
        """What the family is called in Redis."""

    def load(self, key: str, record: MessageRecord) -> Any:
        """What the message is about, as it is now; None where there is nothing (any longer).

        Raises GatewayBotError where that cannot be read just now.
        """

    def render(self, state: Any, record: MessageRecord) -> Message:
        """What the message says. Pure: what it raises is taken for a content that cannot be shown."""

    def plain(self, state: Any, record: MessageRecord) -> Message:
        """The same in one sentence, which cannot fail."""

    def versions(self) -> Mapping[str, int]:
        """The version of each state whose message may be behind: for the sweep that finds what a
        crash left behind."""


def by_name(families: Iterable[Family]) -> dict[str, Family]:
    """The families by their names."""
    return {family.name: family for family in families}
