"""Message records: where each message is, what it shows, and what of it was posted already.

One record a message, by its family and key, in the Redis that all bots share. The bot whose turn it
is holds a lease on the record. A post is announced in the record (its intent) before it is made, so
a post whose answer was lost is looked for and not made again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from deploy.actions.connection import Script, now_of, redis_errors
from deploy.actions.owed import member, tagged
from deploy.actions.versions import Newer, check, reading
from handlers.messages import scripts
from handlers.messages.budgets import Bucket

LEASE_SECONDS = 40.0
"""A turn is renewed before each call, which takes ten seconds at most."""

_LINE = "line:"
_REFUSED = 3
"""So many digests of refused contents are remembered beside the newest."""


@dataclass(frozen=True)
class Place:
    """Where a message is; `thread` is the ts of the message in whose thread it stands."""

    channel: str
    ts: str
    thread: str = ""


@dataclass(frozen=True)
class Intent:
    """A post that has started: of which line (empty for the message itself), to which channel or
    person, in which thread, and since when (epoch seconds, Redis' time). It
    covers what has lines up to `cursor`. Once it was given up to look for it, it was made before `until`
    if it was made; 0 before that."""

    line: str
    channel: str
    thread: str = ""
    since: float = 0.0
    cursor: int = 0
    until: float = 0.0


@dataclass(frozen=True)
class MessageRecord:
    """What is known of one message.

    `shown` is the version of the state that it shows, `digest` that of its content; `cursor` is up
    to where all lines were posted, `lines` are those posted beyond, each with its ts, empty where
    nothing could be posted. `closed` are channels that take nothing. `refused` are the digests
    of contents that Slack refused last. `looked`: no post of it was made that this record does not know.
    `refound`: Redis had lost it, and it was found where Slack still shows it. `lost` says why it can
    never be shown. `failing` is since when, and `taken_at` when this turn
    began (epoch seconds, Redis' time).
    """

    family: str
    key: str
    place: Place | None = None
    shown: int = -1
    digest: str = ""
    cursor: int = 0
    lines: Mapping[str, str] = field(default_factory=dict)
    intent: Intent | None = None
    closed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    looked: bool = False
    refound: bool = False
    lost: str = ""
    failing: float | None = None
    taken_at: float = 0.0

    @property
    def member(self) -> str:
        """How the index names it."""
        return member(self.family, self.key)


@dataclass(frozen=True)
class Behind:
    """Members of the index that may be behind, and since when Redis has held its records."""

    members: tuple[tuple[str, str], ...]
    generation: float


@dataclass(frozen=True)
class Lack:
    """A call that cannot be made yet: the bucket that has none left for the longest, and for how many
    seconds."""

    bucket: Bucket
    seconds: float


class LostTurn(Exception):
    """Another bot has the message by now."""


class PostedTwice(LostTurn):
    """Another bot has posted the same meanwhile."""


class MessageStore:
    """Each script may be repeated. Raises Unavailable when Redis cannot be used."""

    def __init__(
        self,
        client: Any,
        owner: str,
        *,
        prefix: str = "gateway-bot",
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._lease_ms = int(lease_seconds * 1000)
        self._owner = owner
        self._prefix = prefix
        self._client = client
        self._index = tagged(prefix, "owed")
        self._generation = tagged(prefix, "generation")
        named = {
            "DUE": scripts.DUE,
            "TAKE": scripts.TAKE,
            "SPEND": scripts.SPEND,
            "COUNT": scripts.COUNT,
            "PAUSE": scripts.PAUSE,
            "NOTE": scripts.NOTE,
            "DONE": scripts.DONE,
            "RELEASE": scripts.RELEASE,
            "DOUBT": scripts.DOUBT,
            "DROP": scripts.DROP,
            "SHOWN": scripts.SHOWN,
        }
        self._scripts = {name: Script(client, text) for name, text in named.items()}

    @redis_errors
    def due(self, limit: int) -> Behind:
        """What may be behind, the longest due first. Nobody has the turn by it."""
        keys = [self._index, self._generation]
        generation, members = self._scripts["DUE"](keys=keys, args=[limit])
        pairs = (str(each).partition(":") for each in members)
        return Behind(tuple((family, key) for family, _, key in pairs), float(generation) / 1000)

    @redis_errors
    def take(self, family: str, key: str) -> MessageRecord | None:
        """The turn at a message; None where another bot has it, or where it must wait.

        Unreadable where a newer bot wrote its record, or where that is damaged.
        """
        args = [self._owner, self._lease_ms, member(family, key), scripts.KEEP_MS]
        keys = [self._record(family, key), self._index]
        result, flat, now = self._scripts["TAKE"](keys=keys, args=args)
        if result == "newer":
            raise Newer(f"The record of the message {member(family, key)}")
        if result != "yours":
            return None
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        with reading(f"The record of the message {member(family, key)}"):
            return _record_of(family, key, fields, int(now) / 1000)

    @redis_errors
    def spend(
        self, record: MessageRecord, buckets: Sequence[Bucket], intent: Intent | None = None
    ) -> Lack | None:
        """Count a call that is made now, and announce it where it is a post; or what it lacks. Raises
        LostTurn."""
        announced = json.dumps(asdict(intent)) if intent else ""
        args = [self._owner, self._lease_ms, announced, *_sizes(buckets)]
        keys = [self._key(record), *(self._bucket(each) for each in buckets)]
        result, *found = self._scripts["SPEND"](keys=keys, args=args)
        if result == "lost":
            raise LostTurn(record.member)
        return Lack(buckets[int(found[1])], int(found[0]) / 1000) if result == "wait" else None

    @redis_errors
    def count(self, buckets: Sequence[Bucket]) -> float:
        """Count a call that is made now and is about no message; or the seconds to wait for it."""
        keys = [self._index, *(self._bucket(each) for each in buckets)]
        result, value, *_ = self._scripts["COUNT"](keys=keys, args=["", "", "", *_sizes(buckets)])
        return int(value) / 1000 if result == "wait" else 0.0

    @redis_errors
    def pause(self, buckets: Sequence[Bucket], seconds: float, *, everywhere: bool = False) -> None:
        """Slack said to wait: every bot does, in the channel that the call was about, or
        `everywhere`."""
        keys = [self._bucket(each) for each in buckets]
        self._scripts["PAUSE"](keys=keys, args=[int(seconds * 1000), int(everywhere)])

    def posted(
        self, record: MessageRecord, place: Place, digest: str, cursor: int = 0
    ) -> MessageRecord:
        """The message is there and has that content, which covers lines up to `cursor`. Raises
        PostedTwice."""
        text = json.dumps(asdict(place))
        cursor = max(cursor, record.cursor)
        self._note(record, {"hash": digest, "cursor": cursor}, ["intent"], {"place": text})
        return replace(record, place=place, digest=digest, cursor=cursor, intent=None)

    def found_again(self, record: MessageRecord) -> MessageRecord:
        """Slack still shows what Redis has lost."""
        self._note(record, {"refound": 1}, [])
        return replace(record, refound=True)

    def line_posted(self, record: MessageRecord, line: str, ts: str) -> MessageRecord:
        """A line is there; or, with an empty `ts`, cannot be. Raises PostedTwice."""
        field = {f"{_LINE}{line}": ts}
        self._note(record, {} if ts else field, ["intent"], field if ts else {})
        return replace(record, lines={**record.lines, line: ts}, intent=None)

    def not_posted(self, record: MessageRecord) -> MessageRecord:
        """The post that was announced was surely not made."""
        self._note(record, {"looked": 1}, ["intent"])
        return replace(record, looked=True, intent=None)

    def gone(self, record: MessageRecord) -> MessageRecord:
        """Somebody deleted the message."""
        self._note(record, {}, ["place", "hash"])
        return replace(record, place=None, digest="")

    def closed(self, record: MessageRecord, channel: str) -> MessageRecord:
        """Nothing can be posted there: the message's place is another one."""
        every = (*record.closed, channel)
        self._note(record, {"closed": json.dumps(every)}, ["place", "hash", "intent"])
        return replace(record, closed=every, place=None, digest="", intent=None)

    def refused(self, record: MessageRecord, digest: str) -> MessageRecord:
        """Slack does not accept this content."""
        every = (*record.refused[-_REFUSED:], digest)
        self._note(record, {"plain": " ".join(every)}, ["intent"])
        return replace(record, refused=every, intent=None)

    def lost(self, record: MessageRecord, why: str, unsure: Intent | None = None) -> MessageRecord:
        """It can never be shown; or whether it is shown cannot be known, because a post of it that is
        `unsure` may have been made. That post is looked for before the message is tried anew."""
        fields = {"lost": why}
        if unsure is not None:
            times = {"since": unsure.since * 1000, "until": record.taken_at * 1000}
            fields["unsure"] = json.dumps({**asdict(unsure), **times})
        self._note(record, fields, ["intent"])
        return replace(record, lost=why, intent=None)

    @redis_errors
    def done(
        self, record: MessageRecord, version: int, digest: str, cursor: int, *, final: bool
    ) -> None:
        """All of this version was shown and posted; the end of the turn."""
        args = [self._owner, record.member, version, digest, cursor, int(final)]
        self._scripts["DONE"](keys=[self._key(record), self._index], args=args)

    @redis_errors
    def release(
        self,
        record: MessageRecord,
        seconds: float,
        *,
        hard: bool = False,
        failed: bool = False,
        waits: bool = False,
    ) -> None:
        """The end of a turn that did not get through; the next one is in so long, and with `hard`
        not before whatever changes. `failed` says that it was not a lack of budget, `waits` that it
        is meant to wait, so that it is not late by then."""
        args = [record.member, int(seconds * 1000), int(hard), int(failed), int(waits)]
        keys = [self._key(record), self._index]
        self._scripts["RELEASE"](keys=keys, args=[self._owner, *args])

    @redis_errors
    def doubt(self, record: MessageRecord) -> None:
        """This bot had lost its turn: whatever it made of the message, another one makes it right."""
        keys = [self._key(record), self._index]
        self._scripts["DOUBT"](keys=keys, args=[record.member])

    @redis_errors
    def drop(self, record: MessageRecord) -> None:
        """There is nothing that it could show."""
        args = [self._owner, record.member]
        self._scripts["DROP"](keys=[self._key(record), self._index], args=args)

    @redis_errors
    def put_off(self, names: Sequence[tuple[str, str]], seconds: float) -> None:
        """Messages that this bot knows nothing of stand in nobody's way for so long."""
        later = int((now_of(self._client) + seconds) * 1000)
        self._client.zadd(self._index, {member(*name): later for name in names}, xx=True)

    @redis_errors
    def sweeps(self, seconds: float) -> bool:
        """Whether this bot is the one that looks for what a crash left behind, once in so long."""
        key = tagged(self._prefix, "sweep")
        return bool(self._client.set(key, self._owner, nx=True, px=int(seconds * 1000)))

    @redis_errors
    def generation(self) -> float | None:
        """Since when this Redis has held the records (epoch seconds); None where no bot has looked
        yet."""
        found = self._client.get(self._generation)
        return float(found) / 1000 if found is not None else None

    @redis_errors
    def adopt(self, family: str, key: str, place: Place) -> None:
        """A message that stands in Slack already is this one's from now on."""
        name = self._record(family, key)
        fields = {"place": json.dumps(asdict(place)), "format": scripts.VERSION}
        with self._client.pipeline(transaction=False) as pipe:
            pipe.hset(name, mapping=fields)
            pipe.pexpire(name, scripts.KEEP_MS)
            pipe.execute()

    @redis_errors
    def place(self, family: str, key: str) -> Place | None:
        """Where a message is; None where it was not posted, or nobody knows."""
        text = self._client.hget(self._record(family, key), "place")
        return Place(**json.loads(text)) if text else None

    @redis_errors
    def known(self, family: str, key: str) -> MessageRecord:
        """What is known of a message, without having the turn at it. Unreadable as `take`."""
        fields = self._client.hgetall(self._record(family, key))
        name = f"The record of the message {member(family, key)}"
        with reading(name):
            check(name, fields.get("format"), scripts.VERSION)
            return _record_of(family, key, fields, 0.0)

    @redis_errors
    def shown(self, family: str, keys: Sequence[str], *, keep: bool = False) -> dict[str, int]:
        """The version that each of these messages shows; -1 where it is not there. With `keep` their
        records last as if they were new."""
        if not keys:
            return {}
        names = [self._record(family, key) for key in keys]
        versions = self._scripts["SHOWN"](keys=names, args=[scripts.KEEP_MS if keep else ""])
        return {key: int(v) if v else -1 for key, v in zip(keys, versions, strict=True)}

    @redis_errors
    def _note(
        self,
        record: MessageRecord,
        fields: Mapping[str, Any],
        drop: Sequence[str],
        posted: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        fields = {**fields, "format": scripts.VERSION}
        change = json.dumps(
            {"posted": dict(posted), "set": fields, "drop": list(drop), "cursor": record.cursor}
        )
        answer = self._scripts["NOTE"](keys=[self._key(record)], args=[change, self._owner])
        if answer == "twice":
            raise PostedTwice(record.member)

    def _key(self, record: MessageRecord) -> str:
        return self._record(record.family, record.key)

    def _record(self, family: str, key: str) -> str:
        return tagged(self._prefix, f"record:{member(family, key)}")

    def _bucket(self, bucket: Bucket) -> str:
        return tagged(self._prefix, f"budget:{bucket.name}")


def _sizes(buckets: Sequence[Bucket]) -> list[float]:
    return [size for each in buckets for size in (each.per_second, each.burst, each.reserve)]


def _record_of(family: str, key: str, fields: Mapping[str, str], now: float) -> MessageRecord:
    place, intent = fields.get("place"), fields.get("intent")
    return MessageRecord(
        family=family,
        key=key,
        place=Place(**json.loads(place)) if place else None,
        shown=int(fields.get("shown", -1)),
        digest=fields.get("hash", ""),
        cursor=int(fields.get("cursor", 0)),
        lines={
            name.removeprefix(_LINE): ts for name, ts in fields.items() if name.startswith(_LINE)
        },
        intent=_intent_of(json.loads(intent)) if intent else None,
        closed=tuple(json.loads(fields["closed"])) if "closed" in fields else (),
        refused=tuple(fields.get("plain", "").split()),
        looked="looked" in fields,
        refound="refound" in fields,
        lost=fields.get("lost", ""),
        failing=int(fields["failing"]) / 1000 if "failing" in fields else None,
        taken_at=now,
    )


def _intent_of(data: Mapping[str, Any]) -> Intent:
    since, cursor = float(data["since"]) / 1000, int(data.get("cursor", 0))
    until = float(data.get("until", 0)) / 1000
    return Intent(data["line"], data["channel"], data["thread"], since, cursor, until)
