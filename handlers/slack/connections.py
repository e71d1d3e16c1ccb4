"""How many Socket Mode connections all bots have, beside how many Slack counts.

Slack spreads what it delivers over an app's connections, ten at most. One whose end it never noticed
of keeps counting for about five hours and swallows its share (python-slack-sdk #1940); commands
and clicks are not sent again. No bot can see such a connection. That there are some shows when the
`num_connections` of a hello is more than all bots have together.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.actions.connection import Script, redis_errors
from deploy.actions.owed import Owed
from deploy.actions.versions import check, guard, reading
from handlers.views import connections as view
from handlers.views.connections import LostConnections

LIMIT = 10
"""How many connections an app may have (docs.slack.dev: Using Socket Mode)."""
NAME = "connections"
"""What the index of messages calls those of connections without a bot."""
_VERSION = 1
_KEPT = 20
_RECENT_SECONDS = 30.0
_STALE_SECONDS = 3600.0
"""After so long without any hello, what was lost may be gone, and an attempt tells."""
_LEASE_SECONDS = 60.0
CONFIRM_SECONDS = 20.0
"""What two hellos say counts where so long is between them: Slack may count a connection that was
just closed, and a bot that was just started may not be counted here yet."""

_COUNT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function number(name) return tonumber(redis.call('HGET', KEYS[1], name) or 0) end
redis.call('HSET', KEYS[1], 'format', FORMAT)
if tonumber(ARGV[2]) > 0 then
  redis.call('HSET', KEYS[1], 'bot ' .. ARGV[1], ARGV[2] .. ' ' .. (now + tonumber(ARGV[3])))
else
  redis.call('HDEL', KEYS[1], 'bot ' .. ARGV[1])
end
local bots, flat = 0, redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  if string.sub(flat[i], 1, 4) == 'bot ' then
    local count, till = string.match(flat[i + 1], '^(%d+) (%d+)$')
    if tonumber(till) > now then
      bots = bots + tonumber(count)
    else
      redis.call('HDEL', KEYS[1], flat[i])
    end
  end
end
local changed = 0
local function note(lost, version, began, ended)
  changed = 1
  redis.call('HSET', KEYS[1], 'lost', lost)
  redis.call('HSET', KEYS[2], redis.call('HGET', KEYS[1], 'episode'), cjson.encode({
    format = FORMAT, lost = lost, version = version, began = began, ended = ended}))
end
local function last() return cjson.decode(redis.call('HGET', KEYS[2], redis.call('HGET', KEYS[1], 'episode'))) end
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'seen', ARGV[4], 'seen_at', now)
  local lost, was, doubt = math.max(0, ARGV[4] - bots), number('lost'), number('doubt')
  if (lost > 0) == (was > 0) then
    redis.call('HDEL', KEYS[1], 'doubt')
    if lost ~= was then note(lost, last().version + 1, last().began, 0) end
  elseif doubt == 0 then
    redis.call('HSET', KEYS[1], 'doubt', now)
  elseif now - doubt >= tonumber(ARGV[5]) then
    redis.call('HDEL', KEYS[1], 'doubt')
    if lost > 0 then
      local episode = redis.call('HINCRBY', KEYS[1], 'episode', 1)
      redis.call('HDEL', KEYS[2], episode - tonumber(ARGV[6]))
      note(lost, 1, doubt, 0)
    else
      note(0, last().version + 1, last().began, now)
    end
  end
end
return {bots, number('seen'), now - number('seen_at'), number('lost'), number('doubt'),
        number('episode'), changed}
"""
"""Renew a bot's count, and with a fourth argument compare what Slack counts with what all bots have.
It may be repeated: at the same moment it finds the same."""


@dataclass(frozen=True)
class Counted:
    """How many connections all bots have, and how many Slack counted `age` seconds ago.

    `lost` is how many of those no bot has, where two hellos agree that there are some. `doubted`
    says that the last hello disagrees with that.
    """

    of_bots: int
    at_slack: int
    age: float
    lost: int
    doubted: bool

    @property
    def expected(self) -> int:
        """How many Slack counts now, as far as that is known."""
        if self.age > _STALE_SECONDS:
            return self.of_bots
        newest = self.doubted or self.age < _RECENT_SECONDS
        return max(self.of_bots, self.at_slack if newest else self.of_bots + self.lost)

    @property
    def room(self) -> bool:
        """Whether there may be another one: the tenth is left to a bot that has none."""
        return self.expected + 1 < LIMIT

    def __str__(self) -> str:
        return view.described(self.of_bots, self.lost)


class ConnectionCount:
    """One bot's part in the count. Its connections count for a minute unless it says so again, so
    those of a dead bot end. Raises Unavailable where Redis is away."""

    def __init__(
        self,
        client: Any,
        owner: str,
        *,
        prefix: str = "gateway-bot",
        lease_seconds: float = _LEASE_SECONDS,
        confirm_seconds: float = CONFIRM_SECONDS,
    ) -> None:
        self._client = client
        self._owner = owner
        self._lease_ms = int(lease_seconds * 1000)
        self._confirm_ms = int(confirm_seconds * 1000)
        self._keys = [f"{prefix}:{{slack}}:connections", f"{prefix}:{{slack}}:lost"]
        self._count = Script(client, guard(_VERSION, "{}") + _COUNT)
        self._owed = Owed(client, NAME, prefix=prefix)

    @property
    def marks(self) -> Owed:
        """The marks of the messages about it in the index."""
        return self._owed

    def report(self, own: int) -> Counted | None:
        """This bot has, or is about to have, so many. None where a newer bot counts differently."""
        return self._counted(own, "")

    def hello(self, own: int, at_slack: int) -> Counted | None:
        """Slack says just now that it counts so many."""
        return self._counted(own, str(at_slack))

    @redis_errors
    def find(self, key: str) -> LostConnections | None:
        """One such time by its name in the index of messages."""
        text = self._client.hget(self._keys[1], key)
        return None if text is None else _read(key, text)

    @redis_errors
    def versions(self) -> Mapping[str, int]:
        """The version of each of the last ones."""
        kept = self._client.hgetall(self._keys[1])
        return {key: _read(key, text).version for key, text in kept.items()}

    @redis_errors
    def _counted(self, own: int, at_slack: str) -> Counted | None:
        args = [self._owner, own, self._lease_ms, at_slack, self._confirm_ms, _KEPT]
        found = self._count(keys=self._keys, args=args)
        if not found:
            return None
        of_bots, seen, age, lost, doubt, episode, changed = map(int, found)
        if changed:
            self._owed.now(str(episode))
        return Counted(of_bots, seen, age / 1000, lost, doubt > 0)


def _read(key: str, text: str) -> LostConnections:
    name = f"The record of lost connections {key}"
    with reading(name):
        data = json.loads(text)
        check(name, data.pop("format"), _VERSION)
        data |= {"began": data["began"] / 1000, "ended": data["ended"] / 1000}
        return LostConnections(**data)
