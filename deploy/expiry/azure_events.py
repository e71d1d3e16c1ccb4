"""What Azure reported of instances' tokens by Event Grid, in the Redis that all bots share."""

import json
import logging
from collections.abc import Sequence
from typing import Any

from deploy.actions.codec import Unreadable
from deploy.actions.connection import Script, redis_errors
from deploy.actions.versions import LeftAlone, check, reading
from deploy.expiry.event_grid import TokenEvent
from deploy.health.heartbeat import AzureEvent

log = logging.getLogger(__name__)

VERSION = 1
_SEEN_MS = 86_400_000
_KEEP_MS = 40 * 86_400_000
"""Longer than any token lives: by then it is about another one."""
_INSTANCES = 500

_TAKE = """
-- KEYS: the gateway's instances, the mark of this event
-- ARGV: instance, what is to be kept of it, how long to keep mark and gateway, the most instances,
--       what must be kept of it until now
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[6] then return -1 end
if not redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[3]) then return 0 end
local known = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1
if not known and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""


class AzureEvents:
    """By service and gateway: the last event of each instance."""

    def __init__(self, client: Any, *, prefix: str = "gateway-bot") -> None:
        self._client = client
        self._prefix = prefix
        self._known = f"{prefix}:{{azure}}:known"
        self._take = Script(client, _TAKE)
        self._left_alone = LeftAlone(log)

    @redis_errors
    def take(self, event: TokenEvent) -> bool:
        """Keep it; False for one that tells nothing new: by its id it was there in the last day,
        or it is late, and what is kept of the instance has a later time, or cannot be read."""
        key = self._key(event.service, event.gateway)
        self._client.sadd(self._known, f"{event.service}/{event.gateway}")
        new = AzureEvent(event.instance, event.expired, event.expires_at, event.at)
        while True:
            before = str(self._client.hget(key, event.instance) or "")
            earlier = self._event(event.instance, before) if before else new
            if earlier is None:
                return False
            kept = max(new, earlier, key=lambda e: e.order)
            stored = {
                "version": VERSION,
                "expired": kept.expired,
                "expires_at": kept.expires_at,
                "at": kept.at,
            }
            args = [event.instance, json.dumps(stored), _SEEN_MS, _KEEP_MS, _INSTANCES, before]
            answer = int(self._take(keys=[key, f"{key}:seen:{event.id}"], args=args))
            # Another bot has kept something else of it in between.
            if answer >= 0:
                return answer == 1 and kept is new

    @redis_errors
    def about(self, service: str, gateway: str) -> tuple[AzureEvent, ...]:
        """What was last said of each instance of a gateway."""
        found = self._client.hgetall(self._key(service.lower(), gateway.lower()))
        events = (self._event(str(instance), text) for instance, text in found.items())
        return tuple(event for event in events if event is not None)

    @redis_errors
    def known(self) -> tuple[tuple[str, str], ...]:
        """Service and gateway of each of which something was said."""
        names = sorted(str(name) for name in self._client.smembers(self._known))
        found = []
        for name in names:
            service, _, gateway = name.partition("/")
            if self._client.exists(self._key(service, gateway)):
                found.append((service, gateway))
            else:
                self._client.srem(self._known, name)
        return tuple(found)

    def of_services(self, services: Sequence[str], gateway: str) -> tuple[AzureEvent, ...]:
        """The same over several services, of which one has the gateway."""
        return tuple(event for service in services for event in self.about(service, gateway))

    def _event(self, instance: str, text: str) -> AzureEvent | None:
        """What was kept of an instance; None where it cannot be read, which is reported once."""
        try:
            return _event(instance, text)
        except Unreadable as record:
            self._left_alone.report(record)
            return None

    def _key(self, service: str, gateway: str) -> str:
        return f"{self._prefix}:{{azure:{service}/{gateway}}}"


def _event(instance: str, text: str) -> AzureEvent:
    name = f"The record of Azure's events for instance {instance}"
    with reading(name):
        kept = json.loads(text)
        check(name, kept.get("version"), VERSION)
        return AzureEvent(
            instance, bool(kept["expired"]), float(kept["expires_at"]), float(kept["at"])
        )
