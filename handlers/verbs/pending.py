"""`/gateway pending`: what waits or runs, and what of it one may decide."""

from collections.abc import Sequence
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
from handlers.views.reply import Reply


@dataclass(frozen=True)
class Needs:
    """Where actions are, and who decides on them."""

    store: ActionStore
    decider: Decider


def run(needs: Needs, request: Request) -> Reply:
    """What waits for a decision or is under way, and what of it this person may decide."""
    listing = needs.store.listing()
    rows = [(action, _may(needs.decider, action, request.user)) for action in listing.actions]
    return view.pending(rows, request.user, listing.unreadable)


def decidable(needs: Needs, actions: Sequence[Action], user: str) -> tuple[Action, ...]:
    """Those of the open actions that this person may decide on now: approve them for others, or
    confirm their own."""
    return tuple(
        action
        for action in actions
        if action.state is State.PENDING
        and (_may(needs.decider, action, user) or _own(action, user))
    )


def _own(action: Action, user: str) -> bool:
    return action.policy.by == "requester" and action.requester == user


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
    "lists what waits for a decision or is under way",
    Needs,
    run,
    Right.SEE,
    lane=Lane.DECISIONS,
    examples=("pending",),
)
