"""`/gateway whoami`: what one may do here, and why."""

from dataclasses import dataclass

from deploy.access import Right
from deploy.changes.authority import Authority
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views import whoami as view
from handlers.views.reply import Reply
from handlers.views.words.help import Group


@dataclass(frozen=True)
class Needs:
    """Who may do what."""

    authority: Authority


def run(needs: Needs, request: Request) -> Reply:
    """Ask what the person is in this workspace, what they may do in each environment, and which
    approval windows are open for them."""
    authority = needs.authority
    return view.powers(
        authority.powers(request.user, request.channel),
        authority.windows_for(request.user),
        request.user,
        authority.standing(request.user),
    )


VERB = Verb(
    "whoami",
    "shows what you may do here, and why",
    Needs,
    run,
    Right.SEE,
    group=Group.YOU,
    lane=Lane.DECISIONS,
    alone=True,
    examples=("whoami",),
)
