"""`/gateway history`, `diff` and `check`: what a gateway was, what others changed, what rules say."""

import datetime
import time
from collections.abc import Callable, Sequence

from deploy import rules
from deploy.access import environment_of
from deploy.actions.record import action_id
from deploy.errors import GatewayBotError, NotFound
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.history import revisions
from deploy.observed.installed import deployment_of, installed
from handlers.actions.proposal import find
from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views import inspect as view
from handlers.views.reply import Reply


def history(services: Services, request: Request) -> Reply:
    """The audit trail; of one gateway with every revision that the cluster still holds. One that
    does not run any more has its trail still."""
    if not request.gateway:
        return view.trail(services.audit.read(limit=_TRAIL, steps=False))
    try:
        ref = find(services, request.gateway)
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


def diff(services: Services, request: Request) -> Reply:
    """What deploying the same again would change: what others have changed since."""
    ref = find(services, request.gateway)
    gateway = installed(services.clusters[ref.cluster], ref)
    plan = services.planner.plan(gateway.spec, action_id(request.id), take_over=True)
    return view.drift(plan)


def check(services: Services, request: Request) -> Reply:
    """What the production rules say of what is live, whoever installed it."""
    ref = find(services, request.gateway)
    cluster = services.clusters[ref.cluster]
    deployment = deployment_of(cluster, ref)
    around = cluster.at_once([_listing(cluster, kind, ref.namespace) for kind in _AROUND])
    environment = environment_of(ref, services.environments)
    facts = rules.Facts(production=environment.production, tags=tuple(_tags(services)))
    found = rules.check(
        [deployment, *(item for items in around for item in items)],
        facts,
        environment.exemptions,
        environment.severities,
        today=datetime.datetime.now(datetime.UTC).date(),
    )
    return view.findings(ref, found)


_TRAIL = 20
_AROUND = (
    "Service",
    "ConfigMap",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "PersistentVolumeClaim",
)


def _listing(cluster: Cluster, kind: str, namespace: str) -> Callable[[], list[Manifest]]:
    return lambda: cluster.list(kind, namespace)


def _tags(services: Services) -> Sequence[str]:
    """A registry that does not answer leaves a rule or two undecided, no more."""
    try:
        return services.registry.tags()
    except GatewayBotError:
        return ()


HISTORY = Verb(
    "history",
    "shows who did what; for one gateway also its revisions",
    history,
    gateway="optional",
    examples=("history", "history edge-1"),
)
DIFF = Verb(
    "diff",
    "shows how a gateway differs from what was deployed",
    diff,
    gateway="required",
    examples=("diff edge-1",),
)
CHECK = Verb(
    "check",
    "holds a running gateway against the production rules",
    check,
    gateway="required",
    examples=("check edge-1", "check legacy-9"),
)
