"""`/gateway check`: what the production rules say of a running gateway."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deploy.access import Right
from deploy.errors import GatewayBotError
from deploy.health.cache import ClusterCache
from deploy.images.catalogue import Catalogue, Stock
from deploy.images.names import image_name
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.installed import deployment_of
from deploy.observed.inventory import container_of, spec_field
from deploy.plans.planning import Planner
from handlers.fleet import find
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views import check as view
from handlers.views.reply import Reply
from handlers.views.words.help import Group

_AROUND = (
    "Service",
    "ConfigMap",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "PersistentVolumeClaim",
)


@dataclass(frozen=True)
class Needs:
    """The clusters, what knows the rules, and the image's tags and digests that some of them ask for."""

    caches: Mapping[str, ClusterCache]
    clusters: Mapping[str, Cluster]
    planner: Planner
    catalogue: Catalogue


def run(needs: Needs, request: Request) -> Reply:
    """What the production rules say of what is live, whoever installed it."""
    ref = find(needs.caches, request.gateway)
    cluster = needs.clusters[ref.cluster]
    deployment = deployment_of(cluster, ref)
    around = cluster.at_once([_listing(cluster, kind, ref.namespace) for kind in _AROUND])
    found = needs.planner.check(
        ref,
        [deployment, *(item for items in around for item in items)],
        instance=spec_field(deployment, "apim", "instance"),
        tags=_tags(needs.catalogue),
        stock=_stock(needs.catalogue, deployment),
    )
    return view.findings(ref, found)


def _listing(cluster: Cluster, kind: str, namespace: str) -> Callable[[], list[Manifest]]:
    return lambda: cluster.list(kind, namespace)


def _stock(catalogue: Catalogue, deployment: Manifest) -> Stock:
    image = image_name(str(container_of(deployment).get("image", "")))
    return catalogue.stock(image.repository, image.tag, image.digest)


def _tags(catalogue: Catalogue) -> Sequence[str]:
    """A registry that does not answer only leaves a rule or two undecided."""
    try:
        return catalogue.released()
    except GatewayBotError:
        return ()


VERB = Verb(
    "check",
    "checks a running gateway against the production rules",
    Needs,
    run,
    Right.INSPECT,
    group=Group.LOOK,
    alone=True,
    gateway="required",
    examples=("check edge-1", "check legacy-9"),
)
