"""Puts together what looks after tokens that expire: tracker, scanner, warnings, digest."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from bot.chores import Chore
from bot.clients import (
    automatic_rules,
    digest_channels,
    environment_channels,
    environments_of,
    expiry_rules,
)
from bot.event_grid import EventGrid
from bot.settings import Secrets, Settings
from deploy.actions.audit import AuditLog
from deploy.actions.store import ActionStore
from deploy.changes.decide import Decider
from deploy.changes.propose import Proposer
from deploy.errors import GatewayBotError
from deploy.expiry.autopilot import Autopilot, Stop
from deploy.expiry.azure_events import AzureEvents
from deploy.expiry.digest import DAYS, Weekly
from deploy.expiry.event_grid import TokenEvent
from deploy.expiry.notices import Notices
from deploy.expiry.scanner import Scanner, scans_of
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from deploy.health.heartbeat import AzureEvent
from handlers.messages.budget import Budgets
from handlers.messages.digest import Digest
from handlers.messages.notices import Poster
from handlers.messages.warnings import Warner
from handlers.views import expiry as view

log = logging.getLogger(__name__)

_AUTHORITY = "https://login.microsoftonline.com"
_SCAN_SECONDS = 5.0
_TICK_SECONDS = 1.0
_DIGEST_SECONDS = 30.0
_AUTOPILOT_SECONDS = 10.0


@dataclass(frozen=True)
class Parts:
    """What the rest of the bot lends: `slack` repeats nothing by itself, since a repeated post
    would be a second message."""

    redis: Any
    owner: str
    caches: Mapping[str, ClusterCache]
    slack: WebClient
    budgets: Budgets
    store: ActionStore
    audit: AuditLog
    proposer: Proposer
    decider: Decider
    bot_user: Callable[[], str]


class Expiry:
    """Every part, and the threads they run on."""

    def __init__(self, settings: Settings, secrets: Secrets, parts: Parts) -> None:
        self._tracker = Tracker(parts.redis, parts.owner)
        rules = expiry_rules(settings)
        self._scanner = Scanner(self._tracker, lambda: scans_of(parts.caches), rules, parts.caches)
        self._warner = Warner(parts.slack, self._tracker, budgets=parts.budgets)
        self._poster = Poster(parts.slack, Notices(parts.redis, parts.owner))
        self._places = environment_channels(settings)
        self._autopilot = Autopilot(
            parts.redis,
            self._tracker,
            parts.store,
            parts.audit,
            parts.proposer,
            parts.decider,
            environments_of(settings),
            automatic_rules(settings),
            bot_user=parts.bot_user,
            tell=self._tell,
        )
        self._chores = [
            Chore("expiry scan", _SCAN_SECONDS, self._scanner.scan),
            Chore("expiry tick", _TICK_SECONDS, self._tick),
            Chore("automatic rotation", _AUTOPILOT_SECONDS, self._autopilot.turn),
        ]
        when = settings.warnings.digest
        if when is not None:
            weekly = Weekly(DAYS.index(when.day), when.hour)
            digest = Digest(self._tracker, self._poster, digest_channels(settings), weekly)
            self._chores.append(Chore("digest", _DIGEST_SECONDS, digest.turn))
        self._azure = AzureEvents(parts.redis)
        self._services = tuple(item.service.lower() for item in settings.apim)
        self._event_grid = endpoint_of(settings, secrets, self.take)
        if self._event_grid is not None:
            self._chores.append(Chore("what Azure said", _SCAN_SECONDS, self._recall))

    def about(self, ref: GatewayRef) -> Sequence[AzureEvent]:
        """What Azure said of the tokens of that gateway's instances."""
        if self._event_grid is None:
            return ()
        try:
            tracked = self._tracker.find(ref)
            if tracked is None or not tracked.facts.gateway:
                return ()
            return self._azure.of_services(self._services, tracked.facts.gateway)
        except GatewayBotError as error:
            log.info("what Azure said of %s cannot be read: %s", ref, error)
            return ()

    def take(self, event: TokenEvent) -> None:
        """Keep what Azure said, and look whether somebody is to be warned. Again it does nothing."""
        if event.service not in self._services:
            log.warning("Event Grid told of %s, which is no service of this bot", event.service)
            return
        self._azure.take(event)
        self._consider(event.gateway, event)
        self._warner.wake()

    def resume(self, environment: str, user: str) -> bool:
        """Let automatic rotation go on there; whether it had stopped."""
        return self._autopilot.resume(environment, by=user, at=time.time())

    def start(self) -> None:
        """Begin."""
        for chore in self._chores:
            chore.start()
        self._warner.start()
        if self._event_grid is not None:
            self._event_grid.start()
            log.info("Event Grid is listened to at port %s", self._event_grid.port)

    def stop(self) -> None:
        """Finish what is under way, and leave the rest to other bots."""
        if self._event_grid is not None:
            self._event_grid.stop()
        for chore in self._chores:
            chore.stop()
        self._warner.stop()
        try:
            self._scanner.release()
        except GatewayBotError as error:
            log.info("the scan's lease runs out by itself: %s", error)

    def healthy(self) -> bool:
        """Whether every part comes round."""
        listens = self._event_grid is None or self._event_grid.alive()
        return listens and self._warner.alive() and all(c.healthy() for c in self._chores)

    def _recall(self) -> None:
        """Azure tells once, perhaps before the gateway was seen or anybody was warned of it."""
        for service, gateway in self._azure.known():
            for event in self._azure.about(service, gateway):
                self._consider(gateway, event)

    def _consider(self, gateway: str, event: AzureEvent | TokenEvent) -> None:
        for tracked in self._tracker.named(gateway):
            self._tracker.azure(
                tracked.ref,
                expired=event.expired,
                expires_at=event.expires_at,
                instance=event.instance,
            )

    def _tell(self, stop: Stop) -> None:
        text, blocks = view.goes_on(stop) if stop.resumed_by else view.stopped(stop)
        what = "resumed" if stop.resumed_by else "stopped"
        for channel in self._places.get(stop.environment, ()):
            name = f"{what} {stop.environment} {stop.number}"
            try:
                self._poster.post(channel, name, text, blocks)
            except (SlackApiError, SlackClientError, OSError) as error:
                log.warning("a channel was not told of a stop yet: %s", error)

    def _tick(self) -> None:
        while self._tracker.tick():
            self._warner.wake()


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
            authority=settings.azure.authority or _AUTHORITY,
            tenant=wanted.entra.tenant_id,
            audience=wanted.entra.audience,
        )
    return EventGrid(
        wanted.host,
        wanted.port,
        wanted.path,
        take,
        secret=secret.get_secret_value() if secret is not None else "",
        token_check=check,
    )
