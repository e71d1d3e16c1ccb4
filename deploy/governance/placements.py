"""Where each gateway resource was seen during the last 30 days, in the Redis that all bots share.

A gateway that was deleted or renamed counts until every token it can have held has expired. Should
Redis be emptied, no cluster counts as read until it has been read again, so what was forgotten is
made up for on the strict side.

Every value carries version 1. A value of a later version is left as it is: its place counts as a
gateway's, and its cluster as never read.
"""

import json
import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.actions.connection import Script, redis_errors
from deploy.errors import InvalidInput
from deploy.gateway import GatewayRef, GatewayResource
from deploy.governance.naming import may_be
from deploy.governance.sightings import Sighting

log = logging.getLogger(__name__)

VERSION = 1
KEPT_MS = 30 * 86_400_000
"""No token lives longer (API Management REST API, Gateway - Generate Token)."""

_NOTE = """
-- KEYS: the clusters, then one for each placement. ARGV: the cluster or empty, the list of its
-- unidentified gateways as JSON, for how long placements count, then a field for each placement.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = tonumber(ARGV[3])

local function later(stored)
  local good, value = pcall(cjson.decode, stored or '{}')
  return stored and (not good or type(value) ~= 'table' or value.version ~= 1)
end

local function tidy(key)
  local flat = redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    if not later(flat[i + 1]) and cjson.decode(flat[i + 1]).seen_at < now - kept then
      redis.call('HDEL', key, flat[i])
    end
  end
  redis.call('PEXPIRE', key, kept)
end

local tidied = {}
for i = 2, #KEYS do
  local field = ARGV[i + 2]
  if not later(redis.call('HGET', KEYS[i], field)) then
    redis.call('HSET', KEYS[i], field, cjson.encode({version = 1, seen_at = now}))
  end
  if not tidied[KEYS[i]] then
    tidied[KEYS[i]] = true
    tidy(KEYS[i])
  end
end
if ARGV[1] ~= '' and not later(redis.call('HGET', KEYS[1], ARGV[1])) then
  redis.call('HSET', KEYS[1], ARGV[1],
    '{"version":1,"read_at":' .. string.format('%.0f', now) .. ',"unidentified":' .. ARGV[2] .. '}')
end
return 1
"""

_READ = """
-- KEYS: the clusters, the placements of gateways of that name.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return {string.format('%.0f', now), redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2])}
"""


@dataclass(frozen=True)
class Recorded:
    """What the record has of one resource: where it was seen, which gateways nothing identifies,
    and when each cluster was last read whole (epoch seconds). One that was not for 30 days is left
    out, for by then what was seen there is forgotten."""

    seen: frozenset[GatewayRef]
    unidentified: frozenset[GatewayRef]
    read_at: Mapping[str, float]


class PlacementRecord:
    """Each step may be repeated. Raises Unavailable when Redis cannot be used."""

    def __init__(self, client: Any, *, prefix: str = "gateway-bot") -> None:
        self._prefix = prefix
        self._note = Script(client, _NOTE)
        self._read = Script(client, _READ)
        self._lock = threading.Lock()
        self._reported: set[str] = set()

    @redis_errors
    def note(self, sighting: Sighting) -> None:
        """Record what one cluster shows: all of it, or nothing of it."""
        unidentified = json.dumps(sorted(str(ref) for ref in sighting.unidentified))
        cluster = sighting.cluster if sighting.whole else ""
        self._write(cluster, unidentified, sorted(sighting.placed))

    @redis_errors
    def record_now(self, resource: GatewayResource, ref: GatewayRef) -> None:
        """Record that a token of the resource is about to be at `ref`."""
        self._write("", "[]", [(resource, ref)])

    @redis_errors
    def read(self, resource: GatewayResource) -> Recorded:
        """What is recorded of a resource, by whatever of its name and service was known."""
        now, clusters, seen = self._read(keys=[self._clusters(), self._key(resource)])
        known = {
            name: value for name, text in _pairs(clusters) if (value := self._value(name, text))
        }
        return Recorded(
            frozenset(
                ref
                for field, text in _pairs(seen)
                if self._counts(field, text, float(now)) and (ref := _place(field, resource))
            ),
            frozenset(
                ref
                for value in known.values()
                for name in value["unidentified"]
                if (ref := _ref(str(name)))
            ),
            {
                name: float(value["read_at"]) / 1000
                for name, value in known.items()
                if float(value["read_at"]) > float(now) - KEPT_MS
            },
        )

    def _write(
        self,
        cluster: str,
        unidentified: str,
        placed: Iterable[tuple[GatewayResource, GatewayRef]],
    ) -> None:
        rows = [(self._key(resource), f"{resource.service}|{ref}") for resource, ref in placed]
        self._note(
            keys=[self._clusters(), *(key for key, _ in rows)],
            args=[cluster, unidentified, KEPT_MS, *(field for _, field in rows)],
        )

    def _counts(self, field: str, text: str, now: float) -> bool:
        """Whether a placement is of the last 30 days; one that cannot be read may be."""
        value = self._value(field, text)
        return value is None or float(value["seen_at"]) > now - KEPT_MS

    def _value(self, field: str, text: str) -> dict[str, Any] | None:
        """What was written; None for what a later version wrote, which is reported once."""
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if isinstance(value, dict) and value.get("version") == VERSION:
            return value
        with self._lock:
            new = field not in self._reported
            self._reported.add(field)
        if new:
            log.warning(
                "what is recorded of %s is not of version %d; it is left alone", field, VERSION
            )
        return None

    def _clusters(self) -> str:
        return f"{self._prefix}:{{placements}}:clusters"

    def _key(self, resource: GatewayResource) -> str:
        return f"{self._prefix}:{{placements}}:seen:{resource.gateway}"


def _pairs(flat: list[str]) -> Iterable[tuple[str, str]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _place(field: str, resource: GatewayResource) -> GatewayRef | None:
    """Where a field of the record says that the resource is; None where it is of another one."""
    service, _, ref = field.rpartition("|")
    return _ref(ref) if may_be(GatewayResource(service, resource.gateway), resource) else None


def _ref(text: str) -> GatewayRef | None:
    try:
        return GatewayRef.parse(text)
    except InvalidInput:
        return None
