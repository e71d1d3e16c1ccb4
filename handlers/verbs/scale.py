"""`/gateway scale`: another number of pods."""

from deploy.access import Right
from deploy.changes.kinds import SCALE
from deploy.plans.requests import ScaleRequest
from handlers.actions.asking import Needs, ask
from handlers.fleet import find
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.options import DECISION_OPTIONS, TAKE_OVER
from handlers.verbs.verb import Option, Verb
from handlers.views.reply import Reply
from handlers.views.words.help import Group


def run(needs: Needs, request: Request) -> Reply | None:
    """Plan it and put the plan before those who decide."""
    ref = find(needs.caches, request.gateway)
    take_over = bool(request.options.get("take-over"))
    wanted = ScaleRequest(ref, int(request.options["replicas"]), take_over)
    return ask(needs.proposer, request, SCALE, wanted, ref)


VERB = Verb(
    SCALE,
    "changes how many pods a gateway has",
    Needs,
    run,
    Right.ASK,
    group=Group.CHANGE,
    lane=Lane.PLANS,
    gateway="required",
    options=(
        Option("replicas", "how many pods", "number", "number", required=True),
        TAKE_OVER,
        *DECISION_OPTIONS,
    ),
    examples=("scale edge-1 --replicas 4",),
)
