"""`/gateway whoami`: what one may do here, and why."""

from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views import approvals as view
from handlers.views.reply import Reply


def run(services: Services, request: Request) -> Reply:
    """Ask Slack who the person is now, the settings what that allows, and the store which approval
    windows are open for them."""
    return view.rights(
        services.gatekeeper.rights(request.user, request.channel),
        services.windows.open_for(request.user),
        request.user,
    )


VERB = Verb("whoami", "says what you may do here, and why", run, examples=("whoami",))
