"""`/gateway history`: what a gateway was, and who did what."""

import time

from deploy.access import Right
from deploy.errors import NotFound
from deploy.observed.history import revisions
from deploy.observed.installed import deployment_of
from handlers.fleet import find
from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views import inspect as view
from handlers.views.reply import Reply

_TRAIL = 20


def run(services: Services, request: Request) -> Reply:
    """The audit trail; of one gateway with every revision that the cluster still holds. One that
    does not run any more has its trail still."""
    if not request.gateway:
        return view.trail(services.audit.read(limit=_TRAIL, steps=False))
    try:
        ref = find(services.caches, request.gateway)
        cluster = services.clusters[ref.cluster]
        deployment = deployment_of(cluster, ref)
    except NotFound:
        name = request.gateway.strip().lower()
        gone = services.audit.read(limit=_TRAIL, name=name, steps=False)
        if not gone:
            raise
        return view.trail(gone, gone=name)
    known = revisions(deployment, cluster.list("ReplicaSet", ref.namespace))
    trail = services.audit.read(ref, limit=_TRAIL, steps=False)
    return view.history(ref, known, trail, time.time(), services.command)


VERB = Verb(
    "history",
    "shows who did what; for one gateway also its revisions",
    run,
    Right.SEE,
    gateway="optional",
    examples=("history", "history edge-1"),
)
