"""Looks once through the bot's channels after Redis was emptied, for messages of what it has lost.

One bot does it, a call at a time and within everybody's budgets; another continues where it died.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from slack_sdk import WebClient

from deploy.actions.codec import Unreadable
from deploy.actions.connection import now_of, redis_errors
from deploy.actions.owed import tagged
from deploy.actions.records import BATCHES
from handlers.messages import lookup
from handlers.messages.budgets import Order, buckets_of
from handlers.messages.family import Family, by_name
from handlers.messages.lost_messages import OPEN, LostStore
from handlers.messages.store import MessageRecord, MessageStore, Place
from handlers.slack.api_errors import FAILURES, Meaning, meaning, name, wait

log = logging.getLogger(__name__)

_SETTLE_SECONDS = 15.0
"""What bots were about to post or to draw as Redis was emptied is there after that."""
_BACK_SECONDS = 9 * 86_400.0
"""Nothing is decided for longer than a week, or waits for its run for longer than a day then."""
_LONGEST_SECONDS = 6 * 3600.0
"""What could not be searched by then is left to whoever clicks there."""
_PAGES = 5
_PAGE = 200
_CHANNELS = 300
_TURN_SECONDS = 20.0
"""Where Slack does not answer, each call takes ten: whoever calls must see that a turn comes round."""
_RETRY_SECONDS = 5.0
_ALL = "*"
_TYPES = {"public_channel": "channels:read", "private_channel": "groups:read", "im": "im:read"}
_HISTORY, _REPLIES = "conversations.history", "conversations.replies"
_MINE = "users.conversations"


class _NotNow(Exception):
    """The search continues later."""


class _Unsure(Exception):
    """Slack did not answer: the same is tried again later, and others before that."""


class LostSearch:
    """The search; `turn` continues it, and costs next to nothing once it is over."""

    def __init__(
        self,
        slack: WebClient,
        client: Any,
        messages: MessageStore,
        lost: LostStore,
        families: Iterable[Family],
        channels: Sequence[str],
        *,
        hold: Callable[[float], bool],
        granted: Callable[[str], bool],
        bot_user: Callable[[], str],
        settle_seconds: float = _SETTLE_SECONDS,
        prefix: str = "gateway-bot",
    ) -> None:
        """`families` know whether Redis has what a message of theirs is about. `channels` are those
        of the settings; others that the bot is in are asked for, as far as its scopes are `granted`.
        `bot_user` is who posts the bot's messages, empty while Slack does not say: another bot of
        the workspace may post messages that look like them, of what only it knows.
        `hold` takes or keeps the search for so many seconds, for this bot alone. `slack` must
        repeat nothing and not sleep when it is told to wait."""
        self._slack = slack
        self._client = client
        self._messages = messages
        self._lost = lost
        self._families = by_name(families)
        self._channels = tuple(channels)
        self._hold = hold
        self._granted = granted
        self._bot_user = bot_user
        self._settle = settle_seconds
        self._done = tagged(prefix, "searched")
        self._over: float | None = None
        self._until = 0.0

    @redis_errors
    def turn(self) -> None:
        """Search as long as the budgets allow. Raises what Redis raises; calling it again is safe."""
        generation = self._messages.generation()
        if generation is None or generation == self._over:
            return
        now = now_of(self._client)
        if now < generation + self._settle or not self._hold(60.0):
            return
        self._until = time.monotonic() + _TURN_SECONDS
        searched = {str(each) for each in self._client.smembers(self._done)}
        if _ALL not in searched:
            if now > generation + _LONGEST_SECONDS:
                log.error("some channels were not searched for lost requests: Slack did not answer")
            else:
                try:
                    self._search(searched, now)
                except (_NotNow, _Unsure):
                    return
            self._client.sadd(self._done, _ALL)
        self._over = generation

    def _search(self, searched: set[str], now: float) -> None:
        own = self._bot_user()
        if not own:
            raise _NotNow
        unsure = False
        for channel in dict.fromkeys((*self._channels, *self._others())):
            if channel in searched:
                continue
            try:
                for message in self._history(channel, now - _BACK_SECONDS):
                    if message.get("user") == own:
                        self._look(message, channel)
                        self._look_under(message, channel, searched)
            except _Unsure:
                unsure = True
            else:
                self._client.sadd(self._done, channel)
        if unsure:
            raise _NotNow

    def _look_under(
        self, message: Mapping[str, Any], channel: str, searched: Collection[str]
    ) -> None:
        """The same for the thread of a batch, once."""
        ts = str(message["ts"])
        # There may be more of them than one turn has calls for.
        thread = f"{channel}:{ts}"
        if thread in searched or not lookup.carried(message)[0].startswith(f"{BATCHES}:"):
            return
        for reply in self._replies(channel, ts):
            if reply.get("user") == message["user"]:
                self._look(reply, channel)
        self._client.sadd(self._done, thread)

    def _look(self, message: Mapping[str, Any], channel: str) -> None:
        member, about = lookup.carried(message)
        name, _, key = member.partition(":")
        family = self._families.get(name)
        if family is None or about.get("state") != OPEN:
            return
        record = MessageRecord(name, key, Place(channel, str(message["ts"])), shown=0)
        try:
            if family.load(key, record) is None:
                self._lost.report(message, channel)
        except Unreadable:
            log.info("what the message %s:%s is about is another version's", name, key)

    def _others(self) -> list[str]:
        """The channels and direct messages that the bot is in."""
        types = [kind for kind, scope in _TYPES.items() if self._granted(scope)]
        if not types:
            log.warning("only the settings' channels are searched: the app lacks channels:read")
            return []
        more = {"types": ",".join(types), "exclude_archived": True, "limit": _PAGE}
        found = self._pages(_MINE, "channels", more)
        return [str(each["id"]) for each, _ in zip(found, range(_CHANNELS), strict=False)]

    def _history(self, channel: str, oldest: float) -> Iterator[Mapping[str, Any]]:
        more = {"channel": channel, "oldest": str(oldest), "include_all_metadata": True}
        return self._pages(_HISTORY, "messages", {**more, "limit": _PAGE})

    def _replies(self, channel: str, ts: str) -> Iterator[Mapping[str, Any]]:
        more = {"channel": channel, "ts": ts, "include_all_metadata": True, "limit": _PAGE}
        return self._pages(_REPLIES, "messages", more)

    def _pages(
        self, method: str, field: str, arguments: Mapping[str, Any]
    ) -> Iterator[Mapping[str, Any]]:
        """What a method lists, on so many pages at most; nothing more where Slack refuses it."""
        buckets, more = buckets_of(method, Order.PROGRESS), dict(arguments)
        for _ in range(_PAGES):
            if time.monotonic() > self._until or not self._hold(60.0):
                raise _NotNow
            if self._messages.count(buckets):
                raise _NotNow
            try:
                answer: Any = self._slack.api_call(method, params=more)
            except FAILURES as error:
                found = meaning(error)
                if found is Meaning.LATER:
                    self._messages.pause(buckets, wait(error) or _RETRY_SECONDS)
                if found in (Meaning.LATER, Meaning.FORBIDDEN):
                    raise _NotNow from error
                if found is Meaning.UNSURE:
                    raise _Unsure from error
                log.info("lost requests are not looked for by %s: %s", method, name(error))
                return
            yield from answer[field]
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return
            more["cursor"] = cursor
