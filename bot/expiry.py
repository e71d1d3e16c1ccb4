"""Puts together what looks after tokens that expire: tracker, scanner, warnings, digest."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
from bot.settings import Settings
from deploy.actions.audit import AuditLog
from deploy.actions.store import ActionStore
from deploy.cache import ClusterCache
from deploy.errors import GatewayBotError
from deploy.expiry.autopilot import Autopilot, Plans, Stop
from deploy.expiry.digest import DAYS, Weekly
from deploy.expiry.notices import Notices
from deploy.expiry.scanner import Scanner, scans_of
from deploy.expiry.tracker import Tracker
from handlers.budget import Budgets
from handlers.digest import Digest
from handlers.expiry import Warner
from handlers.notices import Poster
from handlers.views import expiry as view

log = logging.getLogger(__name__)

_SCAN_SECONDS = 15.0
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
    plans: Plans
    bot_user: Callable[[], str]
    wake: Callable[[str], None]


class Expiry:
    """Every part, and the threads they run on."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._tracker = Tracker(parts.redis, parts.owner)
        rules = expiry_rules(settings)
        self._scanner = Scanner(self._tracker, lambda: scans_of(parts.caches), rules)
        self._warner = Warner(parts.slack, self._tracker, budgets=parts.budgets)
        self._poster = Poster(parts.slack, Notices(parts.redis, parts.owner))
        self._places = environment_channels(settings)
        self._autopilot = Autopilot(
            parts.redis,
            self._tracker,
            parts.store,
            parts.audit,
            parts.plans,
            environments_of(settings),
            automatic_rules(settings),
            bot_user=parts.bot_user,
            tell=self._tell,
            wake=parts.wake,
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

    def resume(self, environment: str, user: str) -> bool:
        """Let automatic rotation go on there; whether it had stopped."""
        return self._autopilot.resume(environment, by=user, at=time.time())

    def start(self) -> None:
        """Begin."""
        for chore in self._chores:
            chore.start()
        self._warner.start()

    def stop(self) -> None:
        """Finish what is under way, and leave the rest to other bots."""
        for chore in self._chores:
            chore.stop()
        self._warner.stop()
        try:
            self._scanner.release()
        except GatewayBotError as error:
            log.info("the scan's lease runs out by itself: %s", error)

    def healthy(self) -> bool:
        """Whether every part comes round."""
        return self._warner.alive() and all(chore.healthy() for chore in self._chores)

    def _tell(self, stop: Stop) -> None:
        text, blocks = view.stopped(stop)
        for channel in self._places.get(stop.environment, ()):
            name = f"stopped {stop.environment} {stop.number}"
            try:
                self._poster.post(channel, name, text, blocks)
            except (SlackApiError, SlackClientError, OSError) as error:
                log.warning("a channel was not told of a stop yet: %s", error)

    def _tick(self) -> None:
        while self._tracker.tick():
            self._warner.wake()
