"""What watches gateways: the levels of their links to Azure, and the incidents made of them."""

from dataclasses import dataclass
from functools import partial

from bot.clients import warning_channels
from bot.settings import Settings
from bot.wiring.messages import Families
from bot.wiring.outside import Outside
from bot.wiring.stores import Stores
from deploy.access import environment_of
from deploy.actions.action import Action
from deploy.actions.owed import Owed
from deploy.gateway import GatewayRef
from deploy.health.incident_store import IncidentStore
from deploy.health.levels import AzureEvents, Levels
from deploy.health.refused_keys import SharedRefusedKeys
from deploy.health.status import renewal_at
from deploy.rollouts.ways_out import change_before
from handlers.messages.incident_messages import NAME, IncidentMessages
from handlers.messages.watchers import Watchers


@dataclass(frozen=True)
class Watching:
    """The parts that look at every gateway, and the messages of incidents."""

    levels: Levels
    watchers: Watchers
    incident_messages: Families


def watching_of(
    settings: Settings, outside: Outside, stores: Stores, azure_events: AzureEvents
) -> Watching:
    """`azure_events` is what Azure said of a gateway's tokens."""
    levels = Levels(outside.caches, azure_events, refused=SharedRefusedKeys(stores.prompt))
    store, owed = IncidentStore(stores.redis, stores.owner), Owed(stores.redis, NAME)
    watchers = Watchers(outside.caches, levels, store, owed, warning_channels(settings))
    where = partial(environment_of, environments=outside.environments)
    renewals = partial(renewal_at, outside.caches)

    def changed_before(ref: GatewayRef, since: float) -> Action | None:
        return change_before(stores.store.recent(ref), since)

    messages = IncidentMessages(store, outside.caches, where, renewals, changed_before)
    return Watching(levels, watchers, [(messages, owed)])
