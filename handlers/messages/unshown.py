"""Messages that Slack refused, or that could not be posted, for whoever keeps the bot."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deploy.actions.codec import Unreadable
from deploy.actions.connection import Script, redis_errors
from deploy.actions.owed import member, tagged
from deploy.actions.versions import Newer, guard
from deploy.errors import Conflict, NotFound
from handlers.messages.scripts import VERSION
from handlers.messages.store import MessageRecord, MessageStore

_CHANGE = (
    guard(VERSION, "'newer'")
    + """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local name, why = ARGV[1], ARGV[2]
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
local held = redis.call('HMGET', KEYS[1], 'owner', 'until')
if held[1] and tonumber(held[2] or 0) > now then return 'held' end
redis.call('HDEL', KEYS[1], 'lost', 'plain', 'failing', 'not_before', 'hash', 'closed')
local unplaced = redis.call('HEXISTS', KEYS[1], 'place') == 0
if unplaced then redis.call('HDEL', KEYS[1], 'shown') end
if why ~= '' then
  redis.call('HSET', KEYS[1], 'lost', why)
else
  -- A post of it that may stand is under way again: every bot looks for such a post first.
  local unsure = redis.call('HGET', KEYS[1], 'unsure')
  if unsure and unplaced then redis.call('HSETNX', KEYS[1], 'intent', unsure) end
  redis.call('HDEL', KEYS[1], 'unsure')
end
redis.call('ZADD', KEYS[2], 0, name)
return 'done'
"""
)
"""KEYS record, index; ARGV member, why it is never shown; empty to have it tried anew."""


@dataclass(frozen=True)
class Unshown:
    """A message that does not show what it should, and why; `since` is when that began (epoch
    seconds), where it is known."""

    name: str
    why: str
    since: float | None


class UnshownMessages:
    """The records of one Redis. Raises Unavailable when it cannot be used."""

    def __init__(self, client: Any, owner: str, *, prefix: str = "gateway-bot") -> None:
        self._client = client
        self._prefix = prefix
        self._store = MessageStore(client, owner, prefix=prefix)
        self._change = Script(client, _CHANGE)

    @redis_errors
    def all(self) -> list[Unshown]:
        """Every such message, those that fail the longest first."""
        found = list(self._found())
        return sorted(found, key=lambda each: (each.since is None, each.since or 0.0, each.name))

    def again(self, name: str) -> None:
        """Have it tried anew, as if Slack had refused nothing of it. NotFound where there is none,
        Newer where a newer bot wrote its record."""
        self._changed(name, "")

    def drop(self, name: str, why: str) -> None:
        """Never show it. NotFound and Newer as above."""
        self._changed(name, why)

    @redis_errors
    def _changed(self, name: str, why: str) -> None:
        family, _, key = name.partition(":")
        record = tagged(self._prefix, f"record:{member(family, key)}")
        result = self._change(keys=[record, tagged(self._prefix, "owed")], args=[name, why])
        if result == "newer":
            raise Newer(f"The record of the message {name[:80]}")
        if result == "gone":
            raise NotFound(f"There is no message {name[:80]}.", remedy="List them first.")
        if result != "done":
            raise Conflict(
                f"A bot works on the message {name[:80]} now.", remedy="Try again in a minute."
            )

    def _found(self) -> Iterator[Unshown]:
        start = tagged(self._prefix, "record:")
        pattern = start.replace("[", "\\[") + "*"
        for stored in self._client.scan_iter(match=pattern, count=500):
            family, _, key = str(stored).removeprefix(start).partition(":")
            try:
                record = self._store.known(family, key)
            except Unreadable:
                continue
            if why := _why(record):
                yield Unshown(record.member, why, record.failing)


def _why(record: MessageRecord) -> str:
    """Why it does not show what it should; empty where it does, as far as its record knows."""
    if record.lost:
        return record.lost
    if record.refused and record.digest in ("", *record.refused):
        return "Slack refused its content"
    if record.refused:
        return "Slack refused a content; a shorter form or an earlier state is shown"
    if record.failing is not None:
        return "Slack does not accept it for now, or cannot be reached"
    return ""
