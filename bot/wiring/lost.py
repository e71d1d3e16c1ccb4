"""What ends the messages of requests that Redis has lost."""

from dataclasses import dataclass
from functools import partial

from bot.chores import Chore
from bot.clients import operator_channels
from bot.settings import Settings
from bot.wiring.messages import Families
from bot.wiring.outside import Outside
from bot.wiring.stores import Stores
from deploy.access import environment_of
from deploy.rollouts.lost import LostActions
from handlers.messages.lost_messages import LostMessages, LostStore
from handlers.messages.lost_search import LostSearch

_SEARCH_SECONDS = 5.0


@dataclass(frozen=True)
class Lost:
    """`messages` are the family, `search` finds what belongs to it."""

    messages: Families
    search: Chore


def lost_of(settings: Settings, outside: Outside, stores: Stores, families: Families) -> Lost:
    """The family, and the search through the channels after Redis was emptied, for messages of
    `families`."""
    store = LostStore(stores.redis, stores.messages)
    search = LostSearch(
        outside.posting,
        stores.redis,
        stores.messages,
        store,
        [family for family, _ in families],
        channels_of(settings),
        hold=partial(stores.tracker.hold, "lost messages"),
        granted=outside.team.granted,
        bot_user=outside.team.bot_user,
    )
    where = partial(environment_of, environments=outside.environments)
    family = LostMessages(store, LostActions(outside.clusters), where)
    chore = Chore("lost messages", _SEARCH_SECONDS, search.turn)
    return Lost([(family, store.marks)], chore)


def channels_of(settings: Settings) -> tuple[str, ...]:
    """Every channel that the settings name."""
    asked = [channel for each in settings.environments for channel in each.channels]
    return tuple(dict.fromkeys([*asked, *operator_channels(settings)]))
