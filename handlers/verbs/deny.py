"""`/gateway deny`: saying no by text."""

from deploy.access import Right
from deploy.changes.decide import By
from handlers.actions.by_text import NAMED, Needs, awaits_approval, named, reply_to
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.verb import Option, Verb
from handlers.views.reply import Reply
from handlers.views.words.help import Group


def run(needs: Needs, request: Request) -> Reply | None:
    """Deny it, for a reason."""
    action = named(needs, request, awaits_approval, own=False)
    by = By(request.user, action.digest, request.id)
    decision = needs.decider.deny(action.id, by, str(request.options.get("reason", "")))
    return reply_to(decision, f"You denied {action.id}.")


VERB = Verb(
    "deny",
    "denies a request for good; a reason is required",
    Needs,
    run,
    Right.DECIDE,
    group=Group.DECIDE,
    lane=Lane.DECISIONS,
    gateway="required",
    positional=NAMED,
    options=(Option("reason", "why", "text", required=True),),
    synonyms=("reject", "disapprove", "refuse"),
    examples=('deny edge-1 --reason "not before the weekend"',),
)
