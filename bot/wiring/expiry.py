"""What looks after tokens that expire: tracking, warnings, automatic rotation, Event Grid."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import requests

from bot.chores import Chore
from bot.clients import automatic_rules, digest_channels, environment_channels, expiry_rules
from bot.event_grid import EventGrid
from bot.parts import Part
from bot.settings import Secrets, Settings
from bot.wiring.changes import Changes
from bot.wiring.messages import Families
from bot.wiring.outside import Outside
from bot.wiring.stores import Stores
from deploy.access import UNLISTED
from deploy.actions.owed import Owed
from deploy.expiry.autopilot import Autopilot
from deploy.expiry.azure_events import AzureEvents as EventRecord
from deploy.expiry.event_grid import TokenEvent
from deploy.expiry.rotation_stops import RotationStops
from deploy.expiry.scanner import Scanner, scans_of
from deploy.expiry.token_events import TokenEvents
from deploy.expiry.tracker import Tracker
from deploy.expiry.weekly import DAYS, Weekly
from deploy.health.cache import CachedGateway
from deploy.health.levels import AzureEvents, Seen, no_events
from handlers.messages import digest_messages, expiry_messages, rotation_messages
from handlers.messages.family import Family

_SCAN_SECONDS = 5.0
_TICK_SECONDS = 5.0
_RECALL_SECONDS = 30.0
_DIGEST_SECONDS = 30.0
_AUTOPILOT_SECONDS = 10.0


@dataclass(frozen=True)
class FromAzure:
    """`azure_events` is what Azure said of a gateway's tokens; `azure_parts` are by name."""

    azure_events: AzureEvents
    azure_parts: Mapping[str, Part]


@dataclass(frozen=True)
class Expiry:
    """`resume` resumes automatic rotation in an environment, in the name of a person; `parts` are by
    name. `expiry_messages` are those of warnings, digests and stops of automatic rotation."""

    resume: Callable[[str, str], bool]
    parts: Mapping[str, Part]
    expiry_messages: Families


def from_azure_of(settings: Settings, secrets: Secrets, stores: Stores) -> FromAzure:
    """What Event Grid delivers, where a subscription leads to the bot."""
    services = [item.service.lower() for item in settings.apim]
    events = TokenEvents(EventRecord(stores.redis), stores.tracker, services)
    endpoint = endpoint_of(settings, secrets, events.take)
    if endpoint is None:
        return FromAzure(no_events, {})
    recall = Chore("azure events", _RECALL_SECONDS, events.recall)
    return FromAzure(events.about, {recall.name: recall, "event grid": endpoint})


def expiry_of(
    settings: Settings,
    outside: Outside,
    stores: Stores,
    changes: Changes,
    last: Callable[[CachedGateway], Seen],
) -> Expiry:
    """The bot itself stands as the requester of what is done automatically. `last` is what was last
    seen of a gateway's link to Azure."""
    tracker = stores.tracker
    stops = Owed(stores.redis, rotation_messages.NAME)
    marks = rotation_messages.StopMarks(stores.messages, stops, environment_channels(settings))
    production = {each.name for each in (*outside.environments, UNLISTED) if each.production}
    families: list[tuple[Family, Owed]] = [
        (
            expiry_messages.ExpiryMessages(tracker, production),
            Owed(stores.redis, expiry_messages.NAME),
        ),
        (rotation_messages.RotationMessages(RotationStops(stores.redis), production), stops),
    ]
    scans = partial(scans_of, outside.caches, last)
    scanner = Scanner(tracker, scans, expiry_rules(settings), outside.caches)
    autopilot = Autopilot(
        stores.redis,
        tracker,
        stores.store,
        stores.audit,
        changes.proposer,
        changes.decider,
        outside.environments,
        automatic_rules(settings),
        bot_user=outside.team.bot_user,
        tell=marks.mark,
    )
    chores = [
        Chore("expiry scan", _SCAN_SECONDS, scanner.scan, at_end=scanner.release),
        Chore("expiry tick", _TICK_SECONDS, partial(_tick, tracker)),
        Chore("automatic rotation", _AUTOPILOT_SECONDS, autopilot.turn),
    ]
    when = settings.warnings.digest
    if when is not None:
        weekly = Weekly(DAYS.index(when.day), when.hour)
        owed = Owed(stores.redis, digest_messages.NAME)
        digests = digest_messages.Digests(stores.messages, owed, digest_channels(settings), weekly)
        families.append((digest_messages.DigestMessages(tracker, weekly), owed))
        chores.append(Chore("digest", _DIGEST_SECONDS, digests.turn))
    return Expiry(
        resume=partial(_resume, autopilot),
        parts={chore.name: chore for chore in chores},
        expiry_messages=families,
    )


def _tick(tracker: Tracker) -> None:
    while tracker.tick():
        pass


def _resume(autopilot: Autopilot, environment: str, user: str) -> bool:
    return autopilot.resume(environment, by=user, at=time.time())


def endpoint_of(
    settings: Settings, secrets: Secrets, take: Callable[[TokenEvent], None]
) -> EventGrid | None:
    """The endpoint for Event Grid, where the settings want one; its port is taken at once."""
    wanted = settings.event_grid
    if wanted is None:
        return None
    secret = secrets.event_grid_secret
    check = None
    if wanted.entra is not None:
        # Only who lets Entra ID prove deliveries need wait for the import of its cryptography.
        from bot.entra_tokens import EntraTokens

        check = EntraTokens(
            requests.Session(),
            authority=settings.azure.authority or settings.azure.home.authority,
            tenant=wanted.entra.tenant_id,
            audience=wanted.entra.audience,
        )
    return EventGrid(
        wanted.host,
        wanted.port,
        wanted.path,
        take,
        secret=secret.get_secret_value if secret is not None else str,
        token_check=check,
    )
