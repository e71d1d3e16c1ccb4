"""From what is wanted of a gateway to an action that waits for its decision."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.actions.record import action_id
from deploy.azure import Waiting
from deploy.errors import Conflict, InvalidInput, Refused, Unavailable
from deploy.gateway import GatewayRef
from deploy.health.status import resolve
from deploy.plans.binding import plan_to_mapping
from deploy.plans.plan import Plan
from deploy.policy import Policy
from deploy.rollouts import regeneration
from deploy.rules.finding import Finding
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.spec import spec_to_mapping
from deploy.tokens.rotation import Rotation, rotation_to_mapping
from handlers.services import Services
from handlers.slack import replies
from handlers.slack.payloads import Request
from handlers.verbs.status import everywhere
from handlers.verbs.verb import Option
from handlers.views import action as action_view
from handlers.views import errors
from handlers.views.reply import Reply

DECISION_OPTIONS = (
    Option("reason", "why, for those who decide", "TEXT"),
    Option("break-glass", "go through a freeze, and why; the channel is told", "REASON"),
)
"""What every verb that changes something takes."""
_REASON_LIMIT = 500
_IN_PERSON = ("D", "U", "W")
"""How the ids of direct messages begin, and of people whose direct messages are meant."""


def check_allowed(services: Services, request: Request, ref: GatewayRef, kind: str = "") -> Policy:
    """Who decides on a change of `ref`, an action of `kind`. Refused where the requester may not
    ask for one, or where nobody may change it now."""
    for option in ("reason", "break-glass"):
        if len(str(request.options.get(option, ""))) > _REASON_LIMIT:
            raise InvalidInput(f"A reason has at most {_REASON_LIMIT} characters.", field=option)
    policy = services.gatekeeper.policy(
        ref,
        user=request.user,
        channel=request.channel,
        break_glass=_words(request, "break-glass"),
        # What a window is open for is not a key on which other gateways may depend.
        windows=kind != regeneration.KIND,
    )
    if policy.by == "approvers" and in_person(request):
        raise Refused(
            f"{ref} is changed with an approval, and here no approver would see that you ask.",
            meaning="Nothing was changed.",
            remedy="Ask in a channel that they read and this bot is in.",
        )
    if policy.break_glass and in_person(request):
        raise Refused(
            "Who goes through a freeze tells a channel, and here nobody sees it.",
            meaning="Nothing was changed.",
            remedy="Ask in a channel that this bot is in.",
        )
    return policy


def in_person(request: Request) -> bool:
    """Whether it was asked for where nobody but the requester and the bot are."""
    return request.channel.startswith(_IN_PERSON)


def told_of_waits(services: Services, request: Request) -> Waiting:
    """Tells the requester, once, why their plan takes longer, and that it follows by itself."""
    told: list[float] = []

    def tell(trouble: Unavailable, seconds: float) -> None:
        if not told:
            replies.send(
                services.slack,
                errors.waiting(trouble, seconds),
                user=request.user,
                channel=request.channel,
                response_url=request.response_url,
            )
        told.append(seconds)

    return tell


def find(services: Services, name: str) -> GatewayRef:
    """The gateway that a person means. A cluster that does not answer hides none of the others."""
    found, failed = everywhere(services)
    if not found and failed:
        raise next(iter(failed.values()))
    return resolve(name, found, failed)


def propose(
    services: Services,
    request: Request,
    spec: GatewaySpec,
    *,
    take_over: bool = False,
    notes: Sequence[str] = (),
    kind: str = "deploy",
    rotation: Rotation | None = None,
) -> Reply | None:
    """Plan what `spec` would change and put it before the requester; nothing is changed yet.

    `notes` are shown with the plan. With `rotation` the token is changed too.

    The plan is shown as the action's own message, so a reply is left only where there is nothing
    to decide, or nothing may be decided.
    """
    new_id = action_id(request.id)
    plan = services.planner.plan(spec, new_id, take_over=take_over, rotation=rotation)
    if plan.conflicts and not take_over:
        raise _owned_by_others(services, request, plan)
    if plan.empty:
        return action_view.no_change(spec)
    if plan.denied:
        return action_view.denied(plan)
    told = tuple(Finding(request.verb, "info", note, "", "") for note in notes)
    plan = dataclasses.replace(plan, findings=(*told, *plan.findings))
    more = {"rotation": rotation_to_mapping(rotation)} if rotation is not None else {}
    wait_for_decision(services, request, plan, kind=kind, take_over=take_over, more=more)
    return None


def wait_for_decision(
    services: Services,
    request: Request,
    plan: Plan,
    *,
    kind: str,
    take_over: bool = False,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Keep the plan as an action of `kind`, shown under the name of the verb that asked for it.

    `more` is what its executor needs beyond the spec, JSON-able.
    """
    new_id = action_id(request.id)
    ref = plan.spec.ref
    policy = check_allowed(services, request, ref, kind)
    approval = services.gatekeeper.environment(ref).approval
    by_approvers = approval is not None and policy.by == "approvers"
    seconds = approval.seconds if approval is not None and by_approvers else None
    window = services.windows.at(policy.window) if policy.window else None
    if window is not None:
        seconds = min(services.decision_seconds, max(1, int(window.left)))
    services.store.create(
        new_id,
        kind=kind,
        ref=ref,
        requester=request.user,
        person=services.gatekeeper.person(request.user),
        policy=policy,
        digest=plan.digest,
        request={
            "spec": spec_to_mapping(plan.spec),
            "take_over": take_over,
            "verb": request.verb,
            **(more or {}),
            "reason": _words(request, "reason"),
        },
        plan=plan_to_mapping(plan),
        origin={"channel": request.channel, "response_url": request.response_url},
        ttl_seconds=seconds or services.decision_seconds,
        request_id=request.id,
    )
    services.wake(new_id)


def listed(names: Sequence[str], limit: int = 12) -> str:
    """The names on one line, cut where there are too many."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def _words(request: Request, option: str) -> str:
    """What was given, on one line: it must not look like lines that the bot wrote."""
    return " ".join(str(request.options.get(option, "")).split())


def _owned_by_others(services: Services, request: Request, plan: Plan) -> Conflict:
    owners: dict[str, list[str]] = {}
    for conflict in plan.conflicts:
        owners.setdefault(conflict.manager, []).append(f"{conflict.kind} {conflict.path}")
    told = "; ".join(f"{who} owns {listed(what, 4)}" for who, what in owners.items())
    return Conflict(
        f"Others own fields of {plan.spec.ref} that this would change.",
        meaning=f"{told}.",
        remedy="Repeat the command with `--take-over` to change them: "
        f"`{services.command} {request.verb} … --take-over`.",
    )
