"""`/gateway help`: what there is."""

from collections.abc import Sequence

from deploy.access import Right
from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views import help as view
from handlers.views.reply import Reply


def verb(verbs: Sequence[Verb]) -> Verb:
    """The verb `help` over the other verbs, itself included."""

    def run(services: Services, request: Request) -> Reply:
        return view.overview(services.command, (*verbs, itself))

    itself = Verb("help", "shows this", run, Right.SEE)
    return itself
