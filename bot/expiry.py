"""Puts together what looks after tokens that expire: tracker, scanner, warnings, digest."""

import logging
from collections.abc import Mapping
from typing import Any

from slack_sdk import WebClient

from bot.chores import Chore
from bot.clients import digest_channels, expiry_rules
from bot.settings import Settings
from deploy.cache import ClusterCache
from deploy.errors import GatewayBotError
from deploy.expiry.digest import DAYS, Weekly
from deploy.expiry.notices import Notices
from deploy.expiry.scanner import Scanner, scans_of
from deploy.expiry.tracker import Tracker
from handlers.budget import Budgets
from handlers.digest import Digest
from handlers.expiry import Warner
from handlers.notices import Poster

log = logging.getLogger(__name__)

_SCAN_SECONDS = 15.0
_TICK_SECONDS = 1.0
_DIGEST_SECONDS = 30.0


class Expiry:
    """`slack` repeats nothing by itself: a repeated post would be a second message."""

    def __init__(
        self,
        settings: Settings,
        redis: Any,
        owner: str,
        caches: Mapping[str, ClusterCache],
        slack: WebClient,
        budgets: Budgets,
    ) -> None:
        self.tracker = Tracker(redis, owner)
        self._scanner = Scanner(self.tracker, lambda: scans_of(caches), expiry_rules(settings))
        self._warner = Warner(slack, self.tracker, budgets=budgets)
        self.chores = [
            Chore("expiry scan", _SCAN_SECONDS, self._scanner.scan),
            Chore("expiry tick", _TICK_SECONDS, self._tick),
        ]
        when = settings.warnings.digest
        if when is not None:
            digest = Digest(
                self.tracker,
                Poster(slack, Notices(redis, owner)),
                digest_channels(settings),
                Weekly(DAYS.index(when.day), when.hour),
            )
            self.chores.append(Chore("digest", _DIGEST_SECONDS, digest.turn))

    def start(self) -> None:
        """Begin."""
        for chore in self.chores:
            chore.start()
        self._warner.start()

    def stop(self) -> None:
        """Finish what is under way, and leave the rest to other bots."""
        for chore in self.chores:
            chore.stop()
        self._warner.stop()
        try:
            self._scanner.release()
        except GatewayBotError as error:
            log.info("the scan's lease runs out by itself: %s", error)

    def healthy(self) -> bool:
        """Whether every part comes round."""
        return self._warner.alive() and all(chore.healthy() for chore in self.chores)

    def _tick(self) -> None:
        while self.tracker.tick():
            self._warner.wake()
