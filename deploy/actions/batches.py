"""Batches: what one command asks of several gateways, and the action that each of them became.

A batch is written down before its members are planned, with the ID that each member's action will have.
A bot that dies half-way therefore leaves a batch whose rest is still to be planned.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.actions.action import action_id
from deploy.actions.connection import Script, now_of, redis_errors
from deploy.actions.owed import Owed
from deploy.actions.records import BATCHES, plausible
from deploy.actions.versions import Newer, check, guard, reading
from deploy.errors import Conflict
from deploy.gateway import GatewayRef

VERSION = 1
_DAY_MS = 86_400_000
_SWEPT_MS = 600_000
"""For so long after its end a batch is still compared with its message."""

_CREATE = (
    guard(VERSION, "{'newer', {}}")
    + """
local time = redis.call('TIME')
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'made_by', ARGV[1], 'body', ARGV[2], 'version', 1, 'format', FORMAT,
             'created', time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
local mine = redis.call('HGET', KEYS[1], 'made_by') == ARGV[1]
return {mine and 'done' or 'taken', redis.call('HGETALL', KEYS[1])}
"""
)
_CHANGE = (
    guard(VERSION, "0")
    + """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 1 then
  redis.call('HINCRBY', KEYS[1], 'version', 1)
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
"""
)
"""KEYS batch; ARGV field, value, how long it is kept. What was said of a member is not said anew."""
_AGAIN = (
    guard(VERSION, "0")
    + """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local at, seen = ARGV[1], {}
while at ~= ARGV[2] and not seen[at] do
  seen[at] = true
  local following = redis.call('HGET', KEYS[1], 'again:' .. at)
  if not following then
    redis.call('HSET', KEYS[1], 'again:' .. at, ARGV[2])
    redis.call('HINCRBY', KEYS[1], 'version', 1)
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    return 1
  end
  at = following
end
return 1
"""
)
"""KEYS batch; ARGV action, what takes its place, how long it is kept. What has taken its place before
is followed to the newest: an older plan may be asked for again too."""


@dataclass(frozen=True)
class BatchMember:
    """One gateway of a batch; `actions` are those planned for it, the newest last. Only the last
    one may not exist yet."""

    ref: GatewayRef
    actions: tuple[str, ...]

    @property
    def action(self) -> str:
        """The ID of the action that counts."""
        return self.actions[-1]


@dataclass(frozen=True)
class Unplanned:
    """A gateway, or a cluster, that no action was planned for, and why. Those of one `reason` differ in
    their names alone; empty where there is no such id."""

    name: str
    why: str
    reason: str = ""


@dataclass(frozen=True)
class Selection:
    """What a command asks for: which kind of change, chosen how, by whom and where.

    `chosen` is the verb's own: the option by which the gateways were chosen, and its value.
    """

    kind: str
    chosen: Mapping[str, str]
    requester: str
    channel: str
    why: str = ""
    break_glass: str = ""


@dataclass(frozen=True)
class Batch:
    """What one command asks of several gateways. `created_at` is Redis' time, epoch seconds.

    `members` are in the order in which they were chosen; those named in `unplanned` have no action.
    `planned` says that each has been planned, or named there. `version` is the batch's own, without
    those of its actions.
    """

    id: str
    selection: Selection
    members: tuple[BatchMember, ...]
    unplanned: tuple[Unplanned, ...]
    planned: bool
    version: int
    created_at: float

    @property
    def actions(self) -> tuple[str, ...]:
        """The IDs of every action that there was or is."""
        return tuple(each for member in self.members for each in member.actions)


def batch_id(request_id: str) -> str:
    """The ID of the batch that a request makes."""
    return action_id(f"batch:{request_id}")


class Batches:
    """Every batch, in one Redis. Each call may be repeated.

    Raises Unavailable when Redis cannot be used, and Unreadable for a batch that a newer bot wrote.
    """

    def __init__(self, client: Any, *, prefix: str = "gateway-bot", keep_days: int = 30) -> None:
        self._client = client
        self._prefix = prefix
        # No member is decided for as long as that: its batch outlives it.
        self._keep_ms = 2 * keep_days * _DAY_MS
        self._index = f"{prefix}:{{batches}}"
        self._owed = Owed(client, BATCHES, prefix=prefix)
        self._create = Script(client, _CREATE)
        self._change = Script(client, _CHANGE)
        self._again = Script(client, _AGAIN)

    @redis_errors
    def create(
        self,
        request_id: str,
        selection: Selection,
        refs: Sequence[GatewayRef],
        unplanned: Sequence[Unplanned] = (),
    ) -> Batch:
        """The batch of that request. Made again it is the same one, with the gateways of the first
        time.

        Conflict when another request's batch has its ID.
        """
        new_id = batch_id(request_id)
        self._open(new_id)
        body = {
            **vars(selection),
            "chosen": dict(selection.chosen),
            "members": [[str(ref), action_id(member_request(request_id, ref))] for ref in refs],
            "unplanned": [[each.name, each.why] for each in unplanned],
            # Beside it: older bots read pairs.
            "reasons": {each.name: each.reason for each in unplanned if each.reason},
        }
        result, flat = self._create(
            keys=[self._key(new_id)], args=[request_id, json.dumps(body), self._keep_ms]
        )
        if result == "newer":
            raise Newer(f"The batch {new_id}")
        if result != "done":
            raise Conflict(
                ("The ID of this request belongs to another request."),
                remedy="Run the command again.",
            )
        return _batch(new_id, dict(zip(flat[::2], flat[1::2], strict=True)))

    @redis_errors
    def get(self, batch: str) -> Batch | None:
        """The batch as it is now; None when there is none (any longer)."""
        fields = self._client.hgetall(self._key(batch)) if plausible(batch) else {}
        return _batch(batch, fields) if fields else None

    def skip(self, batch: Batch, ref: GatewayRef, why: str, reason: str = "") -> None:
        """No action is planned for this member."""
        if reason:
            self._note(batch.id, f"reason:{ref}", reason)
        self._note(batch.id, f"skip:{ref}", why)

    def planned(self, batch: Batch) -> None:
        """Each member has been planned or skipped."""
        self._note(batch.id, "planned", "1")

    def again(self, batch: str, action: str, instead: str) -> None:
        """The action `instead` takes the place of `action`, or of what has taken it since."""
        self._open(batch)
        self._replace(batch, action, instead)

    @redis_errors
    def open(self) -> tuple[str, ...]:
        """The IDs of the batches that have not ended, or had not a moment ago."""
        now = int(now_of(self._client) * 1000)
        self._client.zremrangebyscore(self._index, "-inf", now)
        return tuple(str(each) for each in self._client.zrange(self._index, 0, -1))

    @redis_errors
    def ended(self, batch: str) -> None:
        """Nothing more can happen to any of its members."""
        until = int(now_of(self._client) * 1000) + _SWEPT_MS
        self._client.zadd(self._index, {batch: until}, xx=True, lt=True)

    @redis_errors
    def _open(self, batch: str) -> None:
        until = int(now_of(self._client) * 1000) + self._keep_ms
        self._client.zadd(self._index, {batch: until})

    @redis_errors
    def _note(self, batch: str, field: str, value: str) -> None:
        self._change(keys=[self._key(batch)], args=[field, value, self._keep_ms])
        self._owed.now(batch)

    @redis_errors
    def _replace(self, batch: str, action: str, instead: str) -> None:
        self._again(keys=[self._key(batch)], args=[action, instead, self._keep_ms])
        self._owed.now(batch)

    def _key(self, batch: str) -> str:
        return f"{self._prefix}:{{b:{batch}}}"


def member_request(request_id: str, ref: GatewayRef) -> str:
    """The ID of the part of a request that is about one gateway."""
    return f"{request_id}:{ref}"


def _batch(name: str, fields: Mapping[str, str]) -> Batch:
    record = f"The batch {name}"
    with reading(record):
        check(record, fields.get("format"), VERSION)
        body = json.loads(fields["body"])
        reasons = body.get("reasons") or {}
        skipped = (
            Unplanned(ref := field.removeprefix("skip:"), why, fields.get(f"reason:{ref}", ""))
            for field, why in sorted(fields.items())
            if field.startswith("skip:")
        )
        return Batch(
            id=name,
            selection=Selection(
                kind=body["kind"],
                chosen=body["chosen"],
                requester=body["requester"],
                channel=body["channel"],
                why=body["why"],
                break_glass=body["break_glass"],
            ),
            members=tuple(
                BatchMember(GatewayRef.parse(ref), tuple(_chain(first, fields)))
                for ref, first in body["members"]
            ),
            unplanned=(
                *(Unplanned(each, why, reasons.get(each, "")) for each, why in body["unplanned"]),
                *skipped,
            ),
            planned="planned" in fields,
            version=int(fields["version"]),
            created_at=int(fields["created"]) / 1000,
        )


def _chain(first: str, fields: Mapping[str, str]) -> Iterator[str]:
    seen: set[str] = set()
    following: str | None = first
    while following and following not in seen:
        seen.add(following)
        yield following
        following = fields.get(f"again:{following}")
