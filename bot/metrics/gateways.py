"""How many gateways there are, by what is wrong with them, counted from time to time from memory.

Counting thousands takes a moment, for which no scrape waits.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deploy.errors import GatewayBotError
from deploy.expiry.automatic import Automatic, turn_at
from deploy.gateway import GatewayRef
from deploy.health.cache import CachedGateway, ClusterCache
from deploy.health.levels import Seen
from deploy.health.status import GatewaySummary, summaries

_HOUR, _DAY = 3_600.0, 86_400.0
_SOON = 3 * _DAY
DAYS = (1, 3, 7, 14, 30)
"""The bounds of what is left of tokens: a token is counted under the first that it is within."""
EXPIRED, LONGER, NONE, UNKNOWN = "expired", "longer", "none", "unknown"


def left(expires_at: float | None, source: str, now: float) -> str:
    """How long a token is valid still: within how many days it expires. Pure."""
    if source == NONE:
        return NONE
    if expires_at is None:
        return UNKNOWN
    if expires_at <= now:
        return EXPIRED
    return next((str(days) for days in DAYS if expires_at - now <= days * _DAY), LONGER)


@dataclass(frozen=True)
class Rotating:
    """How tokens of an environment are rotated automatically, and whether a freeze postpones that now."""

    rule: Automatic
    frozen: bool


def late(gateway: GatewaySummary, rotating: Rotating | None, now: float) -> bool:
    """Whether somebody should look at its token: it has expired, or does so within three days and is not
    about to be rotated automatically, as where that has been due for an hour. Pure."""
    expires_at = gateway.token_expires_at
    if expires_at is None or expires_at - now > _SOON:
        return False
    if expires_at <= now or gateway.renewal != "rotate" or rotating is None:
        return True
    if rotating.rule.mode == "off":
        return True
    return (
        not rotating.frozen and now - turn_at(gateway.ref, expires_at, rotating.rule.before) > _HOUR
    )


@dataclass(frozen=True)
class Counted:
    """By cluster and state, by cluster and heartbeat level, by cluster and what is left of the token, and
    the tokens of a cluster that somebody should look at."""

    states: Mapping[tuple[str, str], int] = field(default_factory=dict)
    levels: Mapping[tuple[str, str], int] = field(default_factory=dict)
    tokens: Mapping[tuple[str, str], int] = field(default_factory=dict)
    late: Mapping[str, int] = field(default_factory=dict)


class GatewayCount:
    """What was counted last."""

    def __init__(
        self,
        caches: Mapping[str, ClusterCache],
        last: Callable[[CachedGateway], Seen],
        rotating: Callable[[GatewayRef], Rotating | None] = lambda ref: None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`last` is what was last seen of a gateway's link to Azure, `rotating` how its token is rotated;
        None where it is not."""
        self._caches = caches
        self._last = last
        self._rotating = rotating
        self._clock = clock
        self.counted = Counted()

    def turn(self) -> None:
        """Count anew. A cluster of which nothing is known has no numbers."""
        now = self._clock()
        states: Counter[tuple[str, str]] = Counter()
        levels: Counter[tuple[str, str]] = Counter()
        tokens: Counter[tuple[str, str]] = Counter()
        overdue: Counter[str] = Counter()
        for name, cache in self._caches.items():
            try:
                snapshot = cache.read(wait=0.0)
            except GatewayBotError:
                continue
            overdue[name] = 0
            for each in summaries(snapshot, now):
                state = "down" if each.down else "not ready" if each.unready else "ready"
                states[name, state] += 1
                tokens[name, left(each.token_expires_at, each.token_source, now)] += 1
                overdue[name] += late(each, self._rotating(each.ref), now)
            levels.update((name, self._last(each).heartbeat.level) for each in snapshot.gateways)
        self.counted = Counted(states, levels, tokens, overdue)
