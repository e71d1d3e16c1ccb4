"""One turn at one message: it is brought to what its family says, and its lines are posted once.

Everything that became known is noted before the next call, and each post is announced before it is
made. A turn may end after any call; the next one, by whichever bot, continues from the record.
"""

import dataclasses
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient

from handlers.messages import lookup
from handlers.messages.budgets import Bucket, Order, buckets_of
from handlers.messages.family import Family, Line, Message
from handlers.messages.fitting import within
from handlers.messages.store import Intent, MessageRecord, MessageStore, Place, PostedTwice
from handlers.slack.api_errors import FAILURES, Meaning, everywhere, meaning, name, wait
from handlers.views.fitting import fitted
from handlers.views.text import cut

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
_LONGEST_RETRY = 60.0
_FORBIDDEN_SECONDS = 60.0
_CLOSED_SECONDS = 60.0
_LONGEST_CLOSED = 3600.0
_UNKNOWN_SECONDS = 600.0
"""For so long it is asked whether a post was made, before its message is declared unreachable."""
_ALONE = "once:alone"
"""Noted among the lines of a message: there is no such thread, so it is posted beside it."""
_PLAIN_LINE = 1000


class Later(Exception):
    """The turn continues in `seconds`.

    The bucket `lacking` has no call left, of that `order`, for what is counted in `buckets`. Without one
    a call `failed`, and nothing newer may come before, unless the message `waits` for another one.
    """

    def __init__(
        self,
        seconds: float,
        *,
        lacking: Bucket | None = None,
        buckets: tuple[Bucket, ...] = (),
        order: Order = Order.PERSON,
        waits: bool = False,
    ) -> None:
        super().__init__()
        self.failed = lacking is None and not waits
        self.waits = waits
        self.seconds = seconds
        self.lacking = lacking
        self.buckets = buckets
        self.order = order


class _Refused(Exception):
    """Slack does not accept the content; `record` is what is known by then."""

    def __init__(self, why: str, record: MessageRecord) -> None:
        super().__init__(why)
        self.record = record


@dataclass(frozen=True)
class Turns:
    """`slack` must repeat nothing and not sleep when it is told to wait. `retry_seconds` pass before
    what failed is tried again."""

    slack: WebClient
    store: MessageStore
    retry_seconds: float = _RETRY_SECONDS

    def pay(self, family: Family, record: MessageRecord, generation: float = 0.0) -> None:
        """Show the newest state and end the turn.

        `generation` is since when Redis has held the records (epoch seconds): of what was posted
        before it does not know. Raises Later, LostTurn, and GatewayBotError where the state or
        Redis cannot be read.
        """
        state = family.load(record.key, record)
        if state is None:
            self.store.drop(record)
            return
        message, digest = _formed(family, state, record)
        placed, announced = record.place, record.intent
        forgotten = record.shown < 0 and message.since < generation
        record = self._settled(record, message, generation)
        if announced is not None or record.place != placed:
            # What became of that post may decide whether there is anything to show, and to post.
            state = family.load(record.key, record)
            if state is None:
                self.store.drop(record)
                return
            message, digest = _formed(family, state, record)
        while digest not in record.refused:
            closed = record.closed
            try:
                record = self._shown(record, message, digest)
                if record.closed == closed:
                    break
            except _Refused as error:
                log.error("Slack refused the message %s: %s", record.member, error)
                record = self.store.refused(error.record, digest)
            message, digest = _formed(family, state, record)
        # In every form there is: the message there, if any, is of an earlier state.
        refused = digest in record.refused
        if record.place != placed:
            # What is said beside a message may depend on where it could be posted.
            message, digest = _formed(family, state, record)
        lines = message.lines
        if record.lost or refused:
            lines = (*lines, *message.instead)
        for line in lines:
            if forgotten and line.key not in record.lines:
                # It may have been posted before Redis was emptied.
                channel, thread = _address(record, line)
                if channel:
                    intent = Intent(line.key, channel, thread, message.since)
                    record = self._looked_up(record, message, intent)
            if line.key not in record.lines:
                record = self._line(record, line, message.order)
        shown = record.digest if refused else digest
        self.store.done(record, message.version, shown, message.cursor, final=message.final)

    def _settled(self, record: MessageRecord, message: Message, generation: float) -> MessageRecord:
        """The record once it is known what became of the post that was under way."""
        intent, forgotten = record.intent, False
        if intent is None:
            forgotten = record.place is None and not record.closed and record.shown < 0
            if not forgotten or record.looked or record.lost or message.since >= generation:
                return record
            intent = _forgotten(record, message)
        record = self._looked_up(record, message, intent)
        # In the thread of the title that was found, the message may be too.
        again = message.title and record.lines.get(intent.line)
        return self._settled(record, message, generation) if again else record

    def _looked_up(self, record: MessageRecord, message: Message, intent: Intent) -> MessageRecord:
        """The record once it is known whether that post was made."""
        used: list[tuple[Bucket, ...]] = []

        def spend(method: str) -> None:
            order = min(message.order, Order.FINAL)
            used.append(buckets_of(method, order))
            self._spend(record, used[-1], order)

        try:
            found = lookup.find(self.slack, record, intent, spend)
        except FAILURES as error:
            self._out_of_reach(record, message, intent.channel, error)
            return self._unanswered(record, intent, used[-1], error)
        if found is None:
            return self.store.not_posted(record)
        if intent.line:
            return self.store.line_posted(record, intent.line, found.ts)
        if record.intent is None:
            record = self.store.found_again(record)
        return self.store.posted(record, found, "", intent.cursor)

    def _unanswered(
        self,
        record: MessageRecord,
        intent: Intent,
        buckets: tuple[Bucket, ...],
        error: Exception,
    ) -> MessageRecord:
        """It could not be looked whether a post was made: later, or never."""
        found = meaning(error)
        if found is Meaning.LATER:
            self.store.pause(buckets, wait(error) or self.retry_seconds)
        failing = record.taken_at - (record.failing or record.taken_at)
        passing = found in (Meaning.LATER, Meaning.UNSURE, Meaning.FORBIDDEN)
        if passing and failing < _UNKNOWN_SECONDS:
            raise Later(max(wait(error), self.retry_seconds)) from error
        what = f"line {intent.line} of " if intent.line else ""
        log.error(
            "whether the %smessage %s was posted in %s cannot be known: %s",
            *(what, record.member, intent.channel, name(error)),
        )
        if intent.line:
            return self.store.line_posted(record, intent.line, "")
        why = f"whether it was posted cannot be known: {name(error)}"
        return self.store.lost(record, why, intent)

    def _shown(self, record: MessageRecord, message: Message, digest: str) -> MessageRecord:
        """The record once the message stands there, or once one more place is found to be closed: what
        it says may depend on where it stands."""
        closed = record.closed
        while not record.lost and record.closed == closed:
            if record.place is None:
                if record.shown >= 0 and not record.closed and not message.anew:
                    return record
                record = self._posted(record, message, digest)
                continue
            if record.digest == digest:
                return record
            place = record.place
            record = self._updated(record, place, message, digest)
            if record.place is not None:
                return record
            if not message.anew and place.channel not in record.closed:
                log.error("the message %s was deleted, so its end is not shown", record.member)
                return record
        return record

    def _posted(self, record: MessageRecord, message: Message, digest: str) -> MessageRecord:
        """The message is posted where it belongs, or in the next place that is open."""
        if message.waits:
            raise Later(message.waits, waits=True)
        channel = next((c for c in message.channels if c not in record.closed), None)
        if channel is None:
            log.error("nothing can be posted for the message %s", record.member)
            return self.store.lost(record, "nothing can be posted where it belongs")
        more: dict[str, Any] = {}
        if message.title:
            key = _title_key(channel)
            if key not in record.lines:
                record = self._line(record, Line(key, message.title, to=channel), message.order)
            if not record.lines[key]:
                return self.store.closed(record, channel)
            more["thread_ts"] = record.lines[key]
        parent = message.parent
        if parent is not None and parent.channel == channel and _ALONE not in record.lines:
            more["thread_ts"] = parent.ts
        thread = more.get("thread_ts", "")
        buckets = buckets_of("chat.postMessage", message.order, channel)
        intent = Intent("", channel, thread, cursor=message.opening)
        self._spend(record, buckets, message.order, intent)
        try:
            answer: Any = self.slack.chat_postMessage(
                channel=channel,
                text=message.text,
                blocks=list(message.blocks),
                metadata=lookup.metadata(record, about=message.about),
                **more,
            )
        except FAILURES as error:
            self._not_posted(record, buckets, error)
            self._out_of_reach(record, message, channel, error)
            if meaning(error) is Meaning.CLOSED:
                return self.store.closed(record, channel)
            if thread and not message.title and meaning(error) is Meaning.GONE:
                return self.store.line_posted(record, _ALONE, "")
            raise _Refused(name(error), record) from error
        place = Place(str(answer["channel"]), str(answer["ts"]), thread)
        with self._taken_back(record, place):
            return self.store.posted(record, place, digest, message.opening)

    def _updated(
        self, record: MessageRecord, place: Place, message: Message, digest: str
    ) -> MessageRecord:
        buckets = buckets_of("chat.update", message.order)
        self._spend(record, buckets, message.order)
        try:
            # Without any, what the message carries already is kept.
            about = lookup.metadata(record, about=message.about) if message.about else None
            self.slack.chat_update(
                channel=place.channel,
                ts=place.ts,
                text=message.text,
                blocks=list(message.blocks),
                metadata=about,
            )
        except FAILURES as error:
            self._out_of_reach(record, message, place.channel, error)
            found = meaning(error)
            if found is Meaning.GONE:
                log.warning("the message %s is gone: %s", record.member, name(error))
                return self.store.gone(record)
            if found is Meaning.CLOSED:
                log.warning("the message %s is out of reach: %s", record.member, name(error))
                return self.store.closed(record, place.channel)
            self._passing(record, buckets, error)
            raise _Refused(name(error), record) from error
        return dataclasses.replace(record, digest=digest)

    def _line(self, record: MessageRecord, line: Line, order: Order) -> MessageRecord:
        channel, thread = _address(record, line)
        if not channel:
            return self._other_line(record, line, order, "its message is not shown")
        text, blocks, _ = fitted(line.text, line.blocks)
        more: dict[str, Any] = {"blocks": blocks} if blocks else {}
        if thread:
            more |= {"thread_ts": thread, "reply_broadcast": line.broadcast}
        buckets = buckets_of("chat.postMessage", order, channel)
        self._spend(record, buckets, order, Intent(line.key, channel, thread))
        try:
            answer: Any = self.slack.chat_postMessage(
                channel=channel, text=text, metadata=lookup.metadata(record, line.key), **more
            )
        except FAILURES as error:
            self._not_posted(record, buckets, error)
            record = dataclasses.replace(record, intent=None)
            if meaning(error) in (Meaning.CLOSED, Meaning.GONE) or not (
                blocks or len(text) > _PLAIN_LINE
            ):
                return self._other_line(record, line, order, name(error))
            log.error("Slack refused a line of %s: %s", record.member, name(error))
            plain = dataclasses.replace(line, text=cut(line.text, _PLAIN_LINE), blocks=())
            return self._line(record, plain, order)
        place = Place(str(answer["channel"]), str(answer["ts"]))
        with self._taken_back(record, place):
            return self.store.line_posted(record, line.key, place.ts)

    @contextmanager
    def _taken_back(self, record: MessageRecord, place: Place) -> Iterator[None]:
        """What this bot has posted is deleted where another one did the same while it was frozen."""
        try:
            yield
        except PostedTwice:
            try:
                self.slack.chat_delete(channel=place.channel, ts=place.ts)
            except FAILURES as error:
                log.error("%s is there twice, also at %s: %s", record.member, place, name(error))
            raise

    def _other_line(
        self, record: MessageRecord, line: Line, order: Order, why: str
    ) -> MessageRecord:
        """What is posted in place of a line that cannot be."""
        if line.otherwise is not None:
            return self._line(record, dataclasses.replace(line.otherwise, key=line.key), order)
        log.error("a line of %s cannot be posted: %s", record.member, why)
        return self.store.line_posted(record, line.key, "")

    def _out_of_reach(
        self, record: MessageRecord, message: Message, channel: str, error: Exception
    ) -> None:
        """Raise Later where a patient message's channel takes nothing."""
        if message.patient and meaning(error) is Meaning.CLOSED:
            log.error("%s takes nothing, so %s waits: %s", channel, record.member, name(error))
            raise Later(_grown(record, _CLOSED_SECONDS, _LONGEST_CLOSED)) from error

    def _not_posted(
        self, record: MessageRecord, buckets: tuple[Bucket, ...], error: Exception
    ) -> None:
        """Return where a post was surely not made, and trying again would not help."""
        if meaning(error) is Meaning.UNSURE:
            log.warning("the answer to a post of %s is lost: %s", record.member, name(error))
            # Slack may still be at it: it is looked for once nobody waits for the answer any longer.
            raise Later(self.retry_seconds * 3) from error
        self.store.not_posted(record)
        self._passing(record, buckets, error)

    def _passing(
        self, record: MessageRecord, buckets: tuple[Bucket, ...], error: Exception
    ) -> None:
        """Raise Later where the same call may be accepted after a while."""
        found = meaning(error)
        if found is Meaning.LATER:
            seconds = wait(error) or self.retry_seconds
            self.store.pause(buckets, seconds, everywhere=everywhere(error))
            raise Later(seconds) from error
        if found is Meaning.UNSURE:
            raise Later(_grown(record, self.retry_seconds, _LONGEST_RETRY)) from error
        if found in (Meaning.FORBIDDEN, Meaning.NOT_GRANTED):
            log.error("Slack forbids the bot to write: %s", name(error))
            raise Later(_FORBIDDEN_SECONDS) from error

    def _spend(
        self,
        record: MessageRecord,
        buckets: tuple[Bucket, ...],
        order: Order,
        intent: Intent | None = None,
    ) -> None:
        lack = self.store.spend(record, buckets, intent)
        if lack is not None:
            raise Later(lack.seconds, lacking=lack.bucket, buckets=buckets, order=order)


def _address(record: MessageRecord, line: Line) -> tuple[str, str]:
    """The channel and the thread of a line; none where its message is not shown."""
    place = record.place
    if line.to or place is None:
        return line.to, line.thread
    return place.channel, line.thread or place.thread or place.ts


def _title_key(channel: str) -> str:
    """The key of a message's title in that channel."""
    return f"once:title:{channel}"


def _forgotten(record: MessageRecord, message: Message) -> Intent:
    """What may have been posted before Redis was emptied: the title, then the message."""
    channel = message.channels[0]
    key = _title_key(channel)
    if message.title and key not in record.lines:
        return Intent(key, channel, since=message.since)
    thread = message.parent.ts if message.parent else record.lines.get(key, "")
    return Intent("", channel, thread, message.since, message.opening)


def _grown(record: MessageRecord, least: float, most: float) -> float:
    """The seconds to wait: longer, the longer it has failed."""
    failing = record.taken_at - (record.failing or record.taken_at)
    return min(max(failing / 2, least), most)


def _formed(family: Family, state: Any, record: MessageRecord) -> tuple[Message, str]:
    """The message within Slack's bounds, and the digest of its content; the plain form where the
    other cannot be made, or was refused."""
    try:
        message = family.render(state, record)
    except Exception:  # a fault in one view must not leave its message untrue
        log.exception("the message %s cannot be drawn", record.member)
        message = _plain(family, state, record)
    message, digest = within(message)
    if digest in record.refused:
        message, digest = within(_plain(family, state, record))
    return message, digest


def _plain(family: Family, state: Any, record: MessageRecord) -> Message:
    try:
        return family.plain(state, record)
    except Exception as error:
        log.exception("the message %s cannot be put in a sentence", record.member)
        raise Later(_LONGEST_RETRY) from error
