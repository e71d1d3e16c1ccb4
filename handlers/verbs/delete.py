"""`/gateway delete`: shows what would be deleted, and waits for the decision."""

from deploy.access import Right
from deploy.changes.kinds import DELETE
from deploy.plans.requests import RemovalRequest
from handlers.actions.asking import Needs, ask
from handlers.fleet import find
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.options import DECISION_OPTIONS
from handlers.verbs.verb import Option, Verb
from handlers.views.reply import Reply
from handlers.views.words.help import Group


def run(needs: Needs, request: Request) -> Reply | None:
    """Put everything that would be deleted before those who decide."""
    ref = find(needs.caches, request.gateway)
    wanted = RemovalRequest(ref, bool(request.options.get("with-volumes")))
    return ask(needs.proposer, request, DELETE, wanted, ref)


VERB = Verb(
    DELETE,
    "deletes a gateway from its cluster; volumes are kept unless you ask",
    Needs,
    run,
    Right.ASK,
    group=Group.CHANGE,
    lane=Lane.PLANS,
    gateway="required",
    options=(
        Option("with-volumes", "also delete its configuration backup's volume", kind="flag"),
        *DECISION_OPTIONS,
    ),
    examples=("delete edge-1", "delete west/dev/edge-1 --with-volumes"),
    synonyms=("remove", "rm", "uninstall"),
)
