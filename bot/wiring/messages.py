"""What keeps messages true: one engine for all their families."""

from collections.abc import Sequence

from bot.clients import operator_channels
from bot.settings import Settings
from bot.wiring.outside import Outside
from bot.wiring.stores import Stores
from deploy.actions.owed import Owed
from deploy.actions.windows import MESSAGES as WINDOW
from handlers.messages.action_messages import NAME as ACTION
from handlers.messages.connection_messages import ConnectionMessages
from handlers.messages.engine import Engine
from handlers.messages.expiry_messages import NAME as EXPIRY
from handlers.messages.family import Family
from handlers.messages.home_tabs import HomeReaders, HomeTabs
from handlers.messages.incident_messages import NAME as INCIDENT
from handlers.messages.turn import Turns

Families = Sequence[tuple[Family, Owed]]
"""Families of messages, each with its marks in the index."""


_SHOWN_AT_HOME = frozenset({ACTION, WINDOW, INCIDENT, EXPIRY})


def connections_of(settings: Settings, stores: Stores) -> Families:
    """The messages about Socket Mode connections that no bot has."""
    if settings.slack.mode != "socket":
        return []
    count = stores.connections
    command = settings.slack.command
    channel = next(iter(operator_channels(settings)), "")
    return [(ConnectionMessages(count, channel, command), count.marks)]


def engine_of(
    outside: Outside, stores: Stores, families: Families, homes: HomeTabs, readers: HomeReaders
) -> Engine:
    """The engine; a changed action wakes it, and a message that a person waits for. Whatever owes a
    message of what Home tabs show owes these, too."""

    def changed(family: str) -> None:
        if family in _SHOWN_AT_HOME:
            readers.behind()

    engine = Engine(
        Turns(outside.posting, stores.messages), families, tabs=[homes], changed=changed
    )
    stores.changed.listen(engine.wake)
    stores.marked.listen(engine.wake)
    return engine
