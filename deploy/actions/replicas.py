"""Which bots share a Redis, and whether they run with the same settings.

Two replicas that read different settings decide differently who may approve. Each bot says from time to
time which settings it has; that it can say so shows that Redis takes writes.
"""

from dataclasses import dataclass
from typing import Any

from deploy.actions.connection import Script, redis_errors

_LEASE_SECONDS = 30.0

_REPORT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. (now + tonumber(ARGV[3])))
  redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[3]))
end
local found, flat = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  -- What a newer bot adds stands behind these two.
  local settings, till = string.match(flat[i + 1], '^(%x+) (%d+)')
  if till and tonumber(till) <= now then
    redis.call('HDEL', KEYS[1], flat[i])
  elseif settings then
    found[#found + 1] = settings
  end
end
return found
"""
"""KEYS the bots; ARGV a bot, its settings or nothing where it ends, milliseconds."""


@dataclass(frozen=True)
class Agreement:
    """How many bots share this Redis, and how many different settings they have."""

    bots: int
    settings: int

    @property
    def agreed(self) -> bool:
        """Whether all have the same."""
        return self.settings <= 1


class Replicas:
    """One bot's part in it. Its word holds for half a minute, so that of a dead bot ends."""

    def __init__(
        self, client: Any, owner: str, settings: str, *, prefix: str = "gateway-bot"
    ) -> None:
        """`settings` is a digest of this bot's, in hexadecimal."""
        self._owner = owner
        self._settings = settings
        self._key = f"{prefix}:{{replicas}}"
        self._report = Script(client, _REPORT)

    @redis_errors
    def report(self) -> Agreement:
        """Say so again. Unavailable where Redis takes no writes."""
        return self._told(self._settings)

    @redis_errors
    def leave(self) -> None:
        """This bot ends."""
        self._told("")

    def _told(self, settings: str) -> Agreement:
        args = [self._owner, settings, int(_LEASE_SECONDS * 1000)]
        found = [str(each) for each in self._report(keys=[self._key], args=args)]
        return Agreement(len(found), len(set(found)))
