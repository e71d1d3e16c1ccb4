"""`/gateway cancel`: taking one's own request back."""

from deploy.access import Right
from deploy.changes.decide import By
from handlers.actions.by_text import named, reply_to
from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views.reply import Reply


def run(services: Services, request: Request) -> Reply | None:
    """Take it back, while it has not begun."""
    action = named(services, request)
    by = By(request.user, action.digest, request.id)
    return reply_to(services.decider.cancel(action.id, by), f"You took {action.id} back.")


VERB = Verb(
    "cancel",
    "takes your own request back before it begins",
    run,
    Right.CANCEL,
    gateway="required",
    positional="ID",
    examples=("cancel 7K3MAB",),
)
