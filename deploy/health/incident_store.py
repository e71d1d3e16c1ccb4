"""What is remembered of incidents, in the Redis that all bots share.

One bot at a time watches a subject, which is a cluster for one channel: it holds a lease, and only
its holder can write. So a channel hears of everything once, however many bots run, and a bot that
starts goes on where one ended.
"""

import json
import logging
from typing import Any

from deploy.actions.codec import Unreadable
from deploy.actions.connection import redis_errors
from deploy.actions.versions import LeftAlone, Newer, guard, reading
from deploy.health.incidents import WatchedIncident, watch_from_mapping, watch_to_mapping

log = logging.getLogger(__name__)

VERSION = 1

_LEASE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'until')
if held[1] and held[1] ~= ARGV[1] and tonumber(held[2] or 0) > now then return {'held', ''} end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', now + tonumber(ARGV[2]))
return {'yours', redis.call('HGET', KEYS[1], 'watch') or ''}
"""
_SAVE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'watch', ARGV[2], 'until', now + tonumber(ARGV[3]), 'format', FORMAT)
return 1
"""
_RELEASE = """
if redis.call('HGET', KEYS[1], 'owner') == ARGV[1] then redis.call('HSET', KEYS[1], 'until', 0) end
return 1
"""


class IncidentStore:
    """Each script may be repeated: it does the same again."""

    def __init__(
        self, client: Any, owner: str, *, prefix: str = "gateway-bot", seconds: float = 40.0
    ) -> None:
        self._client = client
        self._owner = owner
        self._prefix = prefix
        self._lease_ms = int(seconds * 1000)
        self._take = client.register_script(guard(VERSION, "{'newer', ''}") + _LEASE)
        self._save = client.register_script(guard(VERSION, "0") + _SAVE)
        self._let_go = client.register_script(guard(VERSION, "0") + _RELEASE)
        self._left_alone = LeftAlone(log)

    @redis_errors
    def take(self, subject: str) -> WatchedIncident | None:
        """What is remembered, if this bot is the one that watches; None while another is, as where
        a newer bot has written it. What is damaged is lost: to watch on matters more."""
        name = f"What is remembered of {subject}"
        state, kept = self._take(keys=[self._key(subject)], args=[self._owner, self._lease_ms])
        if state == "newer":
            self._left_alone.report(Newer(name))
        if state != "yours":
            return None
        try:
            with reading(name):
                return watch_from_mapping(json.loads(kept)) if kept else WatchedIncident()
        except Unreadable as damaged:
            log.error("%s Watching begins anew.", damaged.happened)
            self.save(subject, WatchedIncident())
            return WatchedIncident()

    @redis_errors
    def save(self, subject: str, watch: WatchedIncident) -> bool:
        """Remember it and hold on; False where another bot watches by now."""
        text = json.dumps(watch_to_mapping(watch))
        answer = self._save(keys=[self._key(subject)], args=[self._owner, text, self._lease_ms])
        return int(answer) == 1

    @redis_errors
    def release(self, subject: str) -> None:
        """Let another bot watch at once."""
        self._let_go(keys=[self._key(subject)], args=[self._owner])

    @redis_errors
    def channels(self, cluster: str) -> frozenset[str]:
        """The channels that heard of a cluster, or were to, whichever bot watched."""
        return frozenset(str(c) for c in self._client.smembers(self._channels(cluster)))

    @redis_errors
    def remember(self, cluster: str, channel: str) -> None:
        """The channel is to hear of the cluster, also from a bot that does not see why."""
        self._client.sadd(self._channels(cluster), channel)

    @redis_errors
    def forget(self, cluster: str, channel: str) -> None:
        """Nothing of the cluster is the channel's any more, and all was told."""
        self._client.srem(self._channels(cluster), channel)

    def _channels(self, cluster: str) -> str:
        return f"{self._prefix}:{{watch:{cluster}}}:channels"

    def _key(self, subject: str) -> str:
        return f"{self._prefix}:{{watch:{subject}}}"
