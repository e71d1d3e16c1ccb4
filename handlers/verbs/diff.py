"""`/gateway diff`: what others changed of a gateway."""

from deploy.access import Right
from deploy.actions.record import action_id
from deploy.observed.installed import installed
from handlers.fleet import find
from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views import inspect as view
from handlers.views.reply import Reply


def run(services: Services, request: Request) -> Reply:
    """What deploying the same again would change: what others have changed since."""
    ref = find(services.caches, request.gateway)
    gateway = installed(services.clusters[ref.cluster], ref)
    plan = services.planner.plan(gateway.spec, action_id(request.id), take_over=True)
    return view.drift(plan)


VERB = Verb(
    "diff",
    "shows how a gateway differs from what was deployed",
    run,
    Right.INSPECT,
    gateway="required",
    examples=("diff edge-1",),
)
