"""`/gateway cancel`: taking one's own request back."""

from deploy.access import Right
from deploy.changes.decide import By
from handlers.actions.by_text import NAMED, Needs, named, not_begun, reply_to
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views.reply import Reply
from handlers.views.words.help import Group


def run(needs: Needs, request: Request) -> Reply | None:
    """Take it back, while it has not started."""
    action = named(needs, request, not_begun, own=True)
    by = By(request.user, action.digest, request.id)
    return reply_to(needs.decider.cancel(action.id, by), f"You cancelled {action.id}.")


VERB = Verb(
    "cancel",
    "withdraws your own request before it starts",
    Needs,
    run,
    Right.CANCEL,
    group=Group.DECIDE,
    lane=Lane.DECISIONS,
    gateway="required",
    positional=NAMED,
    examples=("cancel 7K3MAB", "cancel edge-1"),
)
