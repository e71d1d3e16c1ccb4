"""`/gateway history`: what a gateway was, and who did what."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.access import Right
from deploy.actions.audit import AuditLog
from deploy.errors import NotFound
from deploy.health.cache import ClusterCache
from deploy.kube.cluster import Cluster
from deploy.observed.history import revisions
from deploy.observed.installed import deployment_of
from handlers.fleet import find
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views import history as view
from handlers.views.reply import Reply

_TRAIL = 20


@dataclass(frozen=True)
class Needs:
    """Where the trail is, and the clusters."""

    audit: AuditLog
    caches: Mapping[str, ClusterCache]
    clusters: Mapping[str, Cluster]
    command: str


def run(needs: Needs, request: Request) -> Reply:
    """The audit trail; of one gateway with every revision that the cluster still holds. One that
    no longer runs still has its trail."""
    if not request.gateway:
        return view.trail(needs.audit.read(limit=_TRAIL, steps=False))
    try:
        ref = find(needs.caches, request.gateway)
        cluster = needs.clusters[ref.cluster]
        deployment = deployment_of(cluster, ref)
    except NotFound:
        name = request.gateway.strip().lower()
        gone = needs.audit.read(limit=_TRAIL, name=name, steps=False)
        if not gone:
            raise
        return view.trail(gone, gone=name)
    known = revisions(deployment, cluster.list("ReplicaSet", ref.namespace))
    trail = needs.audit.read(ref, limit=_TRAIL, steps=False)
    return view.revisions(ref, known, trail, time.time(), needs.command)


VERB = Verb(
    "history",
    "shows who did what; for one gateway also its revisions",
    Needs,
    run,
    Right.SEE,
    gateway="optional",
    examples=("history", "history edge-1"),
)
