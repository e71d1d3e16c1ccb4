"""`/gateway scale`: another number of pods."""

from deploy.access import Right
from deploy.changes.kinds import SCALE
from deploy.errors import InvalidInput
from deploy.plans.requests import ScaleRequest
from handlers.actions.asking import ask
from handlers.fleet import find
from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs.options import DECISION_OPTIONS, TAKE_OVER
from handlers.verbs.verb import Option, Verb
from handlers.views.reply import Reply


def run(services: Services, request: Request) -> Reply | None:
    """Plan it and put the plan before those who decide."""
    if "replicas" not in request.options:
        raise InvalidInput(
            "Required: `--replicas`.",
            field="replicas",
            remedy=f"Write {services.command} scale {request.gateway} --replicas 3.",
        )
    ref = find(services.caches, request.gateway)
    take_over = bool(request.options.get("take-over"))
    wanted = ScaleRequest(ref, int(request.options["replicas"]), take_over)
    return ask(services, request, SCALE, wanted, ref)


VERB = Verb(
    SCALE,
    "changes how many pods a gateway has",
    run,
    Right.ASK,
    gateway="required",
    options=(Option("replicas", "how many pods", "N", "number"), TAKE_OVER, *DECISION_OPTIONS),
    examples=("scale edge-1 --replicas 4",),
)
