"""Pauses: where no action starts, on any bot, until an operator resumes it there.

During work on a cluster the bot must leave it alone, whatever people ask for meanwhile. An action that is
running continues to its end: a rollout that is left half-way is worse than one that is done. What the bot
asks for itself, the automatic rotation of a token that is about to expire, starts as well: a pause that
somebody forgets must not take a gateway's link with it.

They are fields of one hash, read before each start. One that this bot cannot read holds, too.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.access import Environment, environment_of
from deploy.actions.action import Action, State
from deploy.actions.connection import Durability, Script, redis_errors
from deploy.actions.records import canonical

VERSION = 1
CLUSTER, ENVIRONMENT = "cluster", "environment"
LATEST = 253402300799.0
"""The last second of the year 9999, after which no moment can be shown."""
PROGRESS = "paused"
"""Under this name the progress of an action that waits has what it waits for."""

_READ = """
local time = redis.call('TIME')
return {string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), redis.call('HGETALL', KEYS[1])}
"""


_FORGET = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local readable, pause = pcall(cjson.decode, redis.call('HGET', KEYS[1], ARGV[1]))
if not readable or type(pause) ~= 'table' or type(pause['until']) ~= 'number' then return 0 end
return pause['until'] * 1000 <= now and redis.call('HDEL', KEYS[1], ARGV[1]) or 0
"""
"""KEYS the pauses; ARGV the field of one, which may have been set anew since somebody saw that it was over."""


@dataclass(frozen=True)
class Pause:
    """That nothing starts on the cluster or in the environment of that name; `scope` says which it is.

    `by` is who paused it, `since` when and `until` by when it ends automatically (epoch seconds, Redis'
    time). All but the first two may be missing in a record that this bot cannot read.
    """

    scope: str
    name: str
    reason: str = ""
    by: str = ""
    since: float | None = None
    until: float | None = None

    def covers(self, cluster: str, environment: str) -> bool:
        """Whether it is for gateways there; an empty one stands for all. A scope that this bot does not
        know is for all of them."""
        names = {CLUSTER: cluster, ENVIRONMENT: environment}
        return names.get(self.scope, self.name) in ("", self.name)

    def to_mapping(self) -> dict[str, Any]:
        """The pause, JSON-able."""
        return {
            "version": VERSION,
            "scope": self.scope,
            "name": self.name,
            "reason": self.reason,
            "by": self.by,
            "since": self.since,
            "until": self.until,
        }


def pause_of(fields: Mapping[str, Any]) -> Pause:
    """What was stored, as far as this bot can read it."""
    return Pause(
        str(fields.get("scope", "")),
        str(fields.get("name", "")),
        str(fields.get("reason", "")),
        str(fields.get("by", "")),
        _moment(fields.get("since")),
        _moment(fields.get("until")),
    )


def waits_for(action: Action) -> Pause | None:
    """The pause that an approved action was last seen to wait for."""
    if action.state is not State.APPROVED:
        return None
    stored = (action.progress or {}).get(PROGRESS)
    return pause_of(stored) if isinstance(stored, Mapping) else None


def holding(
    action: Action, pauses: Iterable[Pause], environments: Sequence[Environment]
) -> Pause | None:
    """The one that keeps the action from starting."""
    name = environment_of(action.ref, environments).name
    covering = (each for each in pauses if each.covers(action.ref.cluster, name))
    return None if action.automatic else next(covering, None)


class Pauses:
    """The pauses of all bots that share one Redis. Every method raises Unavailable."""

    def __init__(self, client: Any, *, prefix: str = "gateway-bot") -> None:
        self._client = client
        self._key = f"{prefix}:{{pauses}}"
        self._read = Script(client, _READ)
        self._forget = Script(client, _FORGET)
        self._durability = Durability(client, prefix)

    @redis_errors
    def all(self) -> tuple[Pause, ...]:
        """Those that hold now, clusters first."""
        return self._now()[1]

    @redis_errors
    def ended(self) -> tuple[Pause, ...]:
        """Those that ended at their time and that nobody has had forgotten yet."""
        return self._now()[2]

    @redis_errors
    def forget(self, pause: Pause) -> None:
        """What shows that it has ended is shown; not where it began anew meanwhile."""
        self._forget(keys=[self._key], args=[f"{pause.scope}:{pause.name}"])

    @redis_errors
    def replicated(self, *, within: float = 5.0) -> bool:
        """Whether a replica of Redis knows of what this has written, or there is none; waits for that
        so many seconds."""
        end = time.monotonic() + within
        while not self._durability.confirmed():
            if time.monotonic() >= end:
                return False
        return True

    @redis_errors
    def begin(
        self, scope: str, name: str, *, reason: str, by: str, until: float | None = None
    ) -> Pause:
        """Pause it from now on. What is paused already has been so since then, and has this reason
        and end from now on."""
        now, pauses, _ = self._now()
        earlier = [each.since for each in pauses if (each.scope, each.name) == (scope, name)]
        pause = Pause(scope, name, reason, by, next(iter(earlier), None) or now, until)
        self._client.hset(self._key, f"{scope}:{name}", canonical(pause.to_mapping()))
        return pause

    @redis_errors
    def end(self, scope: str, name: str) -> bool:
        """Resume it; whether it was paused."""
        held = any((each.scope, each.name) == (scope, name) for each in self._now()[1])
        self._client.hdel(self._key, f"{scope}:{name}")
        return held

    def _now(self) -> tuple[float, tuple[Pause, ...], tuple[Pause, ...]]:
        """Redis' time, those that hold then and those that are over."""
        at, flat = self._read(keys=[self._key])
        now = int(at) / 1000
        stored = zip(flat[::2], flat[1::2], strict=True)
        found = sorted(
            (_decoded(str(field), text) for field, text in stored),
            key=lambda each: (each.scope, each.name),
        )
        over = tuple(each for each in found if each.until is not None and each.until <= now)
        return now, tuple(each for each in found if each not in over), over


def _decoded(field: str, text: str) -> Pause:
    """What a field holds; what it is for is in its name."""
    scope, _, name = field.partition(":")
    try:
        fields = json.loads(text)
    except ValueError:
        fields = {}
    known = fields if isinstance(fields, Mapping) else {}
    return pause_of({**known, "scope": scope, "name": name})


def _moment(value: object) -> float | None:
    """None for what no moment is: such a pause has no end."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= LATEST else None
