"""Messages that a bot keeps current for a while, in the Redis that all bots share.

The bot that keeps one holds a lease. Whoever stops it may speak to another bot, and one whose bot
died is ended by another: no message looks current when nobody keeps it so.
"""

import json
import logging
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deploy.actions.codec import Unreadable
from deploy.actions.connection import redis_errors
from deploy.actions.versions import LeftAlone, Newer, guard, reading

log = logging.getLogger(__name__)

VERSION = 1
_LEASE_SECONDS = 15.0
"""Longer than from one look to the next where Slack takes its ten seconds to answer."""
_POSTING_MS = 120_000
"""Until it is posted nobody else need end it: Slack may say to wait, and wait again."""

_BEGIN = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'payload', ARGV[1], 'owner', ARGV[2], 'until', now + tonumber(ARGV[3]),
           'ends', now + tonumber(ARGV[4]), 'format', FORMAT)
redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[4]) + 86400000)
return 1
"""
_HOLD = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'stopped', 'ends')
if not held[1] then return {'gone', ''} end
if held[1] ~= ARGV[1] then return {'lost', ''} end
if held[2] then return {'stopped', held[2]} end
if now >= tonumber(held[3]) then return {'over', ''} end
redis.call('HSET', KEYS[1], 'until', now + tonumber(ARGV[2]))
return {'on', ''}
"""
_STOP = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'stopped', ARGV[1])
return 1
"""
_PLACE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'place', ARGV[2], 'until', now + tonumber(ARGV[3]))
return 1
"""
_ADOPT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'until', 'payload', 'place', 'owner')
if not held[1] then return {'gone', '', ''} end
if tonumber(held[1]) > now and held[4] ~= ARGV[1] then return {'held', '', ''} end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', now + tonumber(ARGV[2]))
return {'taken', held[2], held[3] or ''}
"""

State = Literal["on", "stopped", "over", "lost", "gone"]


@dataclass(frozen=True)
class Orphan:
    """A message whose bot is gone: what it shows and where it is, if it was posted."""

    id: str
    payload: Mapping[str, Any]
    place: Mapping[str, str] | None


class LiveMessages:
    """Each script may be repeated: it does the same again."""

    def __init__(
        self, client: Any, owner: str, *, prefix: str = "gateway-bot", lease: float = _LEASE_SECONDS
    ) -> None:
        self._client = client
        self._owner = owner
        self._prefix = prefix
        self._lease_ms = int(lease * 1000)
        self._index = f"{prefix}:{{live}}:all"
        self._begin = client.register_script(guard(VERSION, "0") + _BEGIN)
        self._hold = client.register_script(guard(VERSION, "{'lost', ''}") + _HOLD)
        self._stop = client.register_script(guard(VERSION, "-1") + _STOP)
        self._put = client.register_script(guard(VERSION, "0") + _PLACE)
        self._adopt = client.register_script(guard(VERSION, "{'newer', '', ''}") + _ADOPT)
        self._left_alone = LeftAlone(log)

    @redis_errors
    def begin(self, key: str, payload: Mapping[str, Any], seconds: float) -> bool:
        """Begin to keep one; False where the same request has begun one before."""
        # The index first: what dies in between is swept away.
        self._client.sadd(self._index, key)
        posting = max(self._lease_ms, _POSTING_MS)
        arguments = [json.dumps(dict(payload)), self._owner, posting, int(seconds * 1000)]
        return int(self._begin(keys=[self._key(key)], args=arguments)) == 1

    @redis_errors
    def placed(self, key: str, place: Mapping[str, str]) -> None:
        """Where it was posted; from now on it is held by `hold`."""
        args = [self._owner, json.dumps(dict(place)), self._lease_ms]
        self._put(keys=[self._key(key)], args=args)

    @redis_errors
    def hold(self, key: str) -> tuple[State, str]:
        """Whether to go on, and who stopped it."""
        state, by = self._hold(keys=[self._key(key)], args=[self._owner, self._lease_ms])
        return state, by

    @redis_errors
    def stop(self, key: str, by: str) -> bool:
        """Ask whichever bot keeps it to end it; False where none does. Unreadable for one that a
        newer bot keeps."""
        answer = int(self._stop(keys=[self._key(key)], args=[by]))
        if answer < 0:
            raise Newer("This message")
        return answer == 1

    @redis_errors
    def end(self, key: str) -> None:
        """It is current no more, and says so."""
        self._client.delete(self._key(key))
        self._client.srem(self._index, key)

    @redis_errors
    def orphans(self, kept: Container[str]) -> list[Orphan]:
        """Those that nobody keeps any more; they are this bot's to end. Those that it keeps itself
        are not among them, however late their leases are renewed; nor is what cannot be read."""
        found = []
        for key in self._client.smembers(self._index):
            if key in kept:
                continue
            state, payload, place = self._adopt(
                keys=[self._key(key)], args=[f"{self._owner}-end", self._lease_ms]
            )
            try:
                if state == "gone":
                    self._client.srem(self._index, key)
                elif state == "newer":
                    raise Newer(_name(key))
                elif state == "taken":
                    found.append(_orphan(key, payload, place))
            except Unreadable as record:
                self._left_alone.report(record)
        return found

    def _key(self, key: str) -> str:
        return f"{self._prefix}:{{live:{key}}}"


def _name(key: str) -> str:
    return f"The message of {key}"


def _orphan(key: str, payload: str, place: str) -> Orphan:
    with reading(_name(key)):
        return Orphan(key, dict(json.loads(payload)), json.loads(place) if place else None)
