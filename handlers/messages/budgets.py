"""What the bots of one workspace may call, kept in Redis by all of them together.

Slack counts calls by method, workspace and app; chat.postMessage by channel, one message a second,
short bursts allowed (docs.slack.dev/apis/web-api/rate-limits; tiers of the methods' own pages). How
long a burst may be it does not say, so a burst and what follows in the same minute stay together
within what it allows for a minute.
"""

from dataclasses import dataclass
from enum import IntEnum

_T3 = 50.0
_T4 = 100.0
_MESSAGES = 220.0
"""Slack says “several hundred per minute” of a workspace's messages."""
_A_CHANNEL = 60.0
_CHANNEL_BURST = 4.0

_PER_MINUTE = {
    "chat.postMessage": _MESSAGES,
    "chat.update": _T3,
    "conversations.history": _T3,
    "conversations.replies": _T3,
    "conversations.open": _T3,
    "users.conversations": _T3,
    "views.publish": _T4,
}
METHODS = tuple(_PER_MINUTE)
_BURST = 20.0


class Order(IntEnum):
    """Whose turn comes first when calls are scarce."""

    PERSON = 0
    """Somebody is asked to decide, or has just typed something."""
    FINAL = 1
    PROGRESS = 2


_KEPT = {Order.PERSON: 0.0, Order.FINAL: 0.2, Order.PROGRESS: 0.4}
"""What share of a burst is left to what is more urgent."""


@dataclass(frozen=True)
class Bucket:
    """A token bucket: calls a second on average, `burst` at once, of which `reserve` are not this
    call's to use."""

    name: str
    per_second: float
    burst: float
    reserve: float


def buckets_of(method: str, order: Order, channel: str = "") -> tuple[Bucket, ...]:
    """What a call is counted in; `channel` is where it posts."""
    found = [_bucket(method, _PER_MINUTE[method], _BURST, order)]
    if channel:
        found.append(_bucket(f"{method}:{channel}", _A_CHANNEL, _CHANNEL_BURST, order))
    return tuple(found)


def _bucket(name: str, per_minute: float, burst: float, order: Order) -> Bucket:
    kept = max(1.0, burst * _KEPT[order]) if _KEPT[order] else 0.0
    return Bucket(name, (per_minute - burst) / 60, burst, kept)
