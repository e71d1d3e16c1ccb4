"""`/gateway whoami`: what one may do here, and why."""

from handlers.services import Services
from handlers.verb import Reply, Request, Verb
from handlers.views import approvals as view


def run(services: Services, request: Request) -> Reply:
    """Ask Slack who the person is now, and the settings what that allows."""
    return view.rights(services.gatekeeper.rights(request.user, request.channel), request.user)


VERB = Verb("whoami", "says what you may do here, and why", run, examples=("whoami",))
