"""Actions as people ask for them and decide on them: small real plans, policies and facts."""

import dataclasses
import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deploy.actions.action import Action, ChangeRequest, Outcome, State
from deploy.actions.decision import Decision, DecisionFacts, Needed
from deploy.actions.leases import GatewayLeases
from deploy.actions.store import ActionStore
from deploy.changes.kinds import KINDS, Means, Workings, codec_of
from deploy.gateway import ApimGateway, GatewayRef
from deploy.kube.cluster import Cluster
from deploy.plans.binding import plan_from_mapping, plan_to_mapping
from deploy.plans.plan import FieldChange, ObjectChange, Plan
from deploy.plans.planning import Planner
from deploy.plans.requests import (
    DeployRequest,
    EndTokenRequest,
    KeyRequest,
    ManageTokenRequest,
    RemovalRequest,
    RestartRequest,
    RollbackRequest,
    RotateRequest,
    ScaleRequest,
)
from deploy.policy import People, Policy, Requirement
from deploy.specs.gateway_spec import GatewaySpec
from deploy.tokens.rotation import Rotation
from deploy.tokens.token_plan import TokenPlan

REF = GatewayRef("west", "dev", "edge-1")
APPROVERS = People(groups=("S1",))


def workings(**means: Any) -> Mapping[str, Workings]:
    """How every kind works, by name; of the means there is only what is given."""
    named: dict[str, Any] = dict.fromkeys(field.name for field in dataclasses.fields(Means))
    with_these = Means(**(named | means))
    return {kind.name: kind.workings(with_these) for kind in KINDS}


CODEC = codec_of(KINDS)
"""What reads and writes actions of every kind there is."""


def replanning(planner: Planner, clusters: Mapping[str, Cluster]) -> Callable[[Action], Plan]:
    """What makes an action's plan once more, as executors are given it."""
    table = workings(planner=planner, clusters=clusters)
    return lambda action: table[action.kind].plan(action.request, action.id)


def spec_of(ref: GatewayRef = REF) -> GatewaySpec:
    """A gateway with two pods."""
    host = "contoso.configuration.azure-api.net"
    return GatewaySpec(
        ref=ref, apim=ApimGateway("contoso", ref.name, host), tag="2.11.1", replicas=2
    )


REQUESTS: Mapping[str, ChangeRequest] = {
    "deploy": DeployRequest(spec_of(), take_over=True),
    "rollback": RollbackRequest(spec_of(), revision=3),
    "adopt": DeployRequest(spec_of(), take_over=True),
    "scale": ScaleRequest(REF, 3),
    "restart": RestartRequest(REF, "2026-11-25T12:00:00Z", take_over=True),
    "rotate": RotateRequest(REF, Rotation("secondary", datetime.timedelta(days=20))),
    "manage-token": ManageTokenRequest(REF, "contoso", "edge-1", Rotation("secondary")),
    "end-manage-token": EndTokenRequest(REF),
    "regenerate-key": KeyRequest(REF, "secondary"),
    "delete": RemovalRequest(REF, volumes=True),
}
"""What each kind of change is asked for with."""


def plan_of(ref: GatewayRef = REF, digest: str = "d1", **changes: Any) -> Plan:
    """A plan that gives the gateway a second pod."""
    field = FieldChange("spec.replicas", 1, 2)
    fields: dict[str, Any] = {
        "spec": spec_of(ref),
        "cluster_uid": "u1",
        "objects": (),
        "changes": (ObjectChange("Deployment", ref.name, "update", (field,)),),
        "token": TokenPlan(f"{ref.name}-token-1", mint=False, expires_at=None, reason="in use"),
        "digest": digest,
    }
    return Plan(**(fields | changes))


def as_stored(plan: Plan) -> Plan:
    """The plan as whoever reads its action from Redis has it."""
    return plan_from_mapping(json.loads(json.dumps(plan_to_mapping(plan))))


def by_approvers(
    quorum: int = 1,
    people: People = APPROVERS,
    environment: str = "production",
    window: str = "",
    **more: str,
) -> Policy:
    """That many of those people decide; with `window` it stands in for them."""
    return Policy((Requirement(environment, people, quorum, window),), **more)


def facts(
    policy: Policy | None = None,
    *,
    eligible: bool = True,
    lost: Sequence[str] = (),
    **more: Any,
) -> DecisionFacts:
    """What a decision of somebody depends on who is an approver everywhere, or nowhere.

    The earlier votes of the persons in `lost` count no longer.
    """
    policy = policy or Policy()
    needed = tuple(Needed(e.environment, e.quorum, tuple(lost)) for e in policy.open)
    serves = tuple(e.environment for e in policy.open) if eligible else ()
    fields: dict[str, Any] = {"policy": policy, "serves": serves, "requirements": needed}
    return DecisionFacts(**(fields | more))


def ask(store: ActionStore, name: str = "AAAAAA", *, ttl: int = 60, **given: Any) -> Action:
    """An action that waits for its decision; by default U1's, who confirms it."""
    ref = given.get("ref", REF)
    plan = given.get("plan") or plan_of(ref)
    fields: dict[str, Any] = {
        "kind": "deploy",
        "ref": ref,
        "requester": "U1",
        "digest": plan.digest,
        "request": DeployRequest(plan.spec),
        "plan": plan,
        "origin": {"channel": "C1"},
        "ttl_seconds": ttl,
        "request_id": name,
    }
    return store.create(name, **(fields | given))


def confirm(
    store: ActionStore,
    name: str = "AAAAAA",
    *,
    by: str = "U1",
    digest: str = "d1",
    request_id: str = "",
    now: DecisionFacts | None = None,
) -> Decision:
    """Somebody confirms it, by default its requester; `now` are the facts, if not as usual."""
    request_id = request_id or f"{by}-confirms"
    now = now or _now(store, name)
    return store.confirm(name, by=by, digest=digest, request_id=request_id, facts=now)


def approve(
    store: ActionStore,
    by: str,
    name: str = "AAAAAA",
    *,
    person: str = "",
    digest: str = "d1",
    eligible: bool = True,
    request_id: str = "",
    now: DecisionFacts | None = None,
) -> Decision:
    """Somebody approves it, who is one of its approvers if `eligible`; `now` as for `confirm`."""
    return store.approve(
        name,
        by=by,
        person=person or by,
        digest=digest,
        request_id=request_id or f"{by}-yes",
        facts=now or _now(store, name, eligible=eligible),
    )


def deny(
    store: ActionStore,
    by: str,
    name: str = "AAAAAA",
    *,
    person: str = "",
    digest: str = "d1",
    eligible: bool = True,
    reason: str = "not on a Friday",
    request_id: str = "",
    now: DecisionFacts | None = None,
) -> Decision:
    """Somebody denies it, who is one of its approvers if `eligible`; `now` as for `confirm`."""
    return store.deny(
        name,
        by=by,
        person=person or by,
        digest=digest,
        reason=reason,
        request_id=request_id or f"{by}-no",
        facts=now or _now(store, name, eligible=eligible),
    )


def carried_out(
    client: Any, store: ActionStore, name: str = "AAAAAA", outcome: Outcome | None = None
) -> Action:
    """An approved action once one bot has carried it out, to that end."""
    approved = store.get(name)
    assert approved is not None
    fence = GatewayLeases(client).acquire(approved.ref, name, "bot-1", 0.001).fence
    assert store.claim(name, "bot-1", fence, 60.0)
    store.step(name, "bot-1", fence, "apply", "", f"{name}-apply")
    outcome = outcome or Outcome(State.SUCCEEDED, "2 of 2 pods ready")
    assert store.finish(name, "bot-1", fence, outcome)
    found = store.get(name)
    assert found is not None
    return found


def _now(store: ActionStore, name: str, *, eligible: bool = True) -> DecisionFacts:
    action = store.get(name)
    return facts(action.policy if action else None, eligible=eligible)


def contents(client: Any, name: str = "AAAAAA") -> Mapping[str, Any]:
    """Everything that Redis holds of an action, to be compared."""
    found = {key: client.type(key) for key in client.scan_iter(f"*{{a:{name}}}*")}
    # A hash that is dumped has its fields in any order.
    return {
        key: client.hgetall(key) if kind == "hash" else client.dump(key)
        for key, kind in found.items()
    }
