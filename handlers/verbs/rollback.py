"""`/gateway rollback`: what an earlier revision was deployed with, on as many pods as run now."""

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.access import Right
from deploy.changes.kinds import ROLLBACK
from deploy.changes.rolling_back import rollback_request
from deploy.kube.cluster import Cluster
from handlers.actions import asking
from handlers.actions.asking import ask
from handlers.fleet import find
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.options import DECISION_OPTIONS, TAKE_OVER
from handlers.verbs.verb import Option, Verb
from handlers.views.reply import Reply
from handlers.views.words.help import Group


@dataclass(frozen=True)
class Needs(asking.Needs):
    """The clusters too, which hold the revisions."""

    clusters: Mapping[str, Cluster]


def run(needs: Needs, request: Request) -> Reply | None:
    """Plan it and put the plan before those who decide.

    The token stays the one in use: an older one may have expired.
    """
    ref = find(needs.caches, request.gateway)
    wanted = rollback_request(
        needs.clusters[ref.cluster],
        ref,
        request.options.get("to-revision"),
        take_over=bool(request.options.get("take-over")),
    )
    return ask(needs.proposer, request, ROLLBACK, wanted, ref)


VERB = Verb(
    ROLLBACK,
    "returns a gateway to an earlier revision",
    Needs,
    run,
    Right.ASK,
    group=Group.CHANGE,
    lane=Lane.PLANS,
    gateway="required",
    options=(
        Option(
            "to-revision",
            "revision number; default: the last one with a different image or settings",
            "number",
            "number",
        ),
        TAKE_OVER,
        *DECISION_OPTIONS,
    ),
    examples=("rollback edge-1", "rollback edge-1 --to-revision 3"),
    synonyms=("undo", "revert"),
)
