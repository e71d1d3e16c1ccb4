"""`/gateway pending`: open requests, and which of them one may decide."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from deploy.access import Right
from deploy.actions.action import Action
from deploy.actions.store import ActionStore
from deploy.changes.authority import Authority
from deploy.changes.decide import Decider
from deploy.errors import GatewayBotError
from handlers.actions.allowing import allowed
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views import approvals as view
from handlers.views.allowed import Allowed, sorted_for
from handlers.views.reply import Reply
from handlers.views.words.help import Group


@dataclass(frozen=True)
class Needs:
    """Where actions are, who decides them, and where gateways are."""

    store: ActionStore
    decider: Decider
    authority: Authority


def run(needs: Needs, request: Request) -> Reply:
    """Open requests, and which of them this person may decide."""
    listing = needs.store.listing()
    user = request.user
    deciding = {action.id for action in decidable(needs, listing.actions, user)}
    rows = sorted_for(user, [(each, _counted(each, deciding)) for each in listing.actions])
    # Why one may do no more takes a trip to Redis for each: it is asked only for those that are shown.
    shown = [(action, _allowed(needs, action, user)) for action, _ in rows[: view.SHOWN]]
    environment_of = needs.authority.environment
    return view.pending(
        [*shown, *rows[view.SHOWN :]], user, listing.unreadable, environment_of, more=listing.more
    )


def decidable(needs: Needs, actions: Sequence[Action], user: str) -> tuple[Action, ...]:
    """Those of the open actions that this person may decide now: approve them for others, or
    confirm their own. None where that cannot be read: each can still be opened and tried."""
    try:
        return needs.decider.decidable(actions, user)
    except GatewayBotError:
        return ()


def _counted(action: Action, deciding: Collection[str]) -> Allowed:
    return Allowed(frozenset(), decides=action.id in deciding)


def _allowed(needs: Needs, action: Action, user: str) -> Allowed:
    return allowed(needs.decider, needs.authority, action, user)


VERB = Verb(
    "pending",
    "lists pending and running requests",
    Needs,
    run,
    Right.SEE,
    group=Group.DECIDE,
    lane=Lane.DECISIONS,
    alone=True,
    examples=("pending",),
)
