"""Runs the scripts of actions and turns what they reply into records."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.actions import scripts
from deploy.actions.action import Action, Event, Outcome, Patience, State, Step, Vote
from deploy.actions.codec import VERSION, Codec, Unreadable
from deploy.actions.connection import Call, Script, in_one_trip
from deploy.actions.owed import Owed
from deploy.actions.versions import Newer, check
from deploy.policy import policy_from_mapping

MESSAGES = "action"
"""What the index of messages calls those of actions."""
BATCHES = "batch"
"""What it calls those of batches."""

_PARTS = ("act", "req", "log", "steps", "votes")
DUE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), id) end
return ids
"""
"""What is due in a sorted set; nobody else is given it for ARGV[2] milliseconds."""
_AT_ONCE = 100
"""Records that are read together, each of some twenty kilobytes."""
_QUIET = ("HEARTBEAT", "PROGRESS", "RELEASE", "STEP", "WAITING")
"""Scripts that change nothing of what a batch shows of its members."""
_CHANGED = ("done", "counted", "replayed", "expired")
_BATCH_SECONDS = 1.0
"""What happens to the members of a batch within this time is shown together."""
SETTLE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[3] == '' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
local to
for index = 4, #ARGV do
  local moment = tonumber(ARGV[index])
  if moment > now then to = math.min(moment, to or moment) end
end
return redis.call('ZADD', KEYS[1], to or now + tonumber(ARGV[3]), ARGV[1])
"""
"""Forget what was taken at that score, or put it off until the next of the moments from ARGV[4] on, or
by ARGV[3] milliseconds where none is left. What has changed since, or was taken again, has another
score and stays as it is."""
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at = now + tonumber(ARGV[2])
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], at, id) end
return {string.format('%.0f', at), ids}
"""


@dataclass(frozen=True)
class Due:
    """An action that was taken from a sorted set, and the score that it has there since."""

    id: str
    score: str


class Records:
    """Actions in one Redis, through the scripts of one caller.

    Three sorted sets say what needs looking after: `due` what a runner must look at, `unaudited`
    what the audit trail lacks, and the index of messages whose message may be behind. They are
    written before a new action, so a crash in between leaves an id without an action, which is
    dropped, and never an action without an id, which would be lost. An id goes from the first two
    only once nothing more can happen to it, and what is taken is due again after a while: what
    changes is only made due at once.
    """

    def __init__(self, client: Any, prefix: str, named: Mapping[str, str], codec: Codec) -> None:
        self._codec = codec
        self.client = client
        self.prefix = prefix
        self.due_key = f"{prefix}:{{due}}"
        self.owed = Owed(client, MESSAGES, prefix=prefix)
        self._batches = Owed(client, BATCHES, prefix=prefix)
        self.unaudited_key = f"{prefix}:{{unaudited}}"
        self._scripts = {
            name: Script(client, scripts.PRELUDE + text) for name, text in named.items()
        }
        self._take = Script(client, _TAKE)
        self._settle = Script(client, SETTLE)
        self._read = Script(client, scripts.PRELUDE + scripts.READ)
        self._told = Script(client, scripts.PRELUDE + scripts.TOLD)

    def run(self, name: str, action_id: str, *args: Any) -> tuple[str, Action | None]:
        """Run one script; what it said, and the action as it is after it.

        Unreadable for one that a newer bot wrote, which no script changes, or that is damaged.
        """
        answer = self._scripts[name](keys=self.keys(action_id), args=args)
        result, action = self._done(action_id, answer)
        if action is not None and action.batch and result in _CHANGED and name not in _QUIET:
            self._batches.within(action.batch, _BATCH_SECONDS)
        return result, action

    def _done(self, action_id: str, answer: Any) -> tuple[str, Action | None]:
        result, flat, steps, votes = answer
        if result == "newer":
            raise Newer(f"Action {action_id}")
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return str(result), self._action(action_id, fields, steps, votes) if fields else None

    def index(self, action_id: str, *, due: bool = True, within: float = 0.0) -> None:
        """Have it looked after now, and from now on; its message may be behind for `within`
        seconds."""
        with self.client.pipeline(transaction=False) as pipe:
            if due:
                pipe.zadd(self.due_key, {action_id: 0})
            pipe.zadd(self.unaudited_key, {action_id: 0})
            pipe.execute()
        if within:
            self.owed.within(action_id, within)
        else:
            self.owed.now(action_id)

    def take_due(self, key: str, limit: int, visibility_ms: int) -> list[Due]:
        """What is due in one of the sorted sets; nobody else is given it for a while."""
        score, ids = self._take(keys=[key], args=[limit, visibility_ms])
        return [Due(str(each), str(score)) for each in ids]

    def drop(self, key: str, due: Due) -> None:
        """Whoever took it has found that nothing more can happen to it."""
        self._settle(keys=[key], args=[due.id, due.score, ""])

    def put_off(self, key: str, due: Due, seconds: float, moments: Iterable[float] = ()) -> None:
        """Whoever took it has found that nothing is due for it before the next of these
        moments (epoch seconds, Redis' time); or for so long, where all have passed."""
        args = [due.id, due.score, int(seconds * 1000), *(math.ceil(at * 1000) for at in moments)]
        self._settle(keys=[key], args=args)

    def get(self, action_id: str) -> Action | None:
        """The action as it is now. Unreadable as `run` says."""
        return self._done(action_id, self._read(keys=self.keys(action_id), args=[]))[1]

    def each(self, ids: Sequence[str]) -> Iterator[tuple[str, Action | Unreadable | None]]:
        """These actions as they are now, in few round trips; of each that cannot be read, why."""
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            calls = [Call(self._read, self.keys(name)) for name in some]
            for name, answer in zip(some, self._answers(calls), strict=True):
                try:
                    found: Action | Unreadable | None = self._done(name, answer)[1]
                except Unreadable as error:
                    found = error
                yield name, found

    def results(self, name: str, asked: Sequence[tuple[str, Sequence[Any]]]) -> list[str]:
        """What one script says of several actions, each with its arguments, in one round trip."""
        calls = [Call(self._scripts[name], self.keys(each), args) for each, args in asked]
        return [str(answer[0]) for answer in self._answers(calls)]

    def _answers(self, calls: Sequence[Call]) -> list[Any]:
        """Those of the scripts; one alone needs no pipeline."""
        if len(calls) > 1:
            return in_one_trip(self.client, calls)
        return [call.script(keys=call.keys, args=call.args) for call in calls]

    def _action(
        self, action_id: str, fields: Mapping[str, str], steps: Sequence[str], votes: Sequence[str]
    ) -> Action:
        try:
            return action_of(action_id, self._codec, fields, steps, votes)
        except (ValueError, KeyError, TypeError) as error:
            why = f"it is damaged ({type(error).__name__})"
            raise Unreadable(f"Action {action_id}", why) from error

    def field(self, action_id: str, name: str) -> str:
        """One field that is not part of the record; empty where there is none."""
        return str(self.client.hget(self.keys(action_id)[0], name) or "")

    def fields(self, action_id: str, *names: str) -> list[str | None]:
        """Some fields of the hash as they are stored, all of the same moment."""
        found: list[str | None] = self.client.hmget(self.keys(action_id)[0], names)
        return found

    def told(self, action_id: str) -> tuple[Action | None, tuple[Event, ...]]:
        """The action and its own log, both of the same moment. Unreadable as `run` says."""
        answer = self._told(keys=self.keys(action_id))
        _, found = self._done(action_id, answer[:4])
        entries = (dict(zip(flat[::2], flat[1::2], strict=True)) for _, flat in answer[4])
        return found, tuple(_event(fields) for fields in entries)

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
    """The record from the hash, the steps and the votes. Newer as `Records.run` says."""
    name = f"Action {action_id}"
    check(name, fields.get("format"), VERSION)
    body = codec.decode(name, fields["body"])
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
        batch=body.batch,
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
        patience=_patience(fields),
    )


def _moment(fields: Mapping[str, str], name: str) -> float | None:
    return int(fields[name]) / 1000 if fields.get(name) else None


def _patience(fields: Mapping[str, str]) -> Patience | None:
    if "patient_with" not in fields:
        return None
    return Patience(fields["patient_with"], fields["patient_by"], int(fields["patient_at"]) / 1000)


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
