"""What asks for changes and decides on them, whole, over one Redis; only the plans are given."""

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from deploy.access import Approval, Environment, Ground
from deploy.actions.action import Action
from deploy.actions.batches import Batches
from deploy.actions.decision import Decision
from deploy.actions.pauses import Pause
from deploy.actions.store import ActionStore
from deploy.changes.decide import By, Decider
from deploy.changes.kinds import KINDS, by_name
from deploy.changes.policies import Governing, Policies
from deploy.changes.propose import Ask, Proposal, ProposalSettings, Proposer
from deploy.changes.refusal import NotAllowed
from deploy.gateway import GatewayRef
from deploy.governance.requirements import GoverningEnvironment as GoverningEnvironment
from deploy.governance.requirements import TokenAuthority
from deploy.plans.plan import Plan
from deploy.plans.requests import ScaleRequest
from tests.support.actions import APPROVERS, CODEC, REF, plan_of, workings
from tests.support.authority import People, authority
from tests.support.windows import windows_of

PROD = GatewayRef("west", "prod", "edge-1")
PRODUCTION = Environment(
    "production", namespaces=("prod",), production=True, approval=Approval(APPROVERS)
)
DEVELOPMENT = Environment("development", namespaces=("dev",))


class Groups(People):
    """Who is in which group, at this moment; or nobody says."""

    def __init__(self, **members: Sequence[str]) -> None:
        super().__init__(dict(members))

    @property
    def members(self) -> dict[str, Sequence[str]]:
        """The user ids by group; a test changes them."""
        return self.groups  # type: ignore[return-value]


def nobody_else(plan: Plan, *, regenerates: bool = False) -> TokenAuthority:
    """The target alone decides."""
    return TokenAuthority(())


def governed_by(*environments: str) -> Governing:
    """Those environments decide too."""

    def required(plan: Plan, *, regenerates: bool = False) -> TokenAuthority:
        return TokenAuthority(tuple(GoverningEnvironment(name, ()) for name in environments))

    return required


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
        governing: Governing = nobody_else,
    ) -> None:
        self.environments = environments or (PRODUCTION, DEVELOPMENT)
        self.groups = groups or Groups(S1=("U2", "U3"))
        self.store = ActionStore(client, CODEC)
        self.batches = Batches(client)
        self.windows = windows_of(client)
        self.plans: Callable[[Any, str], Plan] = plan
        self.may_ask: Callable[[GatewayRef, str, str], None] = lambda ref, user, channel: None
        self.now = datetime.datetime.now(datetime.UTC)
        self.pauses: list[Pause] = []
        self.renewed: list[tuple[str, str]] = []
        self.woken: list[str] = []
        self.kinds = by_name(KINDS)
        self.workings = {
            name: dataclasses.replace(
                each, plan=lambda request, new_id: self.plans(request, new_id)
            )
            for name, each in workings().items()
        }
        self.authority = authority(
            *self.environments,
            people=self.groups,
            identities=people,
            windows=self.windows,
            clock=lambda: self.now,
            pauses=self.pauses,
        )
        self.policies = Policies(
            self.environments,
            self.kinds,
            self.authority,
            self.windows,
            governing,
            clock=lambda: self.now,
        )
        self.proposer = Proposer(
            self.store,
            self.kinds,
            self.workings,
            self.policies,
            self.windows,
            lambda ref, user, channel: self.may_ask(ref, user, channel),
            ProposalSettings(self.environments, 900, self.authority.person),
            self.woken.append,
        )
        self.decider = Decider(
            self.store, self.policies, self._renew, self.authority, self.woken.append
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

    def refused(self, choice: Callable[..., Decision], action: Action, user: str) -> Ground:
        """Why somebody may not decide so; they are refused, and nothing changes."""
        before = self.now_of(action)
        with pytest.raises(NotAllowed) as refused:
            choice(action, user)
        assert self.now_of(action) == before
        return refused.value.verdict.reason

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
