"""Accepted requests that must end in a visible outcome, and the answers of those that have.

Slack delivers some requests twice, minutes apart; the answer is kept for a day so that a repetition
is recognised however late it comes.
"""

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from deploy.actions.connection import Call, Script, in_one_trip, redis_errors

KEPT_MS = 24 * 3600 * 1000
"""For so long a request is kept from when it was accepted."""
_FIRST_SWEEP_MS = 10_000

_INDEX = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call('ZADD', KEYS[1], 'NX', now + tonumber(ARGV[2]), ARGV[1])
"""

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

_RENEW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HEXISTS', KEYS[1], 'answer') == 1 then return -1 end
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return -1 end
redis.call('HSET', KEYS[1], 'until', now + tonumber(ARGV[2]))
return now + tonumber(ARGV[2])
"""

_LEAVE = """
if redis.call('HGET', KEYS[1], 'owner') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'owner', 'until')
end
return 1
"""

_DUE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local but, found = {}, {}
for i = 3, #ARGV do but[ARGV[i]] = true end
local keys = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1] + #ARGV - 2)
for _, key in ipairs(keys) do
  if not but[key] then
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), key)
    found[#found + 1] = key
  end
end
return found
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
        self._index = Script(client, _INDEX)
        self._accept = Script(client, _ACCEPT)
        self._claim = Script(client, _CLAIM)
        self._renew = Script(client, _RENEW)
        self._leave = Script(client, _LEAVE)
        self._done = Script(client, _DONE)
        self._due = Script(client, _DUE)

    def accept(self, key: str, payload: Mapping[str, Any]) -> Literal["new", "known"]:
        """Make one request safe."""
        return self.accept_all([(key, payload)])[0]

    @redis_errors
    def accept_all(
        self, requests: Sequence[tuple[str, Mapping[str, Any]]]
    ) -> list[Literal["new", "known"]]:
        """Make requests safe, by key, in one round trip; only what is in the index too is, so only then this
        returns.

        The index is written first. In a Redis Cluster it may be on another server than the request,
        and either may come first: a request of which the index does not know has not been acked, and
        its next delivery brings it into the index.
        """
        calls = []
        for key, payload in requests:
            stored = [json.dumps(dict(payload)), KEPT_MS, secrets.token_hex(8)]
            calls += [
                Call(self._index, [self._open], [key, _FIRST_SWEEP_MS]),
                Call(self._accept, [self._key(key)], stored),
            ]
        answers = in_one_trip(self._client, calls)[1::2]
        return ["new" if answer == "new" else "known" for answer in answers]

    @redis_errors
    def claim(self, key: str, owner: str, lease_seconds: float) -> str | None:
        """The request as it was stored, if nobody else is at it and it has no answer yet."""
        payload = self._claim(keys=[self._key(key)], args=[owner, int(lease_seconds * 1000)])
        return str(payload) if payload else None

    @redis_errors
    def knows(self, key: str) -> bool:
        """Whether that request was accepted before, answered or not."""
        return bool(self._client.exists(self._key(key)))

    @redis_errors
    def renew(self, keys: Collection[str], owner: str, lease_seconds: float) -> set[str]:
        """Keep claims, in two round trips however many there are; which of them it still has: not
        those that another bot has, or has answered. Of what Redis has lost no other bot knows, so it
        stays with its owner."""
        args = [owner, int(lease_seconds * 1000)]
        calls = [Call(self._renew, [self._key(key)], args) for key in keys]
        until = dict(zip(keys, map(int, in_one_trip(self._client, calls)), strict=True))
        if held := {key: at for key, at in until.items() if at > 0}:
            # Nobody has to look at them while they are held.
            self._client.zadd(self._open, held, xx=True)
        return {key for key, at in until.items() if at >= 0}

    @redis_errors
    def hand_over(self, keys: Collection[str]) -> None:
        """Let another bot have requests at once that nobody has claimed."""
        if keys:
            self._client.zadd(self._open, dict.fromkeys(keys, 0), xx=True)

    @redis_errors
    def leave(self, key: str, owner: str) -> None:
        """Let another bot have it at once."""
        self._leave(keys=[self._key(key)], args=[owner])
        self._client.zadd(self._open, {key: 0}, xx=True)

    @redis_errors
    def done(self, key: str, answer: str) -> None:
        """Keep the answer; the request needs no more looking after."""
        self._done(keys=[self._key(key)], args=[answer])
        self._client.zrem(self._open, key)

    @redis_errors
    def due(self, limit: int, but: Collection[str] = ()) -> list[tuple[str, str]]:
        """Requests that somebody left behind, each with what was stored of it, `but` those, which
        stay due for other bots. Those already answered are dropped on the way."""
        keys = [str(key) for key in self._due(keys=[self._open], args=[limit, 5000, *but])]
        left = []
        for key in keys:
            stored = self._client.hget(self._key(key), "payload")
            if stored is not None:
                left.append((key, str(stored)))
            else:
                self._client.zrem(self._open, key)
        return left

    def _key(self, key: str) -> str:
        return f"{self._prefix}:{{i:{key}}}"
