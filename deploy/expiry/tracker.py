"""Every gateway whose token's expiry is watched, in the Redis that all bots share.

A sorted set holds for each the next moment at which a threshold is passed, so a look at ten
thousand of which none is due is one command. A warning is one atomic step of the gateway's own
record; what it owes to channels is indexed before a gateway leaves the set, so a bot that dies in
between leaves it to be looked at again and never loses it.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.actions.codec import Unreadable
from deploy.actions.connection import now_of, redis_errors
from deploy.actions.records import DUE, canonical
from deploy.actions.versions import LeftAlone, Newer
from deploy.expiry.scripts import PRELUDE, SCRIPTS
from deploy.expiry.thresholds import crossed, look_at, snooze_end
from deploy.expiry.tracked import ExpiryFacts, Tracked, facts_to_mapping, record_name, tracked_of
from deploy.gateway import GatewayRef

log = logging.getLogger(__name__)

_LIMIT = 100
_VISIBILITY_MS = 20_000
"""What was taken and not settled, because a bot died, is due again after this."""

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
        self._scripts = {
            name: client.register_script(PRELUDE + text) for name, text in SCRIPTS.items()
        }
        self._take_due = client.register_script(DUE)
        self._lease = client.register_script(_LEASE)
        self._release = client.register_script(_RELEASE)
        self._left_alone = LeftAlone(log)

    @redis_errors
    def note(self, facts: ExpiryFacts) -> None:
        """What a scan found of one gateway; a new expiry ends what was said of the old one."""
        self._client.sadd(self._known, str(facts.ref))
        expires = str(round(facts.expires_at * 1000)) if facts.expires_at is not None else ""
        over = "signs in" if facts.source == "none" else ""
        body = canonical(facts_to_mapping(facts))
        tracked = self._run("NOTE", facts.ref, body, "" if over else expires, over)
        if facts.gateway:
            self._client.sadd(self._named(facts.gateway), str(facts.ref))
        self._settle(facts.ref, tracked)

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
        """It does not run any more; or nobody looks at its cluster, where `how` is `unwatched`."""
        tracked = self._run("READ", ref)
        if tracked is not None:
            body = canonical(facts_to_mapping(tracked.facts))
            self._settle(ref, self._run("NOTE", ref, body, "", how))
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
        refs = sorted(self.known())
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
        ordered = sorted(found, key=lambda t: (t.facts.expires_at or float("inf"), t.ref))
        return Register(tuple(ordered), tuple(unreadable))

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

        None where there is nothing (any more) that could be snoozed.
        """
        tracked = self._run("READ", ref)
        if tracked is None:
            return None
        until = snooze_end(tracked.now, seconds, tracked.facts.expires_at)
        result, after = self._call("SNOOZE", ref, request_id, by, why, round(until * 1000))
        if after is None or result == "over":
            return None
        self._settle(ref, after)
        return after

    @redis_errors
    def azure(self, ref: GatewayRef, *, expired: bool, expires_at: float, instance: str) -> None:
        """Azure told of an instance's token."""
        kind = "expired" if expired else "near"
        after = self._run("AZURE", ref, kind, round(expires_at * 1000), instance[:200])
        if after is not None:
            self._look(ref)

    @redis_errors
    def unrotated(self, ref: GatewayRef, why: str) -> None:
        """Its token is due and cannot be rotated on its own, because of `why`; empty where it is."""
        self._settle(ref, self._run("UNROTATED", ref, why))

    @redis_errors
    def hold(self, what: str, seconds: float) -> bool:
        """Whether this bot is the one that does `what` for so long; again it holds it longer."""
        keys = [f"{self._prefix}:{{lease:{what}}}"]
        return int(self._lease(keys=keys, args=[self._owner, int(seconds * 1000)])) == 1

    @redis_errors
    def let_go(self, what: str) -> None:
        """Let another bot do it at once."""
        self._release(keys=[f"{self._prefix}:{{lease:{what}}}"], args=[self._owner])

    @redis_errors
    def owed(self, channel: str, limit: int = 50) -> list[GatewayRef]:
        """Gateways whose message in that channel is behind, the most urgent first."""
        names = self._client.zrange(self._owed(channel), 0, limit - 1)
        return [GatewayRef.parse(str(name)) for name in names]

    @redis_errors
    def owing(self) -> list[str]:
        """Every channel that is owed something, or was."""
        return sorted(
            str(c) for c in self._client.smembers(f"{self._prefix}:{{warnings}}:channels")
        )

    @redis_errors
    def posting(self, ref: GatewayRef, channel: str, upto: int = 0) -> None:
        """A post begins that tells all up to that entry: should nobody note its end, it is looked
        for before the next."""
        self._run("BEGIN", ref, channel, upto)

    @redis_errors
    def sent(
        self, ref: GatewayRef, channel: str, *, episode: int, ts: str, version: int, entry: int
    ) -> None:
        """The channel's message shows `version`, and all up to `entry` was told."""
        self._run("SENT", ref, channel, episode, ts, version, entry)

    @redis_errors
    def unsent(self, ref: GatewayRef, channel: str, *, lost: bool = False) -> None:
        """Slack took no post; with `lost`, the message that was there is no more."""
        self._run("UNSENT", ref, channel, int(lost))

    @redis_errors
    def paid(self, ref: GatewayRef, channel: str) -> None:
        """Take it from what is owed, if nothing is."""
        self._client.zrem(self._owed(channel), str(ref))
        # What came in between put its index there before the removal, so it is looked up again.
        try:
            tracked = self._run("READ", ref)
        except Unreadable:
            self._client.zadd(self._owed(channel), {str(ref): 0})
            return
        if tracked is not None and channel in tracked.behind():
            self._owe(tracked, [channel])

    def _look(self, ref: GatewayRef) -> None:
        tracked = self._run("READ", ref)
        if tracked is None:
            self._client.zrem(self._due, str(ref))
            return
        facts = tracked.facts
        if facts.expires_at is not None:
            passed = crossed(facts.expires_at, facts.thresholds, tracked.now)
            if passed is not None and (tracked.warned is None or passed < tracked.warned):
                expires = str(round(facts.expires_at * 1000))
                tracked = self._run("CROSS", ref, expires, passed)
        self._settle(ref, tracked)

    def _settle(self, ref: GatewayRef, tracked: Tracked | None) -> None:
        """Index what is owed, and only then when to look again."""
        if tracked is None:
            return
        self._owe(tracked, tracked.behind())
        facts = tracked.facts
        moment = look_at(facts.expires_at, facts.thresholds, tracked.warned, tracked.snoozed_until)
        if moment is None:
            self._client.zrem(self._due, str(ref))
        else:
            self._client.zadd(self._due, {str(ref): round(moment * 1000)})

    def _owe(self, tracked: Tracked, channels: Iterable[str]) -> None:
        urgency = tracked.facts.expires_at or 0.0
        for channel in channels:
            self._client.sadd(f"{self._prefix}:{{warnings}}:channels", channel)
            self._client.zadd(self._owed(channel), {str(tracked.ref): urgency})

    def _run(self, name: str, ref: GatewayRef, *args: Any) -> Tracked | None:
        return self._call(name, ref, *args)[1]

    def _call(self, name: str, ref: GatewayRef, *args: Any) -> tuple[str, Tracked | None]:
        result, flat, entries, now = self._scripts[name](keys=self._keys(ref), args=args)
        if result == "newer":
            raise self._reported(Newer(record_name(ref)))
        fields: Mapping[str, str] = dict(zip(flat[::2], flat[1::2], strict=True))
        if "body" not in fields:
            return str(result), None
        return str(result), self._tracked(ref, fields, entries, int(now))

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

    def _owed(self, channel: str) -> str:
        return f"{self._prefix}:{{owed:{channel}}}"

    def _keys(self, ref: GatewayRef) -> list[str]:
        return [f"{self._prefix}:{{w:{ref}}}:gw", f"{self._prefix}:{{w:{ref}}}:log"]
