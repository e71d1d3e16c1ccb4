"""Every gateway whose token's expiry is watched, in the Redis that all bots share.

A sorted set holds for each the next moment at which a threshold is passed, so a look at ten
thousand of which none is due is one command. A warning is one atomic step of the gateway's own
record; its messages are marked before a gateway leaves the set, so a bot that dies in between leaves
it to be looked at again and never loses it.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.actions.codec import Unreadable
from deploy.actions.connection import Script, now_of, redis_errors
from deploy.actions.owed import Owed
from deploy.actions.records import DUE, canonical
from deploy.actions.versions import LeftAlone, Newer
from deploy.expiry.scripts import PRELUDE, SCRIPTS
from deploy.expiry.thresholds import crossed, look_at, snooze_end
from deploy.expiry.tracked import (
    MESSAGES,
    ExpiryFacts,
    MessageKey,
    Tracked,
    facts_to_mapping,
    record_name,
    tracked_of,
)
from deploy.gateway import GatewayRef

log = logging.getLogger(__name__)

_LIMIT = 100
_VISIBILITY_MS = 20_000
"""What was taken and not settled, because a bot died, is due again after this."""
_SWEPT_MS = 600_000
"""For so long after an episode it is still looked whether its messages show its end."""

_LEASE = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""


@dataclass(frozen=True)
class _Answer:
    """What a script said, the record after it, and whether its messages are behind now."""

    result: str
    tracked: Tracked | None
    behind: bool


@dataclass(frozen=True)
class Register:
    """Every record, those whose token expires first before the others; and whose cannot be read."""

    tracked: tuple[Tracked, ...]
    unreadable: tuple[GatewayRef, ...]


class Tracker:
    """Each step may be repeated. Raises Unavailable when Redis cannot be used.

    A record that cannot be read is left alone and reported once: what is about it alone raises
    Unreadable, and nothing else does.
    """

    def __init__(self, client: Any, owner: str, *, prefix: str = "gateway-bot") -> None:
        self._client = client
        self._owner = owner
        self._prefix = prefix
        self._due = f"{prefix}:{{warnings}}:due"
        self._known = f"{prefix}:{{warnings}}:known"
        self._episodes = f"{prefix}:{{warnings}}:episodes"
        self._messages = Owed(client, MESSAGES, prefix=prefix)
        self._scripts = {name: Script(client, PRELUDE + text) for name, text in SCRIPTS.items()}
        self._take_due = Script(client, DUE)
        self._lease = Script(client, _LEASE)
        self._release = Script(client, _RELEASE)
        self._left_alone = LeftAlone(log)

    @redis_errors
    def note(self, facts: ExpiryFacts) -> None:
        """What a scan found of one gateway; a new expiry ends what was said of the old one."""
        self._client.sadd(self._known, str(facts.ref))
        expires = str(round(facts.expires_at * 1000)) if facts.expires_at is not None else ""
        over = "signs in" if facts.source == "none" else ""
        body = canonical(facts_to_mapping(facts))
        answer = self._call("NOTE", facts.ref, body, "" if over else expires, over)
        if facts.gateway:
            self._client.sadd(self._named(facts.gateway), str(facts.ref))
        self._settle(facts.ref, answer.tracked, behind=answer.behind)

    @redis_errors
    def named(self, gateway: str) -> tuple[Tracked, ...]:
        """Where the gateway resource of that name in API Management runs."""
        refs = [GatewayRef.parse(str(ref)) for ref in self._client.smembers(self._named(gateway))]
        return tuple(
            tracked
            for tracked in self._readable(sorted(refs))
            if tracked.over not in ("gone", "unwatched")
            and tracked.facts.gateway.lower() == gateway.lower()
        )

    @redis_errors
    def gone(self, ref: GatewayRef, how: str = "gone") -> None:
        """It does not run any longer; or nobody looks there any longer, where `how` is `unwatched`."""
        tracked = self._run("READ", ref)
        if tracked is not None:
            body = canonical(facts_to_mapping(tracked.facts))
            answer = self._call("NOTE", ref, body, "", how)
            self._settle(ref, answer.tracked, behind=answer.behind)
            self._client.srem(self._named(tracked.facts.gateway), str(ref))
        self._client.zrem(self._due, str(ref))
        self._client.srem(self._known, str(ref))

    @redis_errors
    def known(self) -> frozenset[GatewayRef]:
        """Every gateway that is tracked."""
        return frozenset(GatewayRef.parse(str(r)) for r in self._client.smembers(self._known))

    @redis_errors
    def find(self, ref: GatewayRef) -> Tracked | None:
        """One gateway's record; None where it is not tracked."""
        return self._run("READ", ref)

    def listing(self) -> tuple[Tracked, ...]:
        """Every record that can be read, those whose token expires first before the others."""
        return self.register().tracked

    @redis_errors
    def register(self) -> Register:
        """Every record."""
        found, unreadable = self._read(sorted(self.known()))
        ordered = sorted(found, key=lambda t: (t.facts.expires_at or float("inf"), t.ref))
        return Register(tuple(ordered), tuple(unreadable))

    @redis_errors
    def versions(self) -> dict[str, int]:
        """The version that each message is to show, by its key: of the episodes that last, or were
        over a moment ago."""
        swept = self._client.zrange(self._episodes, 0, -1, withscores=True)
        until = {GatewayRef.parse(str(name)): at for name, at in swept}
        now_ms = round(now_of(self._client) * 1000)
        found, unreadable = self._read(sorted(until))
        over = [str(each.ref) for each in found if each.over and not until[each.ref]]
        if over:
            self._client.zadd(self._episodes, dict.fromkeys(over, now_ms + _SWEPT_MS))
        lost = until.keys() - {each.ref for each in found} - set(unreadable)
        if lost:
            self._client.zrem(self._episodes, *(str(ref) for ref in lost))
        self._client.zremrangebyscore(self._episodes, 1, now_ms)
        return {str(key): each.version for each in found for key in _keys_of(each)}

    @redis_errors
    def tick(self) -> int:
        """Look at what is due; at how many this bot could."""
        due = [str(i) for i in self._take_due(keys=[self._due], args=[_LIMIT, _VISIBILITY_MS])]
        unreadable = []
        for name in due:
            try:
                self._look(GatewayRef.parse(name))
            except Unreadable:
                unreadable.append(name)
        if unreadable:
            # At once again, for a bot that can; behind what was due before.
            now = round(now_of(self._client) * 1000)
            self._client.zadd(self._due, dict.fromkeys(unreadable, now), xx=True)
        return len(due) - len(unreadable)

    @redis_errors
    def snooze(
        self, ref: GatewayRef, *, by: str, why: str, seconds: float, request_id: str
    ) -> Tracked | None:
        """Say nothing more of it for a while, at the longest until it expires.

        None where there is nothing (any longer) that could be snoozed.
        """
        tracked = self._run("READ", ref)
        if tracked is None:
            return None
        until = snooze_end(tracked.now, seconds, tracked.facts.expires_at)
        answer = self._call("SNOOZE", ref, request_id, by, why, round(until * 1000))
        if answer.tracked is None or answer.result == "over":
            return None
        self._settle(ref, answer.tracked, behind=answer.behind)
        return answer.tracked

    @redis_errors
    def azure(self, ref: GatewayRef, *, expired: bool, expires_at: float, instance: str) -> None:
        """Azure reported on an instance's token."""
        kind = "expired" if expired else "near"
        answer = self._call("AZURE", ref, kind, round(expires_at * 1000), instance[:200])
        if answer.tracked is not None:
            self._look(ref, behind=answer.behind)

    @redis_errors
    def unrotated(self, ref: GatewayRef, why: str) -> None:
        """Its token is due and cannot be rotated automatically, because of `why`; empty where it is."""
        answer = self._call("UNROTATED", ref, why)
        self._settle(ref, answer.tracked, behind=answer.behind)

    @redis_errors
    def hold(self, what: str, seconds: float) -> bool:
        """Whether this bot is the one that does `what` for so long; again it holds it longer."""
        keys = [f"{self._prefix}:{{lease:{what}}}"]
        return int(self._lease(keys=keys, args=[self._owner, int(seconds * 1000)])) == 1

    @redis_errors
    def let_go(self, what: str) -> None:
        """Let another bot do it at once."""
        self._release(keys=[f"{self._prefix}:{{lease:{what}}}"], args=[self._owner])

    def _look(self, ref: GatewayRef, *, behind: bool = True) -> None:
        """Warn of what is due; with `behind` its messages are."""
        tracked = before = self._run("READ", ref)
        if tracked is None or before is None:
            self._client.zrem(self._due, str(ref))
            return
        facts = tracked.facts
        if facts.expires_at is not None:
            passed = crossed(facts.expires_at, facts.thresholds, tracked.now)
            if passed is not None and (tracked.warned is None or passed < tracked.warned):
                expires = str(round(facts.expires_at * 1000))
                answer = self._call("CROSS", ref, expires, passed)
                tracked, behind = answer.tracked, behind or answer.behind
                if tracked is not None and tracked.episode != before.episode:
                    # The end of the one before is marked again: the sweep knows only of the last.
                    self._mark(before)
        self._settle(ref, tracked, behind=behind)

    def _settle(self, ref: GatewayRef, tracked: Tracked | None, *, behind: bool) -> None:
        """Mark its messages where they are behind, and only then note when to look again."""
        if tracked is None:
            return
        if tracked.episode and not tracked.over:
            self._client.zadd(self._episodes, {str(ref): 0})
        if behind:
            self._mark(tracked)
        facts = tracked.facts
        moment = look_at(facts.expires_at, facts.thresholds, tracked.warned, tracked.snoozed_until)
        if moment is None:
            self._client.zrem(self._due, str(ref))
        else:
            self._client.zadd(self._due, {str(ref): round(moment * 1000)})

    def _mark(self, tracked: Tracked) -> None:
        for key in _keys_of(tracked):
            self._messages.now(str(key), rank=tracked.facts.expires_at or 0.0)

    def _read(self, refs: Sequence[GatewayRef]) -> tuple[list[Tracked], list[GatewayRef]]:
        """Their records, without their logs, and those that cannot be read."""
        found: list[Tracked] = []
        unreadable: list[GatewayRef] = []
        now_ms = int(now_of(self._client) * 1000)
        for start in range(0, len(refs), _LIMIT):
            page = refs[start : start + _LIMIT]
            with self._client.pipeline(transaction=False) as pipe:
                for ref in page:
                    pipe.hgetall(self._keys(ref)[0])
                answers = pipe.execute()
            for ref, fields in zip(page, answers, strict=True):
                try:
                    if fields:
                        found.append(self._tracked(ref, fields, (), now_ms))
                except Unreadable:
                    unreadable.append(ref)
        return found, unreadable

    def _run(self, name: str, ref: GatewayRef, *args: Any) -> Tracked | None:
        return self._call(name, ref, *args).tracked

    def _call(self, name: str, ref: GatewayRef, *args: Any) -> _Answer:
        result, flat, entries, now, behind = self._scripts[name](keys=self._keys(ref), args=args)
        if result == "newer":
            raise self._reported(Newer(record_name(ref)))
        fields: Mapping[str, str] = dict(zip(flat[::2], flat[1::2], strict=True))
        if "body" not in fields:
            return _Answer(str(result), None, behind=False)
        tracked = self._tracked(ref, fields, entries, int(now))
        return _Answer(str(result), tracked, behind=bool(behind))

    def _readable(self, refs: Iterable[GatewayRef]) -> Iterator[Tracked]:
        for ref in refs:
            try:
                tracked = self._run("READ", ref)
            except Unreadable:
                continue
            if tracked is not None:
                yield tracked

    def _tracked(
        self, ref: GatewayRef, fields: Mapping[str, str], entries: Sequence[str], now_ms: int
    ) -> Tracked:
        try:
            return tracked_of(ref, fields, entries, now_ms)
        except Unreadable as record:
            raise self._reported(record) from record.__cause__

    def _reported(self, record: Unreadable) -> Unreadable:
        self._left_alone.report(record)
        return record

    def _named(self, gateway: str) -> str:
        return f"{self._prefix}:{{named:{gateway.lower()}}}"

    def _keys(self, ref: GatewayRef) -> list[str]:
        return [f"{self._prefix}:{{w:{ref}}}:gw", f"{self._prefix}:{{w:{ref}}}:log"]


def _keys_of(tracked: Tracked) -> list[MessageKey]:
    return [MessageKey(place, tracked.ref, tracked.episode) for place in tracked.places()]
