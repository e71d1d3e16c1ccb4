"""`/gateway pending`: open requests, and which of them one may decide."""

from dataclasses import dataclass

from deploy.access import Right
from deploy.actions.action import Action, State
from deploy.actions.store import ActionStore
from deploy.changes.decide import Decider
from deploy.errors import GatewayBotError
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views import approvals as view
from handlers.views.reply import Block, Reply


@dataclass(frozen=True)
class Needs:
    """Where actions are, and who decides them."""

    store: ActionStore
    decider: Decider


def run(needs: Needs, request: Request) -> Reply:
    """Open requests, and which of them this person may decide."""
    listing = needs.store.listing()
    rows = [(action, _may(needs.decider, action, request.user)) for action in listing.actions]
    return view.pending(rows, request.user, listing.unreadable)


def waiting_for(needs: Needs, user: str) -> tuple[Block, ...]:
    """For the Home tab: requests for this person's decision; nothing where that is unknown."""
    try:
        rows = [
            (action, may)
            for action in needs.store.open()
            if action.state is State.PENDING
            and ((may := _may(needs.decider, action, user)) or action.requester == user)
        ]
    except GatewayBotError:
        return ()
    return view.pending(rows, user).blocks if rows else ()


def _may(decider: Decider, action: Action, user: str) -> bool:
    """Whether an approval of this person would count; not where that cannot be read."""
    if action.policy.by != "approvers":
        return False
    try:
        return decider.would("approve", action, user) == "done"
    except GatewayBotError:
        return False


VERB = Verb(
    "pending",
    "lists pending and running requests",
    Needs,
    run,
    Right.SEE,
    lane=Lane.DECISIONS,
    examples=("pending",),
)
