"""The index of messages that may be behind what they show.

Whoever changes something marks its message afterwards; a crash in between is found by the sweep of
whoever shows the messages. A member is `family:key`. Whether anything is really owed is for whoever
looks to find out, so a mark too many costs a look and nothing else.
"""

from typing import Any

from deploy.actions.connection import Script, redis_errors

_MARK = """
local time = redis.call('TIME')
local due = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2])
local before = redis.call('ZSCORE', KEYS[1], ARGV[1])
-- Whoever has the turn at the message sees by its score that it was marked meanwhile.
if before and tonumber(before) <= due then due = tonumber(before) - 1 end
return redis.call('ZADD', KEYS[1], due, ARGV[1])
"""


def tagged(prefix: str, name: str) -> str:
    """A key of messages: they share a hash tag, so one script may change several of them."""
    return f"{prefix}:{{messages}}:{name}"


def member(family: str, key: str) -> str:
    """How the index names a message."""
    return f"{family}:{key}"


class Owed:
    """Every mark may be repeated, and none makes a message wait for longer than it does already."""

    def __init__(self, client: Any, family: str, *, prefix: str = "gateway-bot") -> None:
        self._client = client
        self._family = family
        self._index = tagged(prefix, "owed")
        self._mark = Script(client, _MARK)

    @redis_errors
    def now(self, key: str, *, rank: float = 0.0) -> None:
        """The message is behind. Of several the one of the least `rank` comes first, a number below
        ten billion, such as a moment in epoch seconds."""
        # The index counts milliseconds: as one of its moments such a number is long past.
        self._client.zadd(self._index, {member(self._family, key): rank}, lt=True)

    @redis_errors
    def within(self, key: str, seconds: float) -> None:
        """The message is behind, and may be for so long."""
        self._mark(keys=[self._index], args=[member(self._family, key), int(seconds * 1000)])
