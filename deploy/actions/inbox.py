"""Accepted requests that must end in a visible outcome, and the answers of those that have.

Slack delivers some requests twice, minutes apart; the answer is kept for a day so that a repetition
is recognised however late it comes.
"""

import json
import secrets
from collections.abc import Mapping
from typing import Any, Literal

from deploy.actions.connection import now_of, redis_errors
from deploy.actions.records import DUE

_DAY_MS = 24 * 3600 * 1000
_FIRST_SWEEP_SECONDS = 10.0

_ACCEPT = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  return redis.call('HGET', KEYS[1], 'claim') == ARGV[3] and 'new' or 'known'
end
redis.call('HSET', KEYS[1], 'payload', ARGV[1], 'claim', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'new'
"""

_CLAIM = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], 'answer') == 1 then
  return false
end
local held = tonumber(redis.call('HGET', KEYS[1], 'until') or 0) > now
if held and redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return false end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', now + tonumber(ARGV[2]))
return redis.call('HGET', KEYS[1], 'payload')
"""

_DONE = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'answer', ARGV[1])
  redis.call('HDEL', KEYS[1], 'payload')
end
return 1
"""


class Inbox:
    """Requests by key; several bots share it."""

    def __init__(self, client: Any, *, prefix: str = "gateway-bot") -> None:
        self._client = client
        self._prefix = prefix
        self._open = f"{prefix}:{{inbox}}:open"
        self._accept = client.register_script(_ACCEPT)
        self._claim = client.register_script(_CLAIM)
        self._done = client.register_script(_DONE)
        self._due = client.register_script(DUE)

    @redis_errors
    def accept(self, key: str, payload: Mapping[str, Any]) -> Literal["new", "known"]:
        """Make a request safe. The index is written first: what dies in between is swept away."""
        due = int((now_of(self._client) + _FIRST_SWEEP_SECONDS) * 1000)
        self._client.zadd(self._open, {key: due}, nx=True)
        mine = secrets.token_hex(8)
        answer = self._accept(
            keys=[self._key(key)], args=[json.dumps(dict(payload)), _DAY_MS, mine]
        )
        return "new" if answer == "new" else "known"

    @redis_errors
    def claim(self, key: str, owner: str, lease_seconds: float) -> dict[str, Any] | None:
        """The request, if nobody else is at it and it has no answer yet."""
        payload = self._claim(keys=[self._key(key)], args=[owner, int(lease_seconds * 1000)])
        if not payload:
            return None
        found: dict[str, Any] = json.loads(payload)
        return found

    @redis_errors
    def done(self, key: str, answer: str) -> None:
        """Keep the answer; the request needs no more looking after."""
        self._done(keys=[self._key(key)], args=[answer])
        self._client.zrem(self._open, key)

    @redis_errors
    def due(self, limit: int) -> list[str]:
        """Requests that somebody left behind; those already answered are dropped on the way."""
        keys = [str(key) for key in self._due(keys=[self._open], args=[limit, 5000])]
        left = []
        for key in keys:
            if self._client.hexists(self._key(key), "payload"):
                left.append(key)
            else:
                self._client.zrem(self._open, key)
        return left

    def _key(self, key: str) -> str:
        return f"{self._prefix}:{{i:{key}}}"
