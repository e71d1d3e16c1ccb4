"""`/gateway history` and `diff`: what a gateway was, and how it differs from what was deployed."""

import time

from deploy.actions.record import action_id
from deploy.history import revisions
from deploy.installed import deployment_of, installed
from handlers.proposal import find
from handlers.services import Services
from handlers.verb import Reply, Request, Verb
from handlers.views import inspect as view


def history(services: Services, request: Request) -> Reply:
    """Every revision that the cluster still holds."""
    ref = find(services, request.gateway)
    cluster = services.clusters[ref.cluster]
    deployment = deployment_of(cluster, ref)
    known = revisions(deployment, cluster.list("ReplicaSet", ref.namespace))
    return view.history(ref, known, time.time(), services.command)


def diff(services: Services, request: Request) -> Reply:
    """What deploying the same again would change: what others have changed since."""
    ref = find(services, request.gateway)
    gateway = installed(services.clusters[ref.cluster], ref)
    plan = services.planner.plan(gateway.spec, action_id(request.id), take_over=True)
    return view.drift(plan)


HISTORY = Verb(
    "history",
    "shows a gateway's revisions, and whose action made each",
    history,
    gateway="required",
    examples=("history edge-1",),
)
DIFF = Verb(
    "diff",
    "shows how a gateway differs from what was deployed",
    diff,
    gateway="required",
    examples=("diff edge-1",),
)
