"""`/gateway diff`: what others changed of a gateway."""

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.access import Right
from deploy.actions.action import action_id
from deploy.health.cache import ClusterCache
from deploy.kube.cluster import Cluster
from deploy.observed.installed import installed
from deploy.plans.planning import Planner
from handlers.fleet import find
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views import diff as view
from handlers.views.reply import Reply
from handlers.views.words.help import Group


@dataclass(frozen=True)
class Needs:
    """The clusters, and what plans."""

    caches: Mapping[str, ClusterCache]
    clusters: Mapping[str, Cluster]
    planner: Planner


def run(needs: Needs, request: Request) -> Reply:
    """What deploying the same again would change: what others have changed since."""
    ref = find(needs.caches, request.gateway)
    gateway = installed(needs.clusters[ref.cluster], ref)
    plan = needs.planner.plan(gateway.spec, action_id(request.id), take_over=True, counts=True)
    return view.drift(plan)


VERB = Verb(
    "diff",
    "shows how a gateway differs from what was deployed",
    Needs,
    run,
    Right.INSPECT,
    group=Group.LOOK,
    alone=True,
    gateway="required",
    examples=("diff edge-1",),
)
