"""`/gateway rollback`: what an earlier revision was deployed with, on as many pods as run now."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.access import Right
from deploy.changes.kinds import ROLLBACK
from deploy.errors import Conflict
from deploy.kube.cluster import Cluster
from deploy.observed.history import chosen, revisions
from deploy.observed.installed import installed
from deploy.plans.requests import DeployRequest
from deploy.specs.spec import spec_from_mapping, spec_to_mapping
from handlers.actions import asking
from handlers.actions.asking import ask
from handlers.fleet import find
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.options import DECISION_OPTIONS, TAKE_OVER
from handlers.verbs.verb import Option, Verb
from handlers.views.reply import Reply


@dataclass(frozen=True)
class Needs(asking.Needs):
    """The clusters too, which hold the revisions."""

    clusters: Mapping[str, Cluster]


def run(needs: Needs, request: Request) -> Reply | None:
    """Plan it and put the plan before those who decide.

    The token stays the one in use: an older one may have expired.
    """
    ref = find(needs.caches, request.gateway)
    cluster = needs.clusters[ref.cluster]
    gateway = installed(cluster, ref)
    known = revisions(gateway.deployment, cluster.list("ReplicaSet", ref.namespace))
    revision = chosen(known, request.options.get("to-revision"))
    if revision.spec is None:
        raise Conflict(
            f"It is not known what revision {revision.number} of {ref} was deployed with.",
            meaning="This bot did not deploy it, or a newer version of the bot did.",
            remedy=f"`kubectl rollout undo --to-revision={revision.number}` can bring it back.",
        )
    wanted = {key: value for key, value in revision.spec.items() if key != "replicas"}
    now = spec_to_mapping(gateway.spec)
    if "replicas" in now and "autoscaling" not in wanted:
        wanted["replicas"] = now["replicas"]
    spec = dataclasses.replace(spec_from_mapping(wanted), ref=ref)
    take_over = bool(request.options.get("take-over"))
    return ask(needs.proposer, request, ROLLBACK, DeployRequest(spec, take_over), ref)


VERB = Verb(
    ROLLBACK,
    "brings an earlier revision of a gateway back",
    Needs,
    run,
    Right.ASK,
    lane=Lane.PLANS,
    gateway="required",
    options=(
        Option("to-revision", "its number; the previous one when left out", "number", "number"),
        TAKE_OVER,
        *DECISION_OPTIONS,
    ),
    examples=("rollback edge-1", "rollback edge-1 --to-revision 3"),
    synonyms=("undo", "revert"),
)
