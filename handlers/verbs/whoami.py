"""`/gateway whoami`: what one may do here, and why."""

from deploy.access import Right
from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views import whoami as view
from handlers.views.reply import Reply


def run(services: Services, request: Request) -> Reply:
    """Ask what the person is in this workspace, what they may do in each environment, and which
    approval windows are open for them."""
    authority = services.authority
    return view.powers(
        authority.powers(request.user, request.channel),
        authority.windows_for(request.user),
        request.user,
        authority.standing(request.user),
    )


VERB = Verb("whoami", "says what you may do here, and why", run, Right.SEE, examples=("whoami",))
