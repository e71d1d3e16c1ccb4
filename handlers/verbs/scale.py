"""`/gateway scale`: another number of pods."""

from dataclasses import dataclass

from deploy.access import Right
from deploy.changes.kinds import SCALE
from deploy.errors import InvalidInput
from deploy.plans.requests import ScaleRequest
from handlers.actions import asking
from handlers.actions.asking import ask
from handlers.fleet import find
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.options import DECISION_OPTIONS, TAKE_OVER
from handlers.verbs.verb import Option, Verb
from handlers.views.reply import Reply


@dataclass(frozen=True)
class Needs(asking.Needs):
    """`command` is what people type in Slack."""

    command: str


def run(needs: Needs, request: Request) -> Reply | None:
    """Plan it and put the plan before those who decide."""
    if "replicas" not in request.options:
        raise InvalidInput(
            "Required: `--replicas`.",
            field="replicas",
            remedy=f"Write {needs.command} scale {request.gateway} --replicas 3.",
        )
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
    lane=Lane.PLANS,
    gateway="required",
    options=(Option("replicas", "how many pods", "N", "number"), TAKE_OVER, *DECISION_OPTIONS),
    examples=("scale edge-1 --replicas 4",),
)
