"""The one place where an action's body becomes JSON and an action again.

Bots of two versions share one Redis during an upgrade, so a body carries its version. One that is
newer than this bot is left alone; one from before bodies had a version is read as what it meant.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from deploy.actions.action import ChangeRequest, Denial
from deploy.errors import GatewayBotError
from deploy.gateway import GatewayRef
from deploy.plans.binding import plan_from_mapping, plan_to_mapping
from deploy.plans.plan import Plan
from deploy.policy import Policy, policy_from_mapping, policy_to_mapping
from deploy.specs.spec import spec_from_mapping

VERSION = 1


class RequestType(Protocol):
    """The type of a kind's requests."""

    def from_mapping(self, data: Mapping[str, Any]) -> ChangeRequest:
        """The request that its `to_mapping` wrote."""


class Unreadable(GatewayBotError):
    """A record that this bot cannot read: a newer one wrote it, or it is damaged.

    `reported` says whether the log has it already.
    """

    def __init__(self, name: str, why: str) -> None:
        super().__init__(
            f"{name} cannot be read by this version of the bot: {why}.",
            meaning="The bot does not touch it.",
            remedy="Run the same version of the bot everywhere.",
        )
        self.name = name
        self.reported = False


@dataclass(frozen=True)
class Body:
    """What of an action never changes. The fields are those of `Action`."""

    kind: str
    ref: GatewayRef
    policy: Policy
    request: ChangeRequest
    plan: Plan
    origin: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""
    automatic: bool = False
    denied: Denial | None = None
    batch: str = ""


class Codec:
    """Bodies of actions of the kinds whose request types are given by name."""

    def __init__(self, requests: Mapping[str, RequestType]) -> None:
        self._requests = requests

    def encode(self, body: Body) -> str:
        """The body as text."""
        return json.dumps(
            {
                "version": VERSION,
                "kind": body.kind,
                "ref": asdict(body.ref),
                "policy": policy_to_mapping(body.policy),
                "request": body.request.to_mapping(),
                "plan": plan_to_mapping(body.plan),
                "origin": dict(body.origin),
                "why": body.why,
                "automatic": body.automatic,
                "batch": body.batch,
                **_denial(body.denied),
            }
        )

    def decode(self, name: str, text: str) -> Body:
        """The body of the action of that name. Unreadable where this bot cannot read it."""
        try:
            data = json.loads(text)
            version = int(data.get("version", 0))
            if version > VERSION:
                raise Unreadable(name, f"it is of version {version}")
            if version == 0:
                data = _upgraded(data)
            if data["kind"] not in self._requests:
                raise Unreadable(name, f"“{data['kind']}” is an unknown kind of change")
            return Body(
                kind=data["kind"],
                ref=GatewayRef(**data["ref"]),
                policy=policy_from_mapping(data["policy"]),
                request=self._requests[data["kind"]].from_mapping(data["request"]),
                plan=plan_from_mapping(data["plan"]),
                origin=data["origin"],
                why=data["why"],
                automatic=data["automatic"],
                denied=Denial(**data["denied"], **(data.get("denied_request") or {}))
                if data["denied"]
                else None,
                batch=data.get("batch", ""),
            )
        except Unreadable:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, GatewayBotError) as error:
            raise Unreadable(name, f"it is damaged ({type(error).__name__})") from error


def _denial(denied: Denial | None) -> dict[str, Any]:
    """In two fields: older bots read the first one, which has only what they know."""
    if denied is None:
        return {"denied": None}
    return {
        "denied": {"by": denied.by, "reason": denied.reason, "at": denied.at},
        "denied_request": {"requester": denied.requester, "action": denied.action},
    }


def _upgraded(data: Mapping[str, Any]) -> dict[str, Any]:
    """A body written before there were versions, in the form of version 1.

    A scale, a restart, a rollback and an adoption were kept as deployments of another verb, with
    the whole spec that they came to.
    """
    request, plan = data["request"], data["plan"]
    ref, spec = data["ref"], spec_from_mapping(plan["spec"])
    kind = request.get("verb", data["kind"]) if data["kind"] == "deploy" else data["kind"]
    claims = any(change["kind"] == "PersistentVolumeClaim" for change in plan["changes"])
    return {
        **data,
        "kind": kind,
        "request": {
            **request,
            "ref": ref,
            "replicas": spec.replicas,
            "at": spec.rollout.restarted_at,
            "volumes": claims,
        },
        "why": request.get("reason", ""),
        "automatic": bool(request.get("automatic")),
        "denied": None,
    }
