"""`/gateway help`: what there is."""

from collections.abc import Sequence

from handlers.services import Services
from handlers.verb import Reply, Request, Verb
from handlers.views import help as view


def verb(verbs: Sequence[Verb]) -> Verb:
    """The verb `help` over the other verbs, itself included."""

    def run(services: Services, request: Request) -> Reply:
        return view.overview(services.command, (*verbs, itself))

    itself = Verb("help", "shows this", run)
    return itself
