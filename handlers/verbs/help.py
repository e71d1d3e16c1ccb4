"""`/gateway help`: what there is."""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.access import Right
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.verb import AnyVerb, Verb
from handlers.views import help as view
from handlers.views.reply import Reply
from handlers.views.words.help import Group


@dataclass(frozen=True)
class Needs:
    """`command` is what people type in Slack, `verbs` what may follow it."""

    command: str
    verbs: Sequence[AnyVerb]


def run(needs: Needs, request: Request) -> Reply:
    """Every verb that this bot knows, itself included."""
    return view.overview(needs.command, needs.verbs)


VERB = Verb(
    "help",
    "shows this list, or how one command is used",
    Needs,
    run,
    Right.SEE,
    group=Group.YOU,
    lane=Lane.DECISIONS,
    synonyms=("?", "-h", "--help", "usage"),
)
