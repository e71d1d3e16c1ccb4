"""`/gateway help`: what there is."""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.access import Right
from handlers.slack.payloads import Request
from handlers.verbs.verb import AnyVerb, Verb
from handlers.views import help as view
from handlers.views.reply import Reply


@dataclass(frozen=True)
class Needs:
    """`command` is what people type in Slack."""

    command: str


def verb(verbs: Sequence[AnyVerb]) -> Verb[Needs]:
    """The verb `help` over the other verbs, itself included."""

    def run(needs: Needs, request: Request) -> Reply:
        return view.overview(needs.command, (*verbs, itself))

    itself = Verb("help", "shows this", Needs, run, Right.SEE)
    return itself
