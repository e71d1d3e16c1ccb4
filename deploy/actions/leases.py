"""The right to change one gateway, held by one action at a time."""

from dataclasses import dataclass
from typing import Any

from deploy.actions.connection import Script, redis_errors
from deploy.gateway import GatewayRef

_ACQUIRE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = tonumber(redis.call('HGET', KEYS[1], 'until') or 0) > now
local mine = redis.call('HGET', KEYS[1], 'owner') == ARGV[1]
  and redis.call('HGET', KEYS[1], 'action') == ARGV[2]
if held and not mine then return {0, redis.call('HGET', KEYS[1], 'action')} end
if not (held and mine) or tonumber(redis.call('HGET', KEYS[1], 'fence')) <= tonumber(ARGV[4]) then
  local last = tonumber(redis.call('HGET', KEYS[1], 'fence') or 0)
  redis.call('HSET', KEYS[1], 'fence', math.max(last, tonumber(ARGV[4])) + 1)
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'action', ARGV[2], 'until', now + tonumber(ARGV[3]))
return {tonumber(redis.call('HGET', KEYS[1], 'fence')), ARGV[2]}
"""

_RENEW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return 0 end
if tonumber(ARGV[3]) == 0 then
  -- A renewal that was under way comes too late then.
  redis.call('HDEL', KEYS[1], 'owner', 'action', 'until')
else
  redis.call('HSET', KEYS[1], 'until', now + tonumber(ARGV[3]))
end
return 1
"""
"""Renew the gateway's lease; with 0 milliseconds, let go of it. The fence is kept for ever."""


@dataclass(frozen=True)
class GatewayLease:
    """The right to change one gateway, or, with fence 0, the action that holds it.

    A fence rises with each new holder, so that a late write of an earlier one is recognized.
    """

    fence: int
    action_id: str


class GatewayLeases:
    """The leases of every gateway, in one Redis."""

    def __init__(self, client: Any, *, prefix: str = "gateway-bot") -> None:
        self._prefix = prefix
        self._acquire = Script(client, _ACQUIRE)
        self._renew = Script(client, _RENEW)

    @redis_errors
    def acquire(
        self,
        ref: GatewayRef | str,
        action_id: str,
        owner: str,
        lease_seconds: float,
        *,
        above: int = 0,
    ) -> GatewayLease:
        """The lease of a gateway, or of a room by its name, or who has it.

        The fence is higher than any before it, and than `above`: the highest seen elsewhere,
        should this Redis have lost its own.
        """
        fence, holder = self._acquire(
            keys=[self._key(ref)], args=[owner, action_id, int(lease_seconds * 1000), above]
        )
        return GatewayLease(int(fence), str(holder))

    @redis_errors
    def renew(self, ref: GatewayRef | str, owner: str, fence: int, lease_seconds: float) -> bool:
        """Keep the lease, or with 0 seconds let go of it; False when it was lost."""
        return bool(
            self._renew(keys=[self._key(ref)], args=[owner, fence, int(lease_seconds * 1000)])
        )

    def _key(self, ref: GatewayRef | str) -> str:
        return f"{self._prefix}:{{g:{ref}}}"
