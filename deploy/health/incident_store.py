"""What is remembered of incidents, in the Redis that all bots share.

One bot at a time watches a subject, which is a cluster for one channel: it holds a lease, and only
its holder can write. So a channel is notified of everything once, however many bots run, and a bot
that starts continues where one ended. Each incident is also kept separately, for its message may be
behind for longer than the incident is watched.
"""

import json
import logging
from collections.abc import Collection, Iterable
from typing import Any

from deploy.actions.codec import Unreadable
from deploy.actions.connection import Script, redis_errors
from deploy.actions.versions import LeftAlone, Newer, check, guard, reading
from deploy.health.incident_codec import (
    incident_from_mapping,
    incident_to_mapping,
    watch_from_mapping,
    watch_to_mapping,
)
from deploy.health.incidents import Incident, WatchedIncident

log = logging.getLogger(__name__)

VERSION = 2
_KEEP_MS = 60 * 86_400_000
"""For so long an incident is kept that does not change."""

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
for index = 2, #KEYS do redis.call('SET', KEYS[index], ARGV[index + 3], 'PX', ARGV[4]) end
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
        self._take = Script(client, guard(VERSION, "{'newer', ''}") + _LEASE)
        self._save = Script(client, guard(VERSION, "0") + _SAVE)
        self._let_go = Script(client, guard(VERSION, "0") + _RELEASE)
        self._left_alone = LeftAlone(log)

    @redis_errors
    def take(self, subject: str) -> WatchedIncident | None:
        """What is remembered, if this bot is the one that watches; None while another is, as where
        a newer bot has written it. What is damaged is lost: to watch on matters more."""
        name = _name(subject)
        state, kept = self._take(keys=[self._key(subject)], args=[self._owner, self._lease_ms])
        if state == "newer":
            self._left_alone.report(Newer(name))
        if state != "yours":
            return None
        try:
            return _watch(name, kept)
        except Unreadable as damaged:
            log.error("%s Watching begins anew.", damaged.happened)
            self.save(subject, WatchedIncident())
            return WatchedIncident()

    @redis_errors
    def save(
        self, subject: str, watch: WatchedIncident, changed: Collection[Incident] = ()
    ) -> bool:
        """Remember it, and the incidents that have changed, and hold on; False where another bot
        watches by now."""
        text = json.dumps(watch_to_mapping(watch))
        texts = [
            json.dumps({"version": VERSION, "incident": incident_to_mapping(each)})
            for each in changed
        ]
        answer = self._save(
            keys=[self._key(subject), *(self._incident(subject, each.id) for each in changed)],
            args=[self._owner, text, self._lease_ms, _KEEP_MS, *texts],
        )
        return int(answer) == 1

    @redis_errors
    def find(self, subject: str, incident: str) -> Incident | None:
        """The incident as it was saved last; None where there is none. Unreadable where a newer bot
        wrote it, or where it is damaged."""
        text = self._client.get(self._incident(subject, incident))
        if not text:
            return None
        name = f"The incident {incident}"
        with reading(name):
            data = json.loads(text)
            check(name, data["version"], VERSION)
            return incident_from_mapping(data["incident"])

    @redis_errors
    def watched(self, clusters: Iterable[str]) -> dict[str, tuple[Incident, ...]]:
        """The incidents that are watched just now, by their subject, whichever bot watches."""
        found = {}
        for cluster in clusters:
            for channel in self.channels(cluster):
                subject = subject_of(cluster, channel)
                kept, version = self._client.hmget(self._key(subject), "watch", "format")
                try:
                    check(_name(subject), version, VERSION)
                    found[subject] = _watch(_name(subject), kept).incidents
                except Unreadable as record:
                    self._left_alone.report(record)
        return found

    @redis_errors
    def release(self, subject: str) -> None:
        """Let another bot watch at once."""
        self._let_go(keys=[self._key(subject)], args=[self._owner])

    @redis_errors
    def channels(self, cluster: str) -> frozenset[str]:
        """The channels that are notified of a cluster, whichever bot watches."""
        return frozenset(str(c) for c in self._client.smembers(self._channels(cluster)))

    @redis_errors
    def remember(self, cluster: str, channel: str) -> None:
        """Notify the channel of the cluster, also from a bot that does not see why."""
        self._client.sadd(self._channels(cluster), channel)

    @redis_errors
    def forget(self, cluster: str, channel: str) -> None:
        """No incident of the cluster concerns the channel."""
        self._client.srem(self._channels(cluster), channel)

    def _channels(self, cluster: str) -> str:
        return f"{self._prefix}:{{watch:{cluster}}}:channels"

    def _key(self, subject: str) -> str:
        return f"{self._prefix}:{{watch:{subject}}}"

    def _incident(self, subject: str, incident: str) -> str:
        # A script writes it together with the watch, so both share a hash tag.
        return f"{self._key(subject)}:{incident}"


def subject_of(cluster: str, channel: str) -> str:
    """How what is watched for a channel is named."""
    return f"{cluster}:{channel}"


def _watch(name: str, text: str | None) -> WatchedIncident:
    with reading(name):
        return watch_from_mapping(json.loads(text)) if text else WatchedIncident()


def _name(subject: str) -> str:
    return f"The record of incidents of {subject}"
