"""Approval windows: for at most an hour one requester decides alone on one gateway.

While somebody is troubleshooting, asking for each change is unbearable, and people work around it.
An approver opens a window, any approver closes it, and every change inside it is shown and recorded
as always. Nobody has a window unseen: one counts only while its message is shown.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from deploy.actions.audit import AuditLog
from deploy.actions.codec import Unreadable
from deploy.actions.connection import Script, redis_errors
from deploy.actions.owed import Owed
from deploy.actions.records import DUE, SETTLE, plausible
from deploy.actions.versions import LeftAlone, check, guard, reading
from deploy.errors import InvalidInput
from deploy.gateway import GatewayRef

log = logging.getLogger(__name__)

VERSION = 2
MESSAGES = "window"
"""The family of their messages."""
LONGEST = 3600
_KEEP_MS = 30 * 86_400_000
_LIMIT = 50
_VISIBILITY_MS = 5000
_EARLIER = 5
"""So many earlier openings for the same person on the same gateway are remembered."""

_OPEN = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HGET', KEYS[1], 'made_by') == ARGV[1] then return redis.call('HGETALL', KEYS[1]) end
local before = redis.call('HMGET', KEYS[1], 'number', 'made_by', 'ref', 'requester', 'by', 'reason',
                          'channel', 'opened', 'until', 'closed_by')
if before[1] then
  -- The message of an earlier opening may be behind, and nothing may still rest on it.
  local names = {'number', 'made_by', 'ref', 'requester', 'by', 'reason', 'channel', 'opened', 'until', 'closed_by'}
  local opening = {}
  for index, name in ipairs(names) do
    if before[index] then opening[name] = before[index] end
  end
  if tonumber(opening['until']) > now then
    opening['until'], opening.closed_by = string.format('%.0f', now), ARGV[4]
  end
  local earlier = cjson.decode(redis.call('HGET', KEYS[1], 'earlier') or '[]')
  table.insert(earlier, 1, opening)
  earlier[tonumber(ARGV[9]) + 1] = nil
  redis.call('HSET', KEYS[1], 'earlier', cjson.encode(earlier))
end
-- By the time, for the audit trail remembers a window for longer than it is kept here.
local number = math.max(now, tonumber(redis.call('HGET', KEYS[1], 'number') or 0) + 1)
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('HDEL', KEYS[1], 'closed_by', 'place')
redis.call('HSET', KEYS[1], 'number', number, 'made_by', ARGV[1], 'ref', ARGV[2], 'requester', ARGV[3], 'by', ARGV[4],
           'reason', ARGV[5], 'opened', now, 'until', now + tonumber(ARGV[6]), 'channel', ARGV[8], 'format', FORMAT)
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return redis.call('HGETALL', KEYS[1])
"""

_CLOSE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local open = tonumber(redis.call('HGET', KEYS[1], 'until') or 0) > now
if open and redis.call('HGET', KEYS[1], 'number') == ARGV[2] then
  redis.call('HINCRBY', KEYS[1], 'version', 1)
  redis.call('HSET', KEYS[1], 'until', now, 'closed_by', ARGV[1])
end
return redis.call('HGETALL', KEYS[1])
"""

_NOW = "local time = redis.call('TIME') return time[1] * 1000 + math.floor(time[2] / 1000)"


@dataclass(frozen=True)
class Window:
    """One opening of a window. Times are Redis' own, epoch seconds."""

    id: str
    number: int
    ref: GatewayRef
    requester: str
    by: str
    reason: str
    opened_at: float
    until: float
    left: float
    """For so many seconds it is open still; zero once it is closed."""
    shown: bool = False
    """Whether its message was shown when it was read, if it was not over."""
    made_by: str = ""
    """The request that opened it."""
    closed_by: str = ""
    channel: str = ""
    """Where its message belongs; empty for one that a bot posted before messages were kept."""

    @property
    def over(self) -> bool:
        """Whether it was closed, or its time was over, when it was read."""
        return self.left <= 0

    @property
    def open(self) -> bool:
        """Whether it counted when it was read: it is not over, and its message is shown."""
        return self.shown and not self.over

    @property
    def key(self) -> str:
        """What a policy names: this opening and no other."""
        return f"{self.id}-{self.number}"


def check_length(seconds: int) -> None:
    """InvalidInput where a window cannot be open for so long."""
    if not 0 < seconds <= LONGEST:
        raise InvalidInput("An approval window can be open for 1 to 60 minutes.", field="minutes")


class Windows:
    """Every window, in one Redis.

    One that cannot be read, as a newer bot's, is left alone and reported once: it opens nothing
    here. What is asked of it alone raises Unreadable. Whatever changes one marks its message.
    """

    def __init__(
        self,
        client: Any,
        audit: AuditLog,
        shown: Callable[[str], bool],
        *,
        prefix: str = "gateway-bot",
    ) -> None:
        """`shown` says whether the message of the window with that key is there to be seen."""
        self._client = client
        self._audit = audit
        self._shown = shown
        self._owed = Owed(client, MESSAGES, prefix=prefix)
        self._prefix = prefix
        as_it_is = "redis.call('HGETALL', KEYS[1])"
        self._open = Script(client, guard(VERSION, as_it_is) + _OPEN)
        self._close = Script(client, guard(VERSION, as_it_is) + _CLOSE)
        self._now = Script(client, _NOW)
        self._due = Script(client, DUE)
        self._settle = Script(client, SETTLE)
        self._index = f"{prefix}:{{windows}}"
        self._left_alone = LeftAlone(log)

    @redis_errors
    def open(
        self, ref: GatewayRef, requester: str, *, by: str, reason: str, seconds: int, channel: str,
        request_id: str,
    ) -> Window:  # fmt: skip
        """Open one for `requester` on `ref`; the same one however often this request is made. It
        counts once its message is shown in `channel`. An earlier one ends with it.

        InvalidInput for more than an hour, or for oneself.
        """
        check_length(seconds)
        if by == requester:
            raise InvalidInput("Nobody opens a window for themselves.", field="for")
        name = _id(ref, requester)
        flat = self._open(
            keys=[self._key(name)],
            args=[
                *(request_id, str(ref), requester, by, reason),
                *(seconds * 1000, _KEEP_MS, channel, _EARLIER),
            ],
        )
        window = self._window(name, flat)
        self._client.zadd(self._index, {name: int(window.until * 1000)})
        self._owed.now(window.key)
        self._tell("window opened", by, {"for": requester, "reason": reason}, window, 1)
        return window

    @redis_errors
    def close(self, key: str, *, by: str) -> Window | None:
        """Close it, if it is open still; None when there is none (any longer)."""
        name, _, number = key.partition("-")
        if not plausible(name) or not number.isdigit():
            return None
        flat = self._close(keys=[self._key(name)], args=[by, number])
        if not flat:
            return None
        window = self._window(name, flat)
        if window.closed_by:
            self._client.zadd(self._index, {name: 0}, xx=True)
            self._owed.now(window.key)
            self._tell("window closed", window.closed_by, {}, window, 2)
        return window

    @redis_errors
    def find(self, ref: GatewayRef, requester: str) -> Window | None:
        """The window of `requester` on `ref`, if it is open now; None where it cannot be read."""
        # An id is a hash: whose window it is is never taken from that alone.
        found = (
            window
            for window in self._readable([_id(ref, requester)])
            if window.open and (window.ref, window.requester) == (ref, requester)
        )
        return next(found, None)

    @redis_errors
    def latest(self, ref: GatewayRef, requester: str) -> Window | None:
        """The last one that was opened for `requester` on `ref`, also where it does not count.
        Unreadable where it is."""
        window = self._read(_id(ref, requester))
        return window if (window.ref, window.requester) == (ref, requester) else None

    def open_for(self, requester: str) -> tuple[Window, ...]:
        """Every window that is open for `requester` now, the one that ends first in front."""
        return tuple(each for each in self.all_open() if each.requester == requester)

    @redis_errors
    def all_open(self) -> tuple[Window, ...]:
        """Every window that is open now, the one that ends first in front."""
        names = self._client.zrangebyscore(self._index, f"({int(self._now())}", "+inf")
        return tuple(each for each in self._readable(str(name) for name in names) if each.open)

    @redis_errors
    def at(self, key: str) -> Window | None:
        """This very opening, or None when there is none (any longer)."""
        name = key.partition("-")[0]
        if not plausible(name):
            return None
        return next((each for each in self._openings(name) if each.key == key), None)

    @redis_errors
    def versions(self) -> dict[str, int]:
        """The version of what each message is to show, of windows whose end was not reported yet."""
        names = self._client.zrange(self._index, 0, -1)
        return {
            window.key: 2 if window.over else 1
            for name in names
            for window in self._readable_openings(str(name))
        }

    @redis_errors
    def ended(self) -> list[Window]:
        """Those that are over and were not reported yet; nobody else is given them for a while."""
        names = {str(n) for n in self._due(keys=[self._index], args=[_LIMIT, _VISIBILITY_MS])}
        found = [window for name in names for window in self._readable_openings(name)]
        if unreadable := names - {window.id for window in found}:
            # At once again, for a bot that can read them; behind what ended before.
            self._client.zadd(self._index, dict.fromkeys(unreadable, int(self._now())), xx=True)
        return [window for window in found if window.over]

    @redis_errors
    def reported(self, window: Window) -> None:
        """What rests on it ended with it: its message is behind. The person who closed it is on record,
        whatever became of the bot that did."""
        self._owed.now(window.key)
        if window.closed_by:
            self._tell("window closed", window.closed_by, {}, window, 2)
        taken = self._client.zscore(self._index, window.id)
        if taken is not None and self._read(window.id).over:
            # One that was opened anew since has another score, and stays.
            self._settle(keys=[self._index], args=[window.id, f"{taken:.0f}", "", ""])

    def _readable(self, names: Iterable[str]) -> Iterator[Window]:
        for name in names:
            yield from self._readable_openings(name)[:1]

    def _readable_openings(self, name: str) -> list[Window]:
        try:
            return self._openings(name)
        except Unreadable:
            return []

    def _read(self, name: str) -> Window:
        return self._openings(name)[0]

    def _openings(self, name: str) -> list[Window]:
        """The last one under that name, and earlier ones."""
        fields = self._client.hgetall(self._key(name))
        now = int(self._now())
        try:
            window = self._seen(window_of(name, fields, now))
            with reading(f"The approval window {name}"):
                earlier = json.loads(fields.get("earlier", "[]"))
                return [window, *(window_of(name, each, now) for each in earlier)]
        except Unreadable as record:
            self._left_alone.report(record)
            raise

    def _window(self, name: str, flat: list[str]) -> Window:
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        now = int(self._now())
        try:
            return self._seen(window_of(name, fields, now))
        except Unreadable as record:
            self._left_alone.report(record)
            raise

    def _seen(self, window: Window) -> Window:
        return window if window.over else replace(window, shown=self._shown(window.key))

    def _tell(self, event: str, who: str, more: Any, window: Window, version: int) -> None:
        self._audit.append(
            event,
            who,
            json.dumps({"until": window.until, **more}, sort_keys=True),
            ref=window.ref,
            subject=f"window-{window.key}",
            kind="window",
            version=version,
            at=window.opened_at if version == 1 else window.until,
        )

    def _key(self, name: str) -> str:
        return f"{self._prefix}:{{w:{name}}}"


def window_of(name: str, fields: Mapping[str, str], now_ms: int) -> Window:
    """The window from its hash, as it is at `now_ms`. Unreadable as `Windows` says."""
    record = f"The approval window {name}"
    with reading(record):
        check(record, fields.get("format"), VERSION)
        return Window(
            id=name,
            number=int(fields.get("number", 0)),
            ref=GatewayRef.parse(fields.get("ref", "none/none/none")),
            requester=fields.get("requester", ""),
            by=fields.get("by", ""),
            reason=fields.get("reason", ""),
            opened_at=int(fields.get("opened", 0)) / 1000,
            until=int(fields.get("until", 0)) / 1000,
            left=max(0.0, (int(fields.get("until", 0)) - now_ms) / 1000),
            made_by=fields.get("made_by", ""),
            closed_by=fields.get("closed_by", ""),
            channel=fields.get("channel", ""),
        )


def _id(ref: GatewayRef, requester: str) -> str:
    return hashlib.sha256(f"window {ref} {requester}".encode()).hexdigest()[:16]
