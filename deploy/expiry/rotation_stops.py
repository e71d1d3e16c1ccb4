"""Failures in a row of automatic rotation, and the stops that they lead to, by environment."""

import json
from dataclasses import dataclass
from typing import Any

from deploy.actions.connection import Script, redis_errors
from deploy.actions.versions import check, reading

VERSION = 1
"""Of the form in which a stop is stored."""

_COUNT = """
-- ARGV: id of the try, whether it succeeded, how many failures in a row stop it
if redis.call('HGET', KEYS[1], 'counted') == ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'counted', ARGV[1])
if ARGV[2] == '1' then
  redis.call('HSET', KEYS[1], 'failures', 0)
  return 0
end
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
if failures >= tonumber(ARGV[3]) and redis.call('HEXISTS', KEYS[1], 'stopped') == 0 then
  local time = redis.call('TIME')
  local number = redis.call('HINCRBY', KEYS[1], 'stops', 1)
  local last = redis.call('HGET', KEYS[1], 'last') or ''
  redis.call('HSET', KEYS[1], 'stopped', time[1], 'stop:' .. number, cjson.encode({
    version = VERSION, at = tonumber(time[1]), failures = failures, last = last,
    resumed_by = '', resumed_at = 0}))
  redis.call('HDEL', KEYS[1], 'stop:' .. (number - 20))
end
return 0
"""
_RESUME = """
-- ARGV: who resumes it, when. Of two the first counts, as the trail has it.
if redis.call('HDEL', KEYS[1], 'stopped') == 0 then return 0 end
local name = 'stop:' .. redis.call('HGET', KEYS[1], 'stops')
local kept = redis.call('HGET', KEYS[1], name)
if kept then
  local stop = cjson.decode(kept)
  stop.resumed_by, stop.resumed_at = ARGV[1], tonumber(ARGV[2])
  redis.call('HSET', KEYS[1], name, cjson.encode(stop))
end
redis.call('HSET', KEYS[1], 'failures', 0)
return 1
"""


@dataclass(frozen=True)
class RotationStop:
    """That automatic rotation is stopped in an environment, since `at` (epoch seconds).
    `number` counts its stops; `last` is how the last of the `failures` in a row ended.

    With `resumed_by` it is over: that person resumed it.
    """

    environment: str
    number: int
    at: float
    failures: int
    last: str
    resumed_by: str = ""
    resumed_at: float = 0.0


class RotationStops:
    """In the hash of what is kept of an environment's automatic rotation. Each step may be
    repeated."""

    def __init__(self, client: Any, *, prefix: str = "gateway-bot") -> None:
        self._client = client
        self._prefix = prefix
        self._count = Script(client, f"local VERSION = {VERSION}\n{_COUNT}")
        self._resume = Script(client, _RESUME)

    def key(self, environment: str) -> str:
        """Where that hash is."""
        return f"{self._prefix}:{{automatic:{environment}}}"

    @redis_errors
    def count(self, environment: str, name: str, *, failed: str, allowed: int) -> None:
        """How the try of that name ended: `failed` is empty where it succeeded. As many failures in a
        row as are `allowed` are a stop."""
        key = self.key(environment)
        if failed:
            self._client.hset(key, "last", failed)
        self._count(keys=[key], args=[name, int(not failed), allowed])

    @redis_errors
    def lasts(self, environment: str) -> bool:
        """Whether nothing may begin there."""
        return bool(self._client.hexists(self.key(environment), "stopped"))

    @redis_errors
    def latest(self, environment: str) -> RotationStop | None:
        """The last one, whether it lasts or is over."""
        number = self._client.hget(self.key(environment), "stops")
        return self.find(environment, int(number)) if number else None

    @redis_errors
    def find(self, environment: str, number: int) -> RotationStop | None:
        """One of the last; None where it is too long ago. Unreadable where a newer bot wrote it, or
        it is damaged."""
        text = self._client.hget(self.key(environment), f"stop:{number}")
        if not text:
            return None
        name = f"Stop {number} of automatic rotation in {environment}"
        with reading(name):
            kept = json.loads(text)
            check(name, kept.get("version"), VERSION)
            return RotationStop(
                environment,
                number,
                float(kept["at"]),
                int(kept["failures"]),
                str(kept["last"]),
                str(kept["resumed_by"]),
                float(kept["resumed_at"]),
            )

    @redis_errors
    def resume(self, environment: str, *, by: str, at: float) -> bool:
        """Begin to count anew; whether there was a stop, and this one ended it."""
        return int(self._resume(keys=[self.key(environment)], args=[by, at])) == 1
