"""Where actions live: a thin face over the scripts, giving records instead of replies.

Every method raises Unavailable when Redis cannot be used. The index of what needs looking after is
written before the action itself, so a crash in between leaves an id without an action, which is
dropped, and never an action without an id, which would be lost.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.actions import scripts
from deploy.actions.connection import redis_errors
from deploy.actions.record import Action, Outcome, State, Step
from deploy.errors import Conflict
from deploy.gateway import GatewayRef

_VISIBILITY_MS = 3000
_LIMIT = 50


@dataclass(frozen=True)
class Decision:
    """What a click did: `done` or `replayed` when it counted, else why it did not.

    The other results: `already`, `expired`, `stale`, `not-requester`, and `gone`, with no action.
    """

    result: str
    action: Action | None


@dataclass(frozen=True)
class Delivery:
    """A message that is owed: the newest record, the version it pays for, which try this is."""

    action: Action
    version: int
    attempt: int


@dataclass(frozen=True)
class GatewayLease:
    """The right to change one gateway, or who has it. A fence rises with each new holder."""

    fence: int
    action_id: str


class ActionStore:
    """Actions in one Redis, shared by every bot."""

    def __init__(self, client: Any, *, prefix: str = "gateway-bot", keep_days: int = 30) -> None:
        self._client = client
        self._prefix = prefix
        self._keep_ms = keep_days * 86_400_000
        self._due_key = f"{prefix}:{{due}}"
        self._owed_key = f"{prefix}:{{owed}}"
        self._scripts = {
            name: client.register_script(scripts.PRELUDE + getattr(scripts, name))
            for name in (
                "CREATE",
                "DECIDE",
                "EXPIRE",
                "CLAIM",
                "HEARTBEAT",
                "STEP",
                "PROGRESS",
                "WAITING",
                "FINISH",
                "RELEASE",
                "CLAIM_DELIVERY",
                "DELIVERED",
                "RELEASE_DELIVERY",
            )
        }
        self._take_due = client.register_script(scripts.DUE)
        self._acquire = client.register_script(scripts.GATEWAY_ACQUIRE)
        self._renew = client.register_script(scripts.GATEWAY_RENEW)

    @redis_errors
    def create(
        self,
        action_id: str,
        *,
        kind: str,
        ref: GatewayRef,
        requester: str,
        digest: str,
        request: Mapping[str, Any],
        plan: Mapping[str, Any],
        origin: Mapping[str, Any],
        ttl_seconds: int,
        request_id: str,
    ) -> Action:
        """A pending action. Done again for the same request it is the same action.

        Conflict when another request's action has this id.
        """
        body = {
            "kind": kind,
            "ref": dataclasses.asdict(ref),
            "request": request,
            "plan": plan,
            "origin": origin,
        }
        self._index(action_id)
        result, action = self._run(
            "CREATE",
            action_id,
            request_id,
            json.dumps(body),
            ttl_seconds * 1000,
            self._keep_ms,
            requester,
            digest,
        )
        if result != "done" or action is None:
            raise Conflict(
                "The id of this request is taken by another one.", remedy="Please ask again."
            )
        return action

    @redis_errors
    def get(self, action_id: str) -> Action | None:
        """The record as it is now; None when there is none (any more)."""
        keys = self._keys(action_id)
        with self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(keys[0])
            pipe.lrange(keys[4], 0, -1)
            fields, steps = pipe.execute()
        return _action(action_id, fields, steps) if fields else None

    @redis_errors
    def confirm(self, action_id: str, *, by: str, digest: str, request_id: str) -> Decision:
        """The requester confirms the plan of this digest."""
        return self._decide(action_id, State.APPROVED, by, digest, request_id)

    @redis_errors
    def cancel(self, action_id: str, *, by: str, digest: str, request_id: str) -> Decision:
        """The requester takes it back."""
        return self._decide(action_id, State.CANCELLED, by, digest, request_id)

    def _decide(
        self, action_id: str, state: State, by: str, digest: str, request_id: str
    ) -> Decision:
        if not _plausible(action_id):
            return Decision("gone", None)
        self._index(action_id)
        result, action = self._run("DECIDE", action_id, request_id, state.value, by, digest)
        return Decision(result, action)

    @redis_errors
    def expire(self, action_id: str) -> Action | None:
        """Make an expiry visible, if there is one."""
        self._index(action_id)
        return self._run("EXPIRE", action_id)[1]

    @redis_errors
    def claim(self, action_id: str, owner: str, fence: int, lease_seconds: float) -> Action | None:
        """Take an approved action, or one whose runner is gone. None when it is not to be had."""
        self._index(action_id)
        result, action = self._run("CLAIM", action_id, owner, fence, int(lease_seconds * 1000))
        return action if result == "done" else None

    @redis_errors
    def heartbeat(self, action_id: str, owner: str, fence: int, lease_seconds: float) -> bool:
        """Keep the lease; False when it is lost."""
        result, _ = self._run("HEARTBEAT", action_id, owner, fence, int(lease_seconds * 1000))
        return result == "done"

    @redis_errors
    def step(
        self, action_id: str, owner: str, fence: int, name: str, detail: str, request_id: str
    ) -> bool:
        """Record a step; False when the lease is lost."""
        self._index(action_id, due=False)
        result, _ = self._run("STEP", action_id, owner, fence, request_id, name, detail)
        return result in ("done", "replayed")

    @redis_errors
    def progress(self, action_id: str, owner: str, fence: int, state: Mapping[str, Any]) -> bool:
        """Record the newest progress; False when the lease is lost."""
        self._index(action_id, due=False)
        result, _ = self._run("PROGRESS", action_id, owner, fence, _canonical(state))
        return result == "done"

    @redis_errors
    def waiting(self, action_id: str, other: str) -> None:
        """Record that an approved action waits for another one on its gateway."""
        self._index(action_id, due=False)
        self._run("WAITING", action_id, _canonical({"waiting_for": other}))

    @redis_errors
    def finish(self, action_id: str, owner: str, fence: int, outcome: Outcome) -> bool:
        """End a run; False when the lease is lost."""
        self._index(action_id, due=False)
        told = _canonical(
            {
                "happened": outcome.happened,
                "meaning": outcome.meaning,
                "remedy": outcome.remedy,
            }
        )
        result, _ = self._run("FINISH", action_id, owner, fence, outcome.state.value, told)
        return result in ("done", "replayed")

    @redis_errors
    def release(self, action_id: str, owner: str, fence: int) -> None:
        """Let another bot take the run over at once."""
        self._index(action_id)
        self._run("RELEASE", action_id, owner, fence)

    @redis_errors
    def due(self) -> list[str]:
        """Actions that need looking after now; nobody else is given them for three seconds."""
        return [str(i) for i in self._take_due(keys=[self._due_key], args=[_LIMIT, _VISIBILITY_MS])]

    @redis_errors
    def settle_due(self, action_id: str, at: float | None) -> None:
        """Look after it again at `at` (epoch seconds, Redis' time), or never."""
        if at is None:
            self._client.zrem(self._due_key, action_id)
        else:
            self._client.zadd(self._due_key, {action_id: int(at * 1000)}, xx=True)

    @redis_errors
    def acquire_gateway(
        self, ref: GatewayRef, action_id: str, owner: str, lease_seconds: float
    ) -> GatewayLease:
        """The gateway's lease, or, with fence 0, the action that holds it."""
        fence, holder = self._acquire(
            keys=[self._gateway_key(ref)], args=[owner, action_id, int(lease_seconds * 1000)]
        )
        return GatewayLease(int(fence), str(holder))

    @redis_errors
    def renew_gateway(self, ref: GatewayRef, owner: str, fence: int, lease_seconds: float) -> bool:
        """Keep the gateway's lease, or with 0 let go of it; False when it was lost."""
        return bool(
            self._renew(
                keys=[self._gateway_key(ref)], args=[owner, fence, int(lease_seconds * 1000)]
            )
        )

    @redis_errors
    def owed(self) -> list[str]:
        """Actions whose message may be behind."""
        found = self._client.zrange(self._owed_key, 0, _LIMIT - 1)
        return [str(action_id) for action_id in found]

    @redis_errors
    def claim_delivery(self, action_id: str, owner: str, lease_seconds: float) -> Delivery | None:
        """The right to send the newest state, if it is owed and nobody else is sending."""
        if not self._client.exists(self._keys(action_id)[0]):
            self._client.zrem(self._owed_key, action_id)
            return None
        result, action = self._run("CLAIM_DELIVERY", action_id, owner, int(lease_seconds * 1000))
        if result == "paid":
            self._forget_owed(action_id, action)
        if result != "done" or action is None:
            return None
        tries = self._client.hget(self._keys(action_id)[0], "tries")
        return Delivery(action, action.version, int(tries or 1))

    @redis_errors
    def delivered(
        self, action_id: str, owner: str, version: int, message: Mapping[str, Any] | None
    ) -> None:
        """The message shows `version`; `message` says where it is, None that it is gone."""
        told = "" if message is None else _canonical(message)
        self._run("DELIVERED", action_id, owner, version, told)

    @redis_errors
    def release_delivery(self, action_id: str, owner: str, wait_seconds: float) -> None:
        """It could not be sent; try again after a while."""
        self._run("RELEASE_DELIVERY", action_id, owner, int(wait_seconds * 1000))

    def _forget_owed(self, action_id: str, action: Action | None) -> None:
        """Drop a paid id. It is put back when a change came in between: each change writes the
        index before the record, so the order here is drop, then look again."""
        self._client.zrem(self._owed_key, action_id)
        again = self._client.hget(self._keys(action_id)[0], "version")
        if action is not None and again is not None and int(again) > action.version:
            self._client.zadd(self._owed_key, {action_id: 0})

    def _index(self, action_id: str, *, due: bool = True) -> None:
        if due:
            self._client.zadd(self._due_key, {action_id: 0})
        self._client.zadd(self._owed_key, {action_id: 0})

    def _run(self, name: str, action_id: str, *args: Any) -> tuple[str, Action | None]:
        result, flat, steps = self._scripts[name](keys=self._keys(action_id), args=args)
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return str(result), _action(action_id, fields, steps) if fields else None

    def _keys(self, action_id: str) -> list[str]:
        base = f"{self._prefix}:{{a:{action_id}}}"
        return [f"{base}:{part}" for part in ("act", "req", "out", "aud", "steps")]

    def _gateway_key(self, ref: GatewayRef) -> str:
        return f"{self._prefix}:{{g:{ref}}}"


def _plausible(action_id: str) -> bool:
    """An id from a click is not trusted to become part of a key."""
    return action_id.isascii() and action_id.isalnum() and len(action_id) <= 16


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _action(action_id: str, fields: Mapping[str, str], steps: list[str]) -> Action:
    body = json.loads(fields["body"])
    state = State(fields["state"])
    outcome = json.loads(fields["outcome"]) if "outcome" in fields else None
    decided = fields.get("decided")
    return Action(
        id=action_id,
        kind=body["kind"],
        ref=GatewayRef(**body["ref"]),
        state=state,
        version=int(fields["version"]),
        requester=fields["requester"],
        digest=fields["digest"],
        request=body["request"],
        plan=body["plan"],
        origin=body["origin"],
        created_at=int(fields["created"]) / 1000,
        expires_at=int(fields["expires"]) / 1000,
        updated_at=int(fields["updated"]) / 1000,
        decided_by=fields.get("decided_by", ""),
        decided_at=int(decided) / 1000 if decided else None,
        fence=int(fields.get("fence", 0)),
        lease_owner=fields.get("owner", ""),
        lease_until=int(fields.get("lease", 0)) / 1000,
        attempts=int(fields.get("attempts", 0)),
        steps=tuple(_step(json.loads(step)) for step in steps),
        progress=json.loads(fields["progress"]) if "progress" in fields else None,
        outcome=Outcome(state, **outcome) if outcome else None,
        message=json.loads(fields["message"]) if "message" in fields else None,
    )


def _step(data: Mapping[str, Any]) -> Step:
    return Step(data["name"], data["at"] / 1000, data["detail"])
