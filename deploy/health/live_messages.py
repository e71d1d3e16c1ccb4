"""Messages that a bot keeps current for a while, in the Redis that all bots share.

The bot that keeps one holds a lease, and writes here what it shows; whoever posts it reads it here.
Whoever stops it may speak to another bot, and one whose bot died is ended by another: no message
looks current when nobody keeps it so.
"""

import json
import logging
import secrets
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deploy.actions.codec import Unreadable
from deploy.actions.connection import Script, redis_errors
from deploy.actions.owed import Owed
from deploy.actions.versions import LeftAlone, Newer, check, guard, reading

log = logging.getLogger(__name__)

VERSION = 1
_LEASE_SECONDS = 15.0
"""Longer than from one look to the next where Redis takes its time to answer."""
_KEEP_MS = 86_400_000
"""For so long after its end its message may be behind."""

_CLOCK = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""
_BEGIN = (
    _CLOCK
    + """
local payload, owner, lease, lasts, shown, over, keep, call = unpack(ARGV)
if redis.call('EXISTS', KEYS[1]) == 1 then
  -- The answer to this very call may have been lost.
  return redis.call('HGET', KEYS[1], 'call') == call and now or 0
end
redis.call('HSET', KEYS[1], 'payload', payload, 'owner', owner, 'until', now + tonumber(lease),
           'begun', now, 'call', call, 'ends', now + tonumber(lasts), 'shown', shown, 'version', 1, 'format', FORMAT)
if over ~= '' then redis.call('HSET', KEYS[1], 'over', over, 'over_at', now) end
redis.call('PEXPIRE', KEYS[1], tonumber(lasts) + tonumber(keep))
return now
"""
)
_HOLD = (
    _CLOCK
    + """
local held = redis.call('HMGET', KEYS[1], 'owner', 'stopped', 'ends', 'over')
if not held[1] then return {'gone', ''} end
if held[1] ~= ARGV[1] or held[4] then return {'lost', ''} end
if held[2] then return {'stopped', held[2]} end
if now >= tonumber(held[3]) then return {'over', ''} end
redis.call('HSET', KEYS[1], 'until', now + tonumber(ARGV[2]))
return {'on', ''}
"""
)
_SHOW = """
local held = redis.call('HMGET', KEYS[1], 'owner', 'over')
if held[1] ~= ARGV[1] or held[2] then return 0 end
redis.call('HSET', KEYS[1], 'shown', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'version', 1)
return 1
"""
_STOP = """
local held = redis.call('HMGET', KEYS[1], 'owner', 'over')
if not held[1] or held[2] then return 0 end
redis.call('HSET', KEYS[1], 'stopped', ARGV[1])
return 1
"""
_END = (
    _CLOCK
    + """
local owner, payload, shown, over, by, begun, ends, keep = unpack(ARGV)
local held = redis.call('HMGET', KEYS[1], 'owner', 'over')
if (held[1] and held[1] ~= owner) or held[2] then return 0 end
redis.call('HSET', KEYS[1], 'owner', owner, 'until', now, 'payload', payload, 'shown', shown, 'over', over,
           'over_by', by, 'over_at', now, 'begun', begun, 'ends', ends, 'format', FORMAT)
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('PEXPIRE', KEYS[1], keep)
return 1
"""
)
_NOTE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'note', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'version', 1)
return 1
"""
_ADOPT = (
    _CLOCK
    + """
local held = redis.call('HMGET', KEYS[1], 'until', 'owner', 'over')
if not held[1] or held[3] then return 'gone' end
if tonumber(held[1]) > now and held[2] ~= ARGV[1] then return 'held' end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', now + tonumber(ARGV[2]))
return 'taken'
"""
)

State = Literal["on", "stopped", "over", "lost", "gone"]
Cause = Literal["shown", "stopped", "over", "gone", "restarted", "failed", "left"]
"""Why one is not kept current: `shown` for one that never was to be, `left` where its bot died, and
`failed` where a look at it did; `gone` where Redis was emptied."""


@dataclass(frozen=True)
class Ending:
    """Since when it is not kept current (epoch seconds, Redis' time), and why; who stopped it."""

    cause: str
    by: str
    at: float


@dataclass(frozen=True)
class LiveMessage:
    """One of them: what it was asked for with, and what it shows. `begun` and `ends` are in epoch
    seconds, Redis' time; `version` rises with each change."""

    id: str
    payload: Mapping[str, Any]
    shown: Mapping[str, Any]
    version: int
    begun: float
    ends: float
    ending: Ending | None
    note: str = ""
    """What is posted once in its thread."""


class LiveMessages:
    """Each script may be repeated: it does the same again. Whatever changes one marks its message."""

    def __init__(
        self,
        client: Any,
        owner: str,
        family: str,
        *,
        prefix: str = "gateway-bot",
        lease: float = _LEASE_SECONDS,
        on_mark: Callable[[str], None] = lambda key: None,
    ) -> None:
        """`family` is that of their messages; `on_mark` is called with the id of each that is
        behind."""
        self._client = client
        self._owner = owner
        self._prefix = f"{prefix}:{family}"
        self._lease_ms = int(lease * 1000)
        self._index = f"{self._prefix}:{{live}}:all"
        self._owed = Owed(client, family, prefix=prefix)
        self._on_mark = on_mark
        self._begin = Script(client, guard(VERSION, "0") + _BEGIN)
        self._hold = Script(client, guard(VERSION, "{'lost', ''}") + _HOLD)
        self._show = Script(client, guard(VERSION, "0") + _SHOW)
        self._stop = Script(client, guard(VERSION, "-1") + _STOP)
        self._end = Script(client, guard(VERSION, "0") + _END)
        self._note = Script(client, guard(VERSION, "0") + _NOTE)
        self._adopt = Script(client, guard(VERSION, "'newer'") + _ADOPT)
        self._left_alone = LeftAlone(log)

    @redis_errors
    def begin(
        self, key: str, payload: Mapping[str, Any], seconds: float, shown: Mapping[str, Any]
    ) -> LiveMessage | None:
        """Begin to keep one; None where the same request has started one before."""
        # The index first: what dies in between is swept away.
        self._client.sadd(self._index, key)
        if not self._begun(key, payload, seconds, shown, ""):
            return None
        # Somebody who looked between the two found no message, and took it from the index.
        self._client.sadd(self._index, key)
        return self.find(key)

    @redis_errors
    def once(self, key: str, payload: Mapping[str, Any], shown: Mapping[str, Any]) -> None:
        """Show one that is not kept current; the same request shows one, however often."""
        self._begun(key, payload, 0, shown, "shown")
        self._mark(key)

    @redis_errors
    def hold(self, key: str) -> tuple[State, str]:
        """Whether to continue, and who stopped it."""
        state, by = self._hold(keys=[self._key(key)], args=[self._owner, self._lease_ms])
        return state, by

    @redis_errors
    def show(self, key: str, shown: Mapping[str, Any]) -> None:
        """This is what it shows now."""
        if self._show(keys=[self._key(key)], args=[self._owner, json.dumps(dict(shown))]):
            self._mark(key)

    @redis_errors
    def stop(self, key: str, by: str) -> bool:
        """Ask whichever bot keeps it to end it; False where none does. Unreadable for one that a
        newer bot keeps."""
        answer = int(self._stop(keys=[self._key(key)], args=[by]))
        if answer < 0:
            raise Newer("This message")
        return answer == 1

    @redis_errors
    def end(
        self, message: LiveMessage, shown: Mapping[str, Any], cause: Cause, by: str = ""
    ) -> None:
        """It is no longer kept current, and shows this last; also where Redis has lost it."""
        owner = self._adopter if cause == "left" else self._owner
        args = [
            *(owner, json.dumps(dict(message.payload)), json.dumps(dict(shown)), cause, by),
            *(int(message.begun * 1000), int(message.ends * 1000), _KEEP_MS),
        ]
        self._end(keys=[self._key(message.id)], args=args)
        self._mark(message.id)
        self._client.srem(self._index, message.id)

    @redis_errors
    def note(self, key: str, text: str) -> None:
        """Something to post once in its thread."""
        if self._note(keys=[self._key(key)], args=[text]):
            self._mark(key)

    @redis_errors
    def find(self, key: str) -> LiveMessage | None:
        """The message as it is now; None where there is none. Unreadable where a newer bot wrote it,
        or where it is damaged."""
        fields = self._client.hgetall(self._key(key))
        if not fields:
            return None
        with reading(_name(key)):
            check(_name(key), fields.get("format"), VERSION)
            over = fields.get("over")
            return LiveMessage(
                id=key,
                payload=dict(json.loads(fields["payload"])),
                shown=dict(json.loads(fields["shown"])),
                version=int(fields["version"]),
                begun=int(fields["begun"]) / 1000,
                ends=int(fields["ends"]) / 1000,
                ending=Ending(over, fields.get("over_by", ""), int(fields["over_at"]) / 1000)
                if over
                else None,
                note=fields.get("note", ""),
            )

    @redis_errors
    def versions(self) -> dict[str, int]:
        """The version of each that is kept current, or was a moment ago."""
        keys = [str(key) for key in self._client.smembers(self._index)]
        with self._client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hget(self._key(key), "version")
            found = pipe.execute() if keys else []
        return {key: int(v) for key, v in zip(keys, found, strict=True) if v}

    @redis_errors
    def orphans(self, kept: Container[str]) -> list[LiveMessage]:
        """Those that nobody keeps; they are this bot's to end. Those that it keeps itself are not
        among them, however late their leases are renewed; nor is what cannot be read."""
        found = []
        for key in self._client.smembers(self._index):
            if key in kept:
                continue
            state = self._adopt(keys=[self._key(key)], args=[self._adopter, self._lease_ms])
            try:
                if state == "gone":
                    # Whoever ended it may have died before it marked the message.
                    self._mark(key)
                    self._client.srem(self._index, key)
                    if self._lasts(key):
                        # Somebody began it after it was looked at.
                        self._client.sadd(self._index, key)
                elif state == "newer":
                    raise Newer(_name(key))
                elif state == "taken" and (message := self.find(key)) is not None:
                    found.append(message)
            except Unreadable as record:
                self._left_alone.report(record)
        return found

    @property
    def _adopter(self) -> str:
        return f"{self._owner}-end"

    def _begun(
        self, key: str, payload: Mapping[str, Any], seconds: float, shown: Mapping[str, Any], over: str
    ) -> bool:  # fmt: skip
        args = [
            *(json.dumps(dict(payload)), self._owner, self._lease_ms, int(seconds * 1000)),
            *(json.dumps(dict(shown)), over, _KEEP_MS, secrets.token_hex(8)),
        ]
        begun = bool(self._begin(keys=[self._key(key)], args=args))
        if begun:
            self._mark(key)
        return begun

    def _lasts(self, key: str) -> bool:
        """Whether it was begun and has no end yet."""
        owner, over = self._client.hmget(self._key(key), "owner", "over")
        return bool(owner) and not over

    def _mark(self, key: str) -> None:
        self._owed.now(key)
        self._on_mark(key)

    def _key(self, key: str) -> str:
        return f"{self._prefix}:{{live:{key}}}"


def _name(key: str) -> str:
    return f"The record of the message {key}"
