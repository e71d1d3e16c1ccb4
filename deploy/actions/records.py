"""Runs the scripts of actions and turns what they reply into records."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.actions import scripts
from deploy.actions.action import Action, Event, Outcome, State, Step, Vote
from deploy.actions.codec import Codec, Unreadable
from deploy.policy import policy_from_mapping

Flat = Sequence[str]

_PARTS = ("act", "req", "log", "steps", "votes")
DUE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), id) end
return ids
"""
"""What is due in a sorted set; nobody else is given it for ARGV[2] milliseconds."""
_DROP = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
if due > now then return redis.call('ZREM', KEYS[1], ARGV[1]) end
return 0
"""
"""Forget what was taken, unless it has changed since: then it is due already."""


class Records:
    """Actions in one Redis, through the scripts of one caller.

    Three sorted sets say what needs looking after: `due` what a runner must look at, `owed` whose
    message may be behind, `unaudited` what the audit trail lacks. They are written before a new
    action, so a crash in between leaves an id without an action, which is dropped, and never an
    action without an id, which would be lost. An id goes only once nothing more can happen to it,
    and what is taken is due again after a while: what changes is only made due at once.
    """

    def __init__(self, client: Any, prefix: str, named: Mapping[str, str], codec: Codec) -> None:
        self._codec = codec
        self.client = client
        self.prefix = prefix
        self.due_key = f"{prefix}:{{due}}"
        self.owed_key = f"{prefix}:{{owed}}"
        self.unaudited_key = f"{prefix}:{{unaudited}}"
        self._scripts = {
            name: client.register_script(scripts.PRELUDE + text) for name, text in named.items()
        }
        self._take_due = client.register_script(DUE)
        self._drop = client.register_script(_DROP)

    def run(self, name: str, action_id: str, *args: Any) -> tuple[str, Action | None]:
        """Run one script; what it said, and the action as it is after it.

        Unreadable for one that a newer bot wrote, which no script changes, or that is damaged.
        """
        result, flat, steps, votes = self._scripts[name](keys=self.keys(action_id), args=args)
        if result == "newer":
            raise Unreadable(f"Action {action_id}", "a newer one wrote it")
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return str(result), self._action(action_id, fields, steps, votes) if fields else None

    def index(self, action_id: str, *, due: bool = True) -> None:
        """Have it looked after now, and from now on."""
        with self.client.pipeline(transaction=False) as pipe:
            if due:
                pipe.zadd(self.due_key, {action_id: 0})
            pipe.zadd(self.owed_key, {action_id: 0})
            pipe.zadd(self.unaudited_key, {action_id: 0})
            pipe.execute()

    def take_due(self, key: str, limit: int, visibility_ms: int) -> list[str]:
        """What is due in one of the sorted sets; nobody else is given it for a while."""
        return [str(i) for i in self._take_due(keys=[key], args=[limit, visibility_ms])]

    def drop(self, key: str, action_id: str) -> None:
        """Whoever took it has found that nothing more can happen to it."""
        self._drop(keys=[key], args=[action_id])

    def get(self, action_id: str) -> Action | None:
        """The action as it is now. Unreadable as `run` says."""
        act, _, _, steps_key, votes_key = self.keys(action_id)
        with self.client.pipeline(transaction=True) as pipe:
            pipe.hgetall(act)
            pipe.lrange(steps_key, 0, -1)
            pipe.hvals(votes_key)
            fields, steps, votes = pipe.execute()
        return self._action(action_id, fields, steps, votes) if fields else None

    def _action(
        self, action_id: str, fields: Mapping[str, str], steps: Sequence[str], votes: Sequence[str]
    ) -> Action:
        try:
            return action_of(action_id, self._codec, fields, steps, votes)
        except (ValueError, KeyError, TypeError) as error:
            why = f"it is damaged ({type(error).__name__})"
            raise Unreadable(f"Action {action_id}", why) from error

    def field(self, action_id: str, name: str) -> str:
        """One field that is no part of the record; empty where there is none."""
        return str(self.client.hget(self.keys(action_id)[0], name) or "")

    def events(self, action_id: str, after: int) -> tuple[Event, ...]:
        """The action's own log from the version after that one on."""
        entries = self.client.xrange(self.keys(action_id)[2], "-", "+")
        found = (_event(fields) for _, fields in entries)
        return tuple(event for event in found if event.version > after)

    def keys(self, action_id: str) -> list[str]:
        """All keys of an action; they share a hash tag, so they are in one slot of a cluster."""
        return [f"{self.prefix}:{{a:{action_id}}}:{part}" for part in _PARTS]


def plausible(action_id: str) -> bool:
    """An id from a click is not trusted to become part of a key."""
    return action_id.isascii() and action_id.isalnum() and len(action_id) <= 16


def canonical(value: Mapping[str, Any]) -> str:
    """JSON that is the same text for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def action_of(
    action_id: str,
    codec: Codec,
    fields: Mapping[str, str],
    steps: Sequence[str],
    votes: Sequence[str],
) -> Action:
    """The record from the hash, the steps and the votes."""
    body = codec.decode(f"Action {action_id}", fields["body"])
    # A quorum that was raised since counts from the first decision after it.
    policy = (
        policy_from_mapping(json.loads(fields["policy"])) if "policy" in fields else body.policy
    )
    state = State(fields["state"])
    outcome = json.loads(fields["outcome"]) if "outcome" in fields else None
    return Action(
        id=action_id,
        kind=body.kind,
        ref=body.ref,
        state=state,
        version=int(fields["version"]),
        requester=fields["requester"],
        person=fields["person"],
        policy=policy,
        digest=fields["digest"],
        request=body.request,
        plan=body.plan,
        origin=body.origin,
        why=body.why,
        automatic=body.automatic,
        denied=body.denied,
        created_at=int(fields["created"]) / 1000,
        expires_at=int(fields["expires"]) / 1000,
        updated_at=int(fields["updated"]) / 1000,
        decided_by=fields.get("decided_by", ""),
        decided_at=_moment(fields, "decided"),
        start_by=_moment(fields, "start_by"),
        stop_by=fields.get("stop_by", ""),
        stop_at=_moment(fields, "stop_at"),
        reason=fields.get("reason", ""),
        votes=tuple(sorted((_vote(json.loads(v)) for v in votes), key=lambda v: (v.at, v.by))),
        fence=int(fields.get("fence", 0)),
        lease_owner=fields.get("owner", ""),
        lease_until=int(fields.get("lease", 0)) / 1000,
        attempts=int(fields.get("attempts", 0)),
        steps=tuple(_step(json.loads(step)) for step in steps),
        progress=json.loads(fields["progress"]) if "progress" in fields else None,
        outcome=Outcome(state, **outcome) if outcome else None,
        message=json.loads(fields["message"]) if "message" in fields else None,
    )


def _moment(fields: Mapping[str, str], name: str) -> float | None:
    return int(fields[name]) / 1000 if fields.get(name) else None


def _step(data: Mapping[str, Any]) -> Step:
    return Step(data["name"], data["at"] / 1000, data["detail"])


def _vote(data: Mapping[str, Any]) -> Vote:
    return Vote(
        by=data["by"],
        person=data["person"],
        verdict=data["verdict"],
        at=data["at"] / 1000,
        digest=data["digest"],
        reason=data["reason"],
        serves=frozenset(data["serves"]) if "serves" in data else None,
    )


def _event(fields: Mapping[str, str]) -> Event:
    return Event(
        version=int(fields["version"]),
        name=fields["event"],
        who=fields["who"],
        detail=fields["detail"],
        at=int(fields["at"]) / 1000,
    )
