"""When somebody is to be warned that a token expires. Pure; every moment is in epoch seconds."""

from collections.abc import Sequence

_HOUR = 3600.0
_DAY = 24 * _HOUR

EXPIRED = 0.0
"""The threshold at the expiry itself."""
DEFAULT = (14 * _DAY, 7 * _DAY, 3 * _DAY, _DAY, 6 * _HOUR, EXPIRED)
"""Azure Advisor warns at seven days (ShgwGatewayTokenNearExpiry), so this begins before that."""


def ordered(thresholds: Sequence[float]) -> tuple[float, ...]:
    """Seconds before the expiry, the widest first, each once, and always the expiry itself."""
    return tuple(sorted({*thresholds, EXPIRED}, reverse=True))


def crossed(expires_at: float, thresholds: Sequence[float], now: float) -> float | None:
    """The tightest threshold that has been passed; None before the first.

    Only this one is worth a warning: whoever gets it needs none of the wider ones.
    """
    left = expires_at - now
    return min((t for t in thresholds if left <= t), default=None)


def next_crossing(
    expires_at: float, thresholds: Sequence[float], warned: float | None
) -> float | None:
    """When the next threshold is passed after `warned`; None when there is no tighter one."""
    tighter = [t for t in thresholds if warned is None or t < warned]
    return expires_at - max(tighter) if tighter else None


def look_at(
    expires_at: float | None,
    thresholds: Sequence[float],
    warned: float | None,
    snoozed_until: float | None,
) -> float | None:
    """When a gateway must be looked at again; None when nothing will come of it without that."""
    if expires_at is None:
        return None
    moment = next_crossing(expires_at, thresholds, warned)
    if moment is None or snoozed_until is None:
        return moment
    return max(moment, snoozed_until)


def snooze_end(now: float, seconds: float, expires_at: float | None) -> float:
    """Until when a snooze lasts: never past the expiry, of which everybody must hear."""
    end = now + seconds
    return end if expires_at is None or expires_at <= now else min(end, expires_at)
