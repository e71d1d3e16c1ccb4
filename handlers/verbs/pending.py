"""`/gateway pending`: what waits or runs, and what of it one may decide."""

from deploy.access import Right
from deploy.actions.record import Action, State
from deploy.errors import GatewayBotError
from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views import approvals as view
from handlers.views.reply import Block, Reply


def run(services: Services, request: Request) -> Reply:
    """What waits for a decision or is under way, and what of it this person may decide."""
    listing = services.store.listing()
    rows = [(action, _may(services, action, request.user)) for action in listing.actions]
    return view.pending(rows, request.user, listing.unreadable)


def waiting_for(services: Services, user: str) -> tuple[Block, ...]:
    """For the Home tab: what waits for this person's decision; nothing where that is unknown."""
    try:
        rows = [
            (action, may)
            for action in services.store.open()
            if action.state is State.PENDING
            and ((may := _may(services, action, user)) or action.requester == user)
        ]
    except GatewayBotError:
        return ()
    return view.pending(rows, user).blocks if rows else ()


def _may(services: Services, action: Action, user: str) -> bool:
    """Whether an approval of this person would count."""
    return action.policy.by == "approvers" and (
        services.decider.would("approve", action, user) == "done"
    )


VERB = Verb(
    "pending",
    "lists what waits for a decision or is under way",
    run,
    Right.SEE,
    examples=("pending",),
)
