"""What watches gateways: the levels of their links to Azure, and the incidents made of them."""

from dataclasses import dataclass

from bot.clients import warning_channels
from bot.settings import Settings
from bot.wiring.outside import Outside
from bot.wiring.stores import Stores
from deploy.health.incident_store import IncidentStore
from deploy.health.levels import AzureEvents, Levels
from handlers.messages.budget import Budgets
from handlers.messages.watchers import Watchers


@dataclass(frozen=True)
class Watching:
    """The parts that look at every gateway."""

    levels: Levels
    watchers: Watchers


def watching_of(
    settings: Settings,
    outside: Outside,
    stores: Stores,
    azure_events: AzureEvents,
    budgets: Budgets,
) -> Watching:
    """`azure_events` is what Azure said of a gateway's tokens."""
    levels = Levels(outside.caches, azure_events)
    watchers = Watchers(
        outside.posting,
        outside.caches,
        levels,
        IncidentStore(stores.redis, stores.owner),
        warning_channels(settings),
        budgets=budgets,
    )
    return Watching(levels, watchers)
