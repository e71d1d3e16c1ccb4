"""`/gateway check`: what the production rules say of a running gateway."""

from collections.abc import Callable, Sequence

from deploy.access import Right
from deploy.errors import GatewayBotError
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.installed import deployment_of
from deploy.observed.inventory import spec_field
from handlers.fleet import find
from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views import inspect as view
from handlers.views.reply import Reply

_AROUND = (
    "Service",
    "ConfigMap",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "PersistentVolumeClaim",
)


def run(services: Services, request: Request) -> Reply:
    """What the production rules say of what is live, whoever installed it."""
    ref = find(services.caches, request.gateway)
    cluster = services.clusters[ref.cluster]
    deployment = deployment_of(cluster, ref)
    around = cluster.at_once([_listing(cluster, kind, ref.namespace) for kind in _AROUND])
    found = services.planner.check(
        ref,
        [deployment, *(item for items in around for item in items)],
        instance=spec_field(deployment, "apim", "instance"),
        tags=_tags(services),
    )
    return view.findings(ref, found)


def _listing(cluster: Cluster, kind: str, namespace: str) -> Callable[[], list[Manifest]]:
    return lambda: cluster.list(kind, namespace)


def _tags(services: Services) -> Sequence[str]:
    """A registry that does not answer leaves a rule or two undecided, no more."""
    try:
        return services.registry.tags()
    except GatewayBotError:
        return ()


VERB = Verb(
    "check",
    "holds a running gateway against the production rules",
    run,
    Right.INSPECT,
    gateway="required",
    examples=("check edge-1", "check legacy-9"),
)
