"""`/gateway delete`: shows what would go, and waits for the decision."""

from deploy.errors import NotFound
from deploy.observed.installed import installed
from deploy.rollouts.removal import removal_plan
from handlers.actions.proposal import DECISION_OPTIONS, check_allowed, find, wait_for_decision
from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs.verb import Option, Verb
from handlers.views.reply import Reply


def run(services: Services, request: Request) -> Reply | None:
    """Put everything that would be deleted before the requester."""
    ref = find(services, request.gateway)
    check_allowed(services, request, ref)
    cluster = services.clusters[ref.cluster]
    plan = removal_plan(
        cluster, installed(cluster, ref), volumes=bool(request.options.get("with-volumes"))
    )
    if not plan.changes:
        raise NotFound(f"Nothing of {ref} is there any more.")
    wait_for_decision(services, request, plan, kind="delete")
    return None


VERB = Verb(
    "delete",
    "deletes a gateway from its cluster; volumes only when told",
    run,
    gateway="required",
    options=(
        Option("with-volumes", "also delete its configuration backup's volume", kind="flag"),
        *DECISION_OPTIONS,
    ),
    examples=("delete edge-1", "delete west/dev/edge-1 --with-volumes"),
)
