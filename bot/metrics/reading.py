"""The backlog for those who scrape: a scrape waits a moment for Redis, and has the last one otherwise."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress

from deploy.actions.backlog import Backlog
from deploy.errors import GatewayBotError
from deploy.flight import Flight

log = logging.getLogger(__name__)

_KEPT = 30.0
"""For so many seconds the last backlog says more than none."""


class BacklogReading:
    """Several may ask at once."""

    def __init__(
        self, read: Callable[[], Backlog], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._clock = clock
        self._flight = Flight(self._turn, "backlog")
        self._last: tuple[float, Backlog] | None = None

    def within(self, seconds: float) -> Backlog | None:
        """The backlog now, or where Redis does not give it in so many seconds, the last one; None where
        that is old."""
        with suppress(TimeoutError):
            self._flight.wait(seconds)
        last = self._last
        return last[1] if last is not None and self._clock() - last[0] < _KEPT else None

    def _turn(self) -> None:
        try:
            self._last = self._clock(), self._read()
        except GatewayBotError as error:
            log.info("the backlog in Redis cannot be read: %s", error)
        except (
            Exception
        ):  # the rest of a scrape must not depend on what one entry in Redis looks like
            log.exception("the backlog in Redis cannot be read")
