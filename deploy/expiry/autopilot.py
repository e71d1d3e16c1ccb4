"""Rotates tokens that are about to expire, or that Azure refuses, without anybody asking, where the
settings say so.

One bot at a time looks, by a lease that saves work. That nothing is begun twice rests on ids: a try
has one, made of gateway, expiry and its number, and the action of it is the same however often it is
created.
"""

import datetime
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.access import Environment, environment_of, frozen
from deploy.actions.action import Action, State, action_id
from deploy.actions.audit import AuditLog
from deploy.actions.codec import Unreadable
from deploy.actions.connection import now_of, redis_errors
from deploy.actions.store import ActionStore
from deploy.actions.versions import LeftAlone, check, reading
from deploy.changes.decide import Decider
from deploy.changes.kinds import ROTATE
from deploy.changes.propose import Ask, Proposer
from deploy.errors import Conflict, GatewayBotError, Unavailable
from deploy.expiry.automatic import Attempt, Automatic, Candidate, queue, room
from deploy.expiry.rotation_stops import RotationStop, RotationStops
from deploy.expiry.tracked import Tracked
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from deploy.plans.plan import Plan
from deploy.plans.requests import RotateRequest
from deploy.tokens.rotation import Rotation

log = logging.getLogger(__name__)

VERSION = 1
"""Of the form in which a try is stored."""
_AUTOMATIC = "automatic"
"""The kind of what the audit trail keeps of it, and how its request ids begin."""
_LEASE_SECONDS = 60.0
_TRIES = 20
"""So many are planned at one look, when nothing comes of any."""
_STANDING_TTL = 600
_ASKING_TTL = 24 * 3600
_LONGEST_REASON = 600
"""Its end is mostly what to do about it."""
_TOLD_SECONDS = 86_400.0
"""For so long it is reported that somebody resumed it, should nobody have heard at once."""


@dataclass(frozen=True)
class Try:
    """What was begun last for a gateway, as it is stored. Times are epoch seconds."""

    expires_at: float
    number: int
    action: str
    at: float


class Autopilot:
    """`rules` are by environment; `bot_user` is who stands as requester; `tell` gets each stop,
    again at each turn while it lasts, and of its end at once and at each turn of a day."""

    def __init__(
        self,
        client: Any,
        tracker: Tracker,
        store: ActionStore,
        audit: AuditLog,
        proposer: Proposer,
        decider: Decider,
        environments: Sequence[Environment],
        rules: Mapping[str, Automatic],
        *,
        bot_user: Callable[[], str],
        tell: Callable[[RotationStop], None],
        prefix: str = "gateway-bot",
    ) -> None:
        self._client = client
        self._tracker = tracker
        self._store = store
        self._audit = audit
        self._proposer = proposer
        self._decider = decider
        self._environments = {e.name: e for e in environments}
        self._rules = {name: rule for name, rule in rules.items() if rule.mode != "off"}
        self._bot_user = bot_user
        self._tell = tell
        self._prefix = prefix
        self._stops = RotationStops(client, prefix=prefix)
        self._left_alone = LeftAlone(log)

    @redis_errors
    def turn(self) -> int:
        """Look once; how many rotations were begun."""
        if not self._rules or not self._tracker.hold("autopilot", _LEASE_SECONDS):
            return 0
        user = self._bot_user()
        if not user:
            return 0
        begun = 0
        register = self._tracker.register()
        environments = tuple(self._environments.values())
        for name, rule in self._rules.items():
            mine = [
                t
                for t in register.tracked
                # Not as the scan noted it, perhaps under other settings.
                if environment_of(t.ref, environments).name == name
                and t.facts.expires_at is not None
                and t.facts.rotatable
                and t.over not in ("gone", "signs in")
            ]
            begun += self._environment(self._environments[name], rule, mine, user)
        if register.unreadable:
            self._tracker.let_go("autopilot")
        return begun

    @redis_errors
    def resume(self, environment: str, *, by: str, at: float) -> bool:
        """Begin again after a stop; whether there was one."""
        number = int(self._client.hget(self._stops.key(environment), "stops") or 0)
        if not self._stops.lasts(environment):
            return False
        # On record first: what is not can be asked for again.
        self._record("automatic rotation resumed", by, environment, "", 2 * number, at)
        if not self._stops.resume(environment, by=by, at=at):
            return False
        stop = self._stops.find(environment, number)
        if stop is not None:
            self._tell(stop)
        return True

    def _environment(
        self, environment: Environment, rule: Automatic, tracked: Sequence[Tracked], user: str
    ) -> int:
        now = now_of(self._client)
        moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
        freeze = frozen(environment, moment)
        kept = self._client.hgetall(self._key(environment.name))
        standing = rule.mode == "auto" and freeze is None and not kept.get("stopped")
        candidates = []
        for one in tracked:
            try:
                tried = self._attempt(one.ref, kept.get(f"try:{one.ref}"), standing=standing)
            except Unreadable as record:
                # The next turn is for a bot that can read it, unless this one has started something.
                self._left_alone.report(record)
                self._tracker.let_go("autopilot")
                continue
            self._counted(environment.name, rule, one.ref, tried)
            facts = one.facts
            expires_at = facts.expires_at or 0.0
            candidates.append(
                Candidate(one.ref, expires_at, tried, facts.refused_since, facts.refused_often)
            )
        stop = self._latest(environment.name)
        if self._stops.lasts(environment.name):
            if stop is not None:
                # At each turn, for the bot that stopped it may have died before it wrote that down.
                self._record(
                    "automatic rotation stopped", "", stop.environment,
                    f"{stop.failures} failures in a row; the last: {stop.last}"[:300],
                    2 * stop.number - 1, stop.at,
                )  # fmt: skip
                self._tell(stop)
            return 0
        if stop is not None and now - stop.resumed_at < _TOLD_SECONDS:
            self._tell(stop)
        if freeze is not None:
            return 0
        places = {one.ref: one.facts.channels for one in tracked}
        begun = 0
        free = room(candidates, rule)
        for candidate in queue(candidates, rule, now)[:_TRIES]:
            # Planning takes its time; whoever took over meanwhile counts what was begun until then.
            if begun == free or not self._tracker.hold("autopilot", _LEASE_SECONDS):
                break
            channel = next(iter(places[candidate.ref]), "")
            begun += self._begin(environment, rule, candidate, user, channel, moment)
        return begun

    def _begin(
        self,
        environment: Environment,
        rule: Automatic,
        candidate: Candidate,
        user: str,
        channel: str,
        now: datetime.datetime,
    ) -> int:
        ref, tried = candidate.ref, candidate.attempt
        same = tried is not None and tried.expires_at == candidate.expires_at
        number = tried.number + 1 if tried is not None and same else 1
        request_id = f"{_AUTOMATIC}:{ref}:{candidate.expires_at:.0f}:{number}"
        new_id = action_id(request_id)
        self._note(environment.name, ref, candidate, number, new_id, now.timestamp())
        try:
            action = self._propose(environment, rule, ref, user, channel, request_id)
        except GatewayBotError as error:
            # Its warnings continue, and it is tried again; a plan that cannot be made broke nothing.
            log.warning("%s is not rotated automatically: %s", ref, error)
            if not isinstance(error, Unavailable):
                why = " ".join(filter(None, (error.happened, error.meaning, error.remedy)))
                self._tracker.unrotated(ref, why[:_LONGEST_REASON])
            return 0
        self._tracker.unrotated(ref, "")
        detail = json.dumps({"mode": rule.mode, "expires_at": candidate.expires_at})
        at = now.timestamp()
        self._audit.append(
            "automatic rotation", user, detail, ref=ref, subject=f"automatic-{new_id}",
            kind=_AUTOMATIC, version=1, at=at,
        )  # fmt: skip
        if action.policy.standing:
            self._decider.standing(action)
        return 1

    def _propose(
        self,
        environment: Environment,
        rule: Automatic,
        ref: GatewayRef,
        user: str,
        channel: str,
        request_id: str,
    ) -> Action:
        if not channel:
            raise Conflict(
                f"No channel gets notifications for {ref}, so nobody would see its rotation.",
                remedy="Set `warnings.channel` for its environment.",
            )
        standing = rule.mode == "auto"
        if not standing and environment.approval is None and environment.requesters is None:
            raise Conflict(f"The settings name nobody who could approve a rotation of {ref}.")
        proposal = self._proposer.propose(
            Ask(
                ROTATE,
                RotateRequest(ref, Rotation()),
                ref,
                user,
                request_id,
                {"channel": channel},
                automatic=True,
                standing=environment.standing if standing else "",
                asked=None if standing else environment.requesters,
                seconds=_STANDING_TTL,
                asking_seconds=_ASKING_TTL,
            )
        )
        if proposal.action is None:
            raise _not_decidable(proposal.plan)
        return proposal.action

    def _attempt(self, ref: GatewayRef, text: str | None, *, standing: bool) -> Attempt | None:
        """What was tried last; `standing` says whether the settings approve it still, and now.

        Unreadable where that, or its action, cannot be read.
        """
        if not text:
            return None
        kept = try_of(ref, text)
        action: Action | None = self._store.get(kept.action)
        waits = action is not None and action.state is State.PENDING
        if action is not None and waits and action.policy.standing and standing:
            # The bot that made it died before it could say that the settings approve it.
            action = self._decider.standing(action).action
        state = action.state if action is not None else None
        ended = action.updated_at if action is not None and action.final else kept.at
        asking = waits and action is not None and action.policy.by == "approvers"
        return Attempt(kept.expires_at, kept.number, ended, state, asking)

    def _counted(
        self, environment: str, rule: Automatic, ref: GatewayRef, tried: Attempt | None
    ) -> None:
        if tried is None or tried.state is None:
            return
        name = f"{ref}:{tried.expires_at:.0f}:{tried.number}"
        if self._client.hget(self._key(environment), f"end:{ref}") == name:
            return
        if tried.state not in (State.SUCCEEDED, State.FAILED, State.UNKNOWN):
            return
        succeeded = tried.state is State.SUCCEEDED
        failed = "" if succeeded else f"{ref} ended {tried.state.value}."[:300]
        self._stops.count(environment, name, failed=failed, allowed=rule.failures)
        self._client.hset(self._key(environment), f"end:{ref}", name)

    def _latest(self, environment: str) -> RotationStop | None:
        try:
            return self._stops.latest(environment)
        except Unreadable as record:
            self._left_alone.report(record)
            return None

    def _record(
        self, event: str, who: str, environment: str, detail: str, version: int, at: float
    ) -> None:
        self._audit.append(
            event, who, json.dumps({"environment": environment, "detail": detail}),
            subject=f"automatic-{environment}", kind=_AUTOMATIC, version=version, at=at,
        )  # fmt: skip

    def _note(
        self,
        environment: str,
        ref: GatewayRef,
        candidate: Candidate,
        number: int,
        new_id: str,
        at: float,
    ) -> None:
        kept = {
            "version": VERSION,
            "expires": candidate.expires_at,
            "number": number,
            "action": new_id,
            "at": at,
        }
        self._client.hset(self._key(environment), f"try:{ref}", json.dumps(kept))

    def _key(self, environment: str) -> str:
        return self._stops.key(environment)


def try_of(ref: GatewayRef, text: str) -> Try:
    """What was stored of a gateway. Unreadable where a newer bot wrote it, or it is damaged."""
    name = f"The last automatic rotation of {ref}"
    with reading(name):
        kept = json.loads(text)
        check(name, kept.get("version"), VERSION)
        return Try(
            float(kept["expires"]), int(kept["number"]), str(kept["action"]), float(kept["at"])
        )


def _not_decidable(plan: Plan) -> Conflict:
    """Why nobody can decide a plan that was made automatically."""
    forbidding = next((f for f in plan.findings if f.severity == "deny"), None)
    if forbidding is not None:
        return Conflict(f"A rule forbids it: {forbidding.what}", remedy=forbidding.fix)
    return Conflict("The plan contains no changes.")
