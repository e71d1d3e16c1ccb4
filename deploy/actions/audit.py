"""The audit trail: one chain of entries, each bound to the one before it by a hash.

Transitions write into their own action's log, in the same step; from there each entry is copied to
the chain once. Who can write to Redis could write the whole chain anew, so each entry also goes to
standard output, and with a key the hashes cannot be made without it.
"""

import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from itertools import islice
from typing import Any

from deploy.actions.audit_index import AuditIndex, is_step, names_of
from deploy.actions.codec import Unreadable
from deploy.actions.connection import Script, redis_errors
from deploy.actions.records import canonical
from deploy.actions.versions import LeftAlone, check, reading
from deploy.errors import Unavailable
from deploy.gateway import GatewayRef

log = logging.getLogger(__name__)

VERSION = 1
"""Of the form in which an entry is stored."""
_PAGE = 500
_BATCHES = 20
_DAY_MS = 86_400_000

_APPEND = """
local log, head, seen = KEYS[1], KEYS[2], KEYS[3]
-- A repetition of what was just done, because its reply was lost, is answered as it was.
if redis.call('HGET', head, 'mark') == ARGV[7] then return 'done' end
if tonumber(redis.call('GET', seen) or 0) >= tonumber(ARGV[4]) then return 'known' end
if (redis.call('HGET', head, 'hash') or '') ~= ARGV[1] then return 'moved' end
redis.call('XADD', log, '*', 'entry', ARGV[2], 'hash', ARGV[3])
redis.call('HSET', head, 'hash', ARGV[3], 'n', ARGV[5], 'mark', ARGV[7])
redis.call('SET', seen, ARGV[4], 'PX', ARGV[6])
return 'done'
"""

_TRIM = """
local log, head = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local oldest = time[1] * 1000 - tonumber(ARGV[1])
local old = redis.call('XRANGE', log, '-', string.format('%.0f', oldest), 'COUNT', 500)
if #old == 0 then return 0 end
local last = old[#old]
redis.call('HSET', head, 'anchor', last[2][4])
for _, entry in ipairs(old) do redis.call('XDEL', log, entry[1]) end
return #old
"""
"""What is older goes; the hash of the last that went stays as the start of the chain."""

_NEWEST = """
return {redis.call('HMGET', KEYS[2], 'anchor', 'n', 'hash'),
        redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[1])}
"""
"""The head and the newest entries, of one moment."""
_READS = 10
"""So many times a trail is read that is trimmed meanwhile."""


@dataclass(frozen=True)
class AuditEntry:
    """One line of the trail. `at` is Redis' time in epoch seconds, `n` counts from 1."""

    n: int
    at: float
    event: str
    who: str
    subject: str
    kind: str
    ref: str
    detail: str
    prev: str

    @property
    def action(self) -> str:
        """The id of the action it is about; empty for what else is kept, as windows and snoozes."""
        return "" if "-" in self.subject else self.subject


@dataclass(frozen=True)
class Sealed:
    """An entry as it is stored: its very text, and the hash of that."""

    text: str
    hash: str


@dataclass(frozen=True)
class Trail:
    """The trail as it was at one moment: every entry, oldest first, and the head beside them, which
    outlives trimming. `anchor` is the hash before the first entry, `n` and `end` are number and
    hash of the newest entry that was written; 0 and empty where none was."""

    entries: tuple[Sealed, ...]
    anchor: str = ""
    n: int = 0
    end: str = ""


def seal(entry: AuditEntry, key: bytes = b"") -> Sealed:
    """The entry's text and its hash: SHA-256, or HMAC-SHA-256 where there is a key."""
    text = canonical({**asdict(entry), "version": VERSION})
    return Sealed(text, _hash(text, key))


def entry_of(sealed: Sealed) -> AuditEntry:
    """What was stored. Unreadable where a newer bot wrote it, or it is damaged."""
    name = f"The audit entry with the hash {sealed.hash[:12]}"
    with reading(name):
        data = json.loads(sealed.text)
        check(name, data.get("version"), VERSION)
        return AuditEntry(**{each.name: data[each.name] for each in fields(AuditEntry)})


def faults(
    chain: Iterable[Sealed], *, start: str | None, end: str | None = None, key: bytes = b""
) -> Iterator[str]:
    """What is wrong with a chain, in words; nothing when every entry is as it was written.

    `start` is the hash before its first entry and `end` the hash of its last one, where known.
    """
    prev, number = start, None
    for place, sealed in enumerate(chain, 1):
        if not hmac.compare_digest(_hash(sealed.text, key).encode(), sealed.hash.encode()):
            yield f"entry {place}: its text does not match its hash"
        try:
            data = json.loads(sealed.text)
            n, before = int(data["n"]), str(data["prev"])
        except (ValueError, KeyError, TypeError):
            yield f"entry {place}: it is not an audit entry"
            prev, number = sealed.hash, None
            continue
        if prev is not None and before != prev:
            yield f"entry {place} (number {n}): it does not follow the previous entry"
        elif number is not None and n != number + 1:
            yield f"entry {place}: number {n} follows number {number}"
        prev, number = sealed.hash, n
    if end is not None and prev != end:
        yield "the last entry is not the newest one that was written"


class AuditLog:
    """The chain in one Redis. `emit` is given each new entry once, as one line of JSON, and
    `noted` its kind and event.

    An entry that cannot be read, as a newer bot's, is left alone and reported once.
    """

    def __init__(
        self,
        client: Any,
        *,
        prefix: str = "gateway-bot",
        key: bytes = b"",
        emit: Callable[[str], None] = lambda line: None,
        noted: Callable[[str, str], object] = lambda kind, event: None,
        keep_days: int = 400,
    ) -> None:
        self._client = client
        self._key = key
        self._emit = emit
        self._noted = noted
        self._keep_ms = keep_days * _DAY_MS
        self._base = f"{prefix}:{{audit}}"
        self._log, self._head = f"{self._base}:log", f"{self._base}:head"
        self._append = Script(client, _APPEND)
        self._trim = Script(client, _TRIM)
        self._newest = Script(client, _NEWEST)
        self._index = AuditIndex(client, self._base, self._log, self._keep_ms)
        self._left_alone = LeftAlone(log)

    @redis_errors
    def append(
        self,
        event: str,
        who: str,
        detail: str,
        *,
        ref: GatewayRef | None = None,
        subject: str,
        kind: str,
        version: int,
        at: float,
    ) -> None:
        """Add one entry, once for each version of its subject, however often this is called."""
        mark = secrets.token_hex(8)
        while True:
            head = self._client.hgetall(self._head)
            prev, n = str(head.get("hash", "")), int(head.get("n", 0)) + 1
            where = str(ref) if ref else ""
            sealed = seal(
                AuditEntry(n, at, event, who, subject, kind, where, detail, prev), self._key
            )
            answer = self._append(
                keys=[self._log, self._head, f"{self._base}:seen:{subject}"],
                args=[prev, sealed.text, sealed.hash, version, n, self._keep_ms, mark],
            )
            if answer == "done":
                self._emit(f'{{"audit":{sealed.text},"hash":"{sealed.hash}"}}')
                self._noted(kind, event)
            if answer != "moved":
                return

    @redis_errors
    def trim(self) -> int:
        """Let go of entries older than they are kept; how many there were."""
        return int(self._trim(keys=[self._log, self._head], args=[self._keep_ms]))

    @redis_errors
    def read(self, limit: int = 50, *, steps: bool = True) -> list[AuditEntry]:
        """The newest entries, newest first; without `steps` what runs did on their way is left out,
        so that it takes no place from what was decided."""
        every = self._readable(self._newest_first())
        return list(islice((e for e in every if steps or not is_step(e.event)), limit))

    @redis_errors
    def of(self, gateway: str, limit: int = 50) -> list[AuditEntry]:
        """The newest entries of a gateway, newest first, without steps. `gateway` is a name as a
        person may say it: `west/prod/edge-1`, or its end alone, which several may have."""
        return list(islice(self._readable(self._filed_under(gateway, limit)), limit))

    def file(self) -> None:
        """Bring the index by which `of` finds entries up to date, some way if it is far behind."""
        for _ in range(_BATCHES):
            if not self._index.advance():
                return

    @redis_errors
    def newest(self) -> str:
        """Number and hash of the newest entry, as they are noted outside Redis; empty where there is
        none."""
        n, last = self._client.hmget(self._head, ["n", "hash"])
        return f"{n}:{last}" if n and last else ""

    @redis_errors
    def stored(self) -> Trail:
        """Every entry as it is stored, with the head of the same moment, whatever is appended and
        trimmed meanwhile. Raises Unavailable too where it is trimmed all the time."""
        for _ in range(_READS):
            (anchor, n, end), page = self._newest(keys=[self._log, self._head], args=[_PAGE])
            found = [Sealed(stored[1], stored[3]) for _, stored in page]
            if len(page) == _PAGE:
                found += self._newest_first(before=page[-1][0])
            if self._client.hget(self._head, "anchor") == anchor:
                return Trail(tuple(found[::-1]), anchor or "", int(n or 0), end or "")
        raise Unavailable("The audit trail is being trimmed.", remedy="Try again in a minute.")

    def verify(self, trail: Trail | None = None) -> tuple[int, list[str]]:
        """How many entries there are, and what is wrong with them. `trail` is what `stored` gave."""
        trail = self.stored() if trail is None else trail
        found = faults(trail.entries, start=trail.anchor, end=trail.end or None, key=self._key)
        return len(trail.entries), list(found)

    def _readable(self, stored: Iterable[Sealed]) -> Iterator[AuditEntry]:
        for sealed in stored:
            try:
                yield entry_of(sealed)
            except Unreadable as record:
                self._left_alone.report(record)

    def _filed_under(self, gateway: str, page: int) -> Iterator[Sealed]:
        filed = self._index.filed()
        for sealed in self._newest_first(after=filed):
            if gateway in names_of(sealed.text):
                yield sealed
        if not filed:
            return
        for ids in self._index.newest(gateway, filed, page):
            with self._client.pipeline(transaction=False) as pipe:
                for entry_id in ids:
                    pipe.xrange(self._log, entry_id, entry_id)
                # What is too old is gone from the trail before it is gone from the index.
                for found in pipe.execute():
                    for _, stored in found:
                        yield Sealed(stored["entry"], stored["hash"])

    def _newest_first(self, after: str = "", before: str = "") -> Iterator[Sealed]:
        position = f"({before}" if before else "+"
        first = f"({after}" if after else "-"
        while True:
            page = self._client.xrevrange(self._log, position, first, count=_PAGE)
            for entry_id, stored in page:
                position = f"({entry_id}"
                yield Sealed(stored["entry"], stored["hash"])
            if len(page) < _PAGE:
                return


def read_lines(lines: Iterable[str]) -> list[Sealed]:
    """The chain as it was written to standard output; other lines are passed over."""
    found = []
    for line in lines:
        line = line.strip()
        if not line.startswith('{"audit":'):
            continue
        text, mark, rest = line.removeprefix('{"audit":').rpartition(',"hash":"')
        if mark:
            # What an export adds comes after the hash.
            found.append(Sealed(text, rest.partition('"')[0]))
    return found


def _hash(text: str, key: bytes) -> str:
    if key:
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return hashlib.sha256(text.encode()).hexdigest()
