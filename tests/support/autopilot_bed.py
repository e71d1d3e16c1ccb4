"""Bots that rotate automatically, over one Redis."""

import dataclasses
from typing import Any

from bot.sandbox.valkey import Valkey
from deploy.access import Environment
from deploy.actions.action import Action, Outcome, State
from deploy.actions.audit import AuditLog
from deploy.actions.connection import connect
from deploy.expiry.automatic import Automatic
from deploy.expiry.autopilot import Autopilot
from deploy.expiry.rotation_stops import RotationStop
from deploy.expiry.thresholds import DEFAULT
from deploy.expiry.tracked import ExpiryFacts
from deploy.expiry.tracker import Tracker
from deploy.gateway import GatewayRef
from deploy.plans.plan import Plan
from deploy.plans.requests import RotateRequest
from deploy.tokens.token_plan import TokenPlan
from tests.support import actions
from tests.support.changes import Changes

BOT = "U0BOT"
DEV = Environment("development")


def plan_of(request: RotateRequest, new_id: str) -> Plan:
    """A rotation that is due."""
    ref = request.ref
    token = TokenPlan(f"{ref.name}-token-{new_id.lower()}", True, None, "It is due.")
    return actions.plan_of(ref, f"d-{new_id}", changes=(), token=token)


class AutopilotBed:
    """A Redis, and bots that rotate automatically."""

    def __init__(self, server: Valkey) -> None:
        self.redis = connect(server.url)
        self.redis.flushall()
        self.store = Changes(self.redis).store
        self.audit = AuditLog(self.redis)
        self.stops: list[RotationStop] = []
        self.plans: Any = plan_of

    def bot(
        self,
        rule: Automatic | None = None,
        environment: Environment = DEV,
        name: str = "one",
        *others: Environment,
        decider: Any = None,
    ) -> Autopilot:
        """A bot with one rule for one environment."""
        rule = rule or Automatic("auto", failures=2)
        if rule.mode == "auto":
            environment = dataclasses.replace(environment, standing="Ben, 2026-11-01")
        changes = Changes(self.redis, *others, environment)
        changes.plans = lambda request, new_id: self.plans(request, new_id)
        return Autopilot(
            self.redis,
            Tracker(self.redis, name),
            self.store,
            self.audit,
            changes.proposer,
            decider or changes.decider,
            changes.environments,
            {environment.name: rule},
            bot_user=lambda: BOT,
            tell=self.stops.append,
        )

    def note(
        self,
        ref: GatewayRef,
        left: float,
        *,
        refused_for: float | None = None,
        often: bool = False,
        kind: str = "Deployment",
    ) -> None:
        """Have a gateway tracked whose token has `left` seconds, and is refused for so long."""
        now = float(self.redis.time()[0])
        facts = ExpiryFacts(
            ref, ref.name, DEV.name, now + left, "annotation", DEFAULT, ("C0ALERTS",)
        )
        facts = dataclasses.replace(facts, refused_often=often, kind=kind)
        if refused_for is not None:
            facts = dataclasses.replace(facts, refused_since=now - refused_for)
        Tracker(self.redis, "one").note(facts)

    def unrotated(self, ref: GatewayRef) -> str:
        """Why its token is not rotated."""
        tracked = Tracker(self.redis, "one").find(ref)
        assert tracked is not None
        return tracked.unrotated

    def open(self) -> list[Action]:
        """The open actions."""
        return list(self.store.open())

    def finish(self, action: Action, state: State) -> None:
        """Carry an action out, to that end."""
        claimed = self.store.claim(action.id, "runner", fence=action.fence + 1, lease_seconds=30)
        assert claimed is not None
        self.store.finish(action.id, "runner", action.fence + 1, Outcome(state, "It ended."))

    def later(self) -> None:
        """An hour passes for what was tried."""
        key = f"gateway-bot:{{automatic:{DEV.name}}}"
        for name in self.redis.hkeys(key):
            if name.startswith("try:"):
                self.redis.hdel(key, name)
