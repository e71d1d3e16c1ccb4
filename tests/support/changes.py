"""What asks for changes and decides on them, whole, over one Redis; only the plans are given."""

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deploy.access import Approval, Environment
from deploy.actions.audit import AuditLog
from deploy.actions.record import Action
from deploy.actions.store import ActionStore, Decision
from deploy.actions.windows import Windows
from deploy.changes.decide import By, Decider
from deploy.changes.kinds import Kind
from deploy.changes.policies import Governing, Policies
from deploy.changes.propose import Ask, Proposal, Proposer, Settings
from deploy.errors import Unavailable
from deploy.gateway import GatewayRef
from deploy.plans.plan import Plan
from deploy.plans.requests import ScaleRequest
from tests.support.actions import APPROVERS, CODEC, REF, kinds, plan_of

PROD = GatewayRef("west", "prod", "edge-1")
PRODUCTION = Environment(
    "production", namespaces=("prod",), production=True, approval=Approval(APPROVERS)
)
DEVELOPMENT = Environment("development", namespaces=("dev",))


class Groups:
    """Who is in which group, at this moment; or nobody says."""

    def __init__(self, **members: Sequence[str]) -> None:
        self.members: dict[str, Sequence[str]] = dict(members)
        self.away = False

    def groups_of(self, user: str, groups: Sequence[str]) -> frozenset[str]:
        """Those of `groups` that `user` is in."""
        if self.away:
            raise Unavailable("Slack does not say.")
        return frozenset(group for group in groups if user in self.members.get(group, ()))


class Changes:
    """One bot's proposer and decider, by the settings given.

    U2 and U3 are in S1, who approve in production. A test replaces `plans`, `may_ask` and `now`.
    """

    def __init__(
        self,
        client: Any,
        *environments: Environment,
        groups: Groups | None = None,
        people: Mapping[str, str] | None = None,
        governing: Governing = lambda kind, plan: (),
    ) -> None:
        self.environments = environments or (PRODUCTION, DEVELOPMENT)
        self.groups = groups or Groups(S1=("U2", "U3"))
        self.store = ActionStore(client, CODEC)
        self.windows = Windows(client, AuditLog(client))
        self.plans: Callable[[Any, str], Plan] = plan
        self.may_ask: Callable[[GatewayRef, str, str], None] = lambda ref, user, channel: None
        self.now = datetime.datetime.now(datetime.UTC)
        self.renewed: list[tuple[str, str]] = []
        self.woken: list[str] = []
        self.kinds: Mapping[str, Kind] = {
            name: dataclasses.replace(
                kind, plan=lambda request, new_id: self.plans(request, new_id)
            )
            for name, kind in kinds().items()
        }
        person = (people or {}).get
        self.policies = Policies(
            self.environments,
            self.kinds,
            self.groups,
            self.windows,
            governing,
            clock=lambda: self.now,
        )
        self.proposer = Proposer(
            self.store,
            self.kinds,
            self.policies,
            self.windows,
            lambda ref, user, channel: self.may_ask(ref, user, channel),
            Settings(self.environments, 900, lambda user: person(user, user)),
            self.woken.append,
        )
        self.decider = Decider(
            self.store,
            self.policies,
            self._renew,
            lambda user: person(user, user),
            self.woken.append,
        )

    def _renew(self, action: Action, request_id: str) -> None:
        self.renewed.append((action.id, request_id))

    def propose(self, request_id: str = "r1", **given: Any) -> Proposal:
        """U1 asks for a second pod, or for what is given in its place."""
        ref = given.get("ref", REF)
        fields: dict[str, Any] = {
            "kind": "scale",
            "request": ScaleRequest(ref, 2),
            "ref": ref,
            "requester": "U1",
            "request_id": request_id,
            "origin": {"channel": "C1"},
        }
        return self.proposer.propose(Ask(**(fields | given)))

    def asked(self, request_id: str = "r1", **given: Any) -> Action:
        """As `propose`, where that makes an action."""
        action = self.propose(request_id, **given).action
        assert action is not None
        return action

    def agree(self, action: Action, user: str, *, digest: str = "", request: str = "") -> Decision:
        """Somebody clicks on Approve or Confirm."""
        by = By(user, digest or action.digest, request or f"{user}-yes")
        return self.decider.agree(action.id, by)

    def deny(self, action: Action, user: str, *, digest: str = "", reason: str = "no") -> Decision:
        """Somebody denies it."""
        by = By(user, digest or action.digest, f"{user}-no")
        return self.decider.deny(action.id, by, reason)

    def cancel(self, action: Action, user: str, *, digest: str = "") -> Decision:
        """Somebody takes it back."""
        return self.decider.cancel(action.id, By(user, digest or action.digest, f"{user}-cancel"))

    def now_of(self, action: Action) -> Action:
        """The action as it is now."""
        found = self.store.get(action.id)
        assert found is not None
        return found


def plan(request: Any, action_id: str) -> Plan:
    """The plan of any request, the same for every action."""
    return plan_of(request.ref if hasattr(request, "ref") else request.spec.ref)
