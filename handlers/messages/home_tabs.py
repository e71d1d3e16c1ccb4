"""Home tabs that stay true: drawn when somebody opens theirs, and again for half an hour when something
changes that they show.

A tab is not a message, but its turns are: the index of messages says whose tab is behind, and one bot at
a time draws it, from what is true in its turn. So no bot can put an older state over a newer one.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from slack_sdk import WebClient

from deploy.actions.connection import Script, redis_errors
from deploy.actions.owed import Owed, tagged
from deploy.errors import GatewayBotError
from handlers.messages.budgets import Order, buckets_of
from handlers.messages.store import MessageRecord, MessageStore
from handlers.messages.turn import Later
from handlers.slack.api_errors import FAILURES, Meaning, meaning, name, wait
from handlers.views.reply import View

log = logging.getLogger(__name__)

NAME = "home"
READ_SECONDS = 1800.0
"""For so long after it was opened a tab is kept true."""
APART_SECONDS = 10.0
"""A tab is updated no more often than this."""
ANEW_SECONDS = 300.0
"""After so long a tab is given to Slack again though it shows the same: Slack may have lost it."""
_TOGETHER_SECONDS = 0.5
"""What changes within this time is shown together."""
_RETRY_SECONDS = 5.0
_PLAIN = "plain"

_OPENED = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
"""KEYS readers; ARGV user, for how many milliseconds they count as a reader."""

_CHANGED = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local readers = redis.call('ZRANGEBYSCORE', KEYS[1], now - ARGV[1], '+inf')
for _, user in ipairs(readers) do
  local member, due = ARGV[2] .. ':' .. user, now + ARGV[3]
  local before = redis.call('ZSCORE', KEYS[2], member)
  -- Whoever has the turn at the tab sees by its score that it was marked meanwhile.
  if before and tonumber(before) <= due then due = tonumber(before) - 1 end
  redis.call('ZADD', KEYS[2], due, member)
end
return #readers
"""
"""KEYS readers, the index of messages; ARGV for how many milliseconds somebody counts as a reader, the
family, in how many milliseconds their tabs are due."""

_READS = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0) > now - ARGV[2] and 1 or 0
"""


_RESTORED = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lost = {}
for index = 2, #ARGV, 2 do
  local user, age = ARGV[index], tonumber(ARGV[index + 1])
  if age < tonumber(ARGV[1]) and not redis.call('ZSCORE', KEYS[1], user) then
    redis.call('ZADD', KEYS[1], now - age, user)
    table.insert(lost, user)
  end
end
if #lost > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return lost
"""
"""KEYS readers; ARGV for how many milliseconds somebody counts as a reader, then each user and how many
milliseconds ago they opened their tab. Gives those of whom Redis did not know."""


class Drawn(Protocol):
    """A tab; two of one `digest` show the same. Nothing is kept true of what is `closed`."""

    @property
    def view(self) -> View: ...
    @property
    def digest(self) -> str: ...
    @property
    def closed(self) -> bool: ...


class HomeReaders:
    """Who has opened their tab lately, shared by every bot. Raises Unavailable."""

    def __init__(
        self, client: Any, *, prefix: str = "gateway-bot", seconds: float = READ_SECONDS
    ) -> None:
        self._client = client
        self._key = tagged(prefix, "readers")
        self._index = tagged(prefix, "owed")
        self._ms = int(seconds * 1000)
        self._opened = Script(client, _OPENED)
        self._changed = Script(client, _CHANGED)
        self._reads = Script(client, _READS)
        self._restored = Script(client, _RESTORED)

    @redis_errors
    def opened(self, user: str) -> None:
        """This person looks at their tab."""
        self._opened(keys=[self._key], args=[user, self._ms])

    @redis_errors
    def left(self, user: str) -> None:
        """Their tab is not kept true any longer."""
        self._client.zrem(self._key, user)

    @redis_errors
    def reads(self, user: str) -> bool:
        """Whether their tab is kept true."""
        return bool(self._reads(keys=[self._key], args=[user, self._ms]))

    @redis_errors
    def restore(self, ages: Mapping[str, float]) -> list[str]:
        """Note those again whom Redis has lost, and who they are; `ages` is how many seconds ago each
        opened their tab."""
        pairs = [value for user, age in ages.items() for value in (user, int(age * 1000))]
        return [str(user) for user in self._restored(keys=[self._key], args=[self._ms, *pairs])]

    @redis_errors
    def behind(self) -> int:
        """Every such tab may be behind; how many these are."""
        args = [self._ms, NAME, int(_TOGETHER_SECONDS * 1000)]
        return int(self._changed(keys=[self._key, self._index], args=args))


class HomeTabs:
    """Draws tabs in their turns."""

    name = NAME

    def __init__(
        self,
        slack: WebClient,
        store: MessageStore,
        readers: HomeReaders,
        owed: Owed,
        draw: Callable[[str], Drawn],
        plain: View,
        *,
        wake: Callable[[str], object] = lambda user: None,
        apart: float = APART_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`slack` is as for the turns of messages, `plain` a tab that Slack accepts always, and `wake`
        has what is owed looked at now."""
        self._slack = slack
        self._store = store
        self._readers = readers
        self._owed = owed
        self._draw = draw
        self._plain = plain
        self._wake = wake
        self._apart = apart
        self._clock = clock
        self._asked: set[str] = set()
        self._opened_at: dict[str, float] = {}
        self._anew_at = clock() + ANEW_SECONDS
        self._lock = threading.Lock()

    def opened(self, user: str) -> None:
        """Draw the tab of this person, who looks at it. Raises Unavailable."""
        self._readers.opened(user)
        with self._lock:
            self._asked.add(user)
            self._opened_at[user] = self._clock()
        self._owed.now(user)
        self._wake(user)

    def sweep(self) -> None:
        """Mark the tabs of whom Redis has lost, and now and then all, in case Slack has lost what they
        show. Raises Unavailable."""
        now = self._clock()
        with self._lock:
            self._opened_at = {
                user: at for user, at in self._opened_at.items() if now - at < READ_SECONDS
            }
            ages = {user: now - at for user, at in self._opened_at.items()}
        for user in self._readers.restore(ages) if ages else ():
            self._owed.now(user)
        if ages and now >= self._anew_at:
            self._anew_at = now + ANEW_SECONDS
            self._readers.behind()

    def pay(self, record: MessageRecord, generation: float) -> None:
        """Draw a tab and end the turn. Raises as the turns of messages."""
        user = record.key
        with self._lock:
            asked = user in self._asked
        if not asked:
            if not self._readers.reads(user):
                self._store.drop(record)
                return
            since = record.taken_at - record.shown
            if since < self._apart:
                raise Later(self._apart - since, waits=True)
        view, digest = self._drawn(user)
        recent = record.taken_at - record.shown < ANEW_SECONDS
        if digest == record.digest and recent and not asked:
            self._store.done(record, record.shown, digest, record.cursor, final=False)
            return
        order = Order.PERSON if asked else Order.PROGRESS
        if not self._published(record, view, order):
            # It is drawn again when it is opened again, or something has changed.
            self._published(record, self._plain, order)
        with self._lock:
            self._asked.discard(user)
        # What a message has for a version is for a tab the moment at which it was drawn.
        self._store.done(record, int(record.taken_at), digest, record.cursor, final=False)

    def _drawn(self, user: str) -> tuple[View, str]:
        """The tab and its digest; the plain form where a fault keeps it from being drawn."""
        try:
            drawn = self._draw(user)
        except GatewayBotError:
            raise
        except Exception:  # its reader must not look at an older state unknowingly
            log.exception("the Home tab of %s cannot be drawn", user)
            return self._plain, _PLAIN
        if drawn.closed:
            self._readers.left(user)
            with self._lock:
                self._opened_at.pop(user, None)
        return drawn.view, drawn.digest

    def _published(self, record: MessageRecord, view: View, order: Order) -> bool:
        """Whether Slack accepts the view. Raises Later."""
        buckets = buckets_of("views.publish", order)
        lack = self._store.spend(record, buckets)
        if lack is not None:
            raise Later(lack.seconds, lacking=lack.bucket, buckets=buckets, order=order)
        try:
            self._slack.views_publish(user_id=record.key, view=view)
        except FAILURES as error:
            found = meaning(error)
            if found is Meaning.LATER:
                seconds = wait(error) or _RETRY_SECONDS
                self._store.pause(buckets, seconds)
                raise Later(seconds) from error
            if found is Meaning.UNSURE:
                raise Later(_RETRY_SECONDS) from error
            log.error("the Home tab of %s is not drawn: %s", record.key, name(error))
            return False
        return True
