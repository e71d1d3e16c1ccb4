"""Messages that are posted once, whoever tries and however often: the digest, and what stopped."""

import logging
from dataclasses import dataclass
from typing import Any, Literal

from deploy.actions.connection import redis_errors
from deploy.actions.versions import LeftAlone, Newer, guard

log = logging.getLogger(__name__)

VERSION = 1
_KEEP_MS = 60 * 86_400_000

_BEGIN = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'sent' then return {'sent', ''} end
local owner, till = redis.call('HGET', KEYS[1], 'owner'), redis.call('HGET', KEYS[1], 'until')
if owner and owner ~= ARGV[1] and tonumber(till) > now then return {'held', ''} end
local since = redis.call('HGET', KEYS[1], 'since') or ''
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', now + tonumber(ARGV[2]), 'format', FORMAT)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'yours', since}
"""
_MARK = """
local time = redis.call('TIME')
redis.call('HSETNX', KEYS[1], 'since', time[1])
return 1
"""
_END = """
if ARGV[1] == 'sent' then redis.call('HSET', KEYS[1], 'state', 'sent') end
redis.call('HDEL', KEYS[1], 'since', 'owner', 'until')
return 1
"""


@dataclass(frozen=True)
class Turn:
    """The right to post. `since` is when an earlier post began whose end nobody noted."""

    since: float | None


class Notices:
    """By id, in the Redis that all bots share. Each script may be repeated."""

    def __init__(self, client: Any, owner: str, *, prefix: str = "gateway-bot") -> None:
        self._owner = owner
        self._prefix = prefix
        self._begin = client.register_script(guard(VERSION, "{'newer', ''}") + _BEGIN)
        self._mark = client.register_script(guard(VERSION, "0") + _MARK)
        self._end = client.register_script(guard(VERSION, "0") + _END)
        self._left_alone = LeftAlone(log)

    @redis_errors
    def begin(self, notice: str, seconds: float = 40.0) -> Turn | Literal["sent", "held"]:
        """The right to post it for so long; or that it was posted, or that another bot is at it, as
        for one that a newer bot wrote."""
        args = [self._owner, int(seconds * 1000), _KEEP_MS]
        answer, since = self._begin(keys=[self._key(notice)], args=args)
        if answer == "yours":
            return Turn(float(since) if since else None)
        if answer == "newer":
            self._left_alone.report(Newer(f"The notice {notice}"))
        return "sent" if answer == "sent" else "held"

    @redis_errors
    def mark(self, notice: str) -> None:
        """The post begins now."""
        self._mark(keys=[self._key(notice)])

    @redis_errors
    def end(self, notice: str, *, sent: bool) -> None:
        """It was posted, or surely was not."""
        self._end(keys=[self._key(notice)], args=["sent" if sent else "open"])

    def _key(self, notice: str) -> str:
        return f"{self._prefix}:{{notice:{notice}}}"
