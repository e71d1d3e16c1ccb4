"""`/gateway pending`, `approve`, `deny` and `cancel`: what waits, and deciding on it by text."""

from deploy.actions.record import Action, State
from deploy.actions.store import Decision
from deploy.errors import GatewayBotError, InvalidInput, NotFound
from handlers.actions import decisions
from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs.verb import Option, Verb
from handlers.views import action as action_view
from handlers.views import approvals as view
from handlers.views.reply import Block, Reply

_SHORTEST = 8
"""Of a plan's digest: as many characters as nobody meets by chance."""


def pending(services: Services, request: Request) -> Reply:
    """What waits for a decision or is under way, and what of it this person may decide."""
    return view.pending(_open(services, request.user), request.user)


def waiting_for(services: Services, user: str) -> tuple[Block, ...]:
    """For the Home tab: what waits for this person's decision; nothing where that is unknown."""
    try:
        rows = [
            (action, may)
            for action, may in _open(services, user)
            if action.state is State.PENDING and (may or action.requester == user)
        ]
    except GatewayBotError:
        return ()
    return view.pending(rows, user).blocks if rows else ()


def _open(services: Services, user: str) -> list[tuple[Action, bool]]:
    gatekeeper = services.gatekeeper
    return [
        (
            action,
            gatekeeper.person(action.requester) != gatekeeper.person(user)
            and gatekeeper.may_decide(action, user).allowed,
        )
        for action in services.store.open()
    ]


def approve(services: Services, request: Request) -> Reply | None:
    """Approve what was shown: with the digest of its plan, else the plan is shown with a button."""
    action = _action(services, request)
    given = str(request.options.get("plan", "")).lower()
    if not given:
        return view.plan_to_approve(action)
    if len(given) < _SHORTEST:
        raise InvalidInput(
            f"`--plan` takes at least {_SHORTEST} characters of the plan's digest.",
            field="plan",
            remedy="It stands below the plan.",
        )
    digest = action.digest if action.digest.startswith(given) else given
    decide = decisions.approved if action.policy.by == "approvers" else decisions.confirmed
    decision = decide(services, action.id, request.user, digest, request.id)
    return _told(services, decision, f"You approved {action.id}.")


def deny(services: Services, request: Request) -> Reply | None:
    """Deny it, for a reason."""
    action = _action(services, request)
    reason = decisions.checked_reason(str(request.options.get("reason", "")))
    decision = decisions.denied(
        services, action.id, request.user, action.digest, reason, request.id
    )
    return _told(services, decision, f"You denied {action.id}.")


def cancel(services: Services, request: Request) -> Reply | None:
    """Take one's own request back."""
    action = _action(services, request)
    decision = services.store.cancel(
        action.id, by=request.user, digest=action.digest, request_id=request.id
    )
    return _told(services, decision, f"You took {action.id} back.")


def _action(services: Services, request: Request) -> Action:
    name = request.gateway.upper()
    action = services.store.get(name)
    if action is None:
        raise NotFound(
            f"There is no request “{request.gateway[:20]}”.",
            meaning="The ID is misspelt, or the request was too old, or the bot's store was emptied.",
            remedy=f"`{services.command} pending` lists what waits.",
        )
    return action


def _told(services: Services, decision: Decision, said: str) -> Reply:
    if decision.action is not None:
        services.wake(decision.action.id)
    if decision.counted:
        return Reply(said)
    return action_view.refused(decision.result, decision.action)


PENDING = Verb(
    "pending",
    "lists what waits for a decision or is under way",
    pending,
    examples=("pending",),
)
APPROVE = Verb(
    "approve",
    "approves a request; shows its plan first, unless you name the plan",
    approve,
    gateway="required",
    positional="ID",
    options=(Option("plan", "the first characters of the plan's digest, as shown", "DIGEST"),),
    examples=("approve 7K3MAB", "approve 7K3MAB --plan 5d1c02aa91ff"),
)
DENY = Verb(
    "deny",
    "denies a request, for a reason; that is final",
    deny,
    gateway="required",
    positional="ID",
    options=(Option("reason", "why", "TEXT"),),
    examples=('deny 7K3MAB --reason "not before the weekend"',),
)
CANCEL = Verb(
    "cancel",
    "takes your own request back before it begins",
    cancel,
    gateway="required",
    positional="ID",
    examples=("cancel 7K3MAB",),
)
