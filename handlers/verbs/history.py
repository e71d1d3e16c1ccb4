"""`/gateway history`: what a gateway was, and who did what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.access import Environment, Right, environment_of
from deploy.actions.audit import AuditEntry, AuditLog
from deploy.actions.codec import Unreadable
from deploy.actions.makers import credited
from deploy.actions.store import ActionStore
from deploy.actions.windows import Windows
from deploy.errors import NotFound
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from deploy.kube.cluster import Cluster
from deploy.observed.history import revisions
from deploy.observed.installed import deployment_of
from handlers.fleet import find
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views import history as view
from handlers.views.reply import Reply
from handlers.views.words.help import Group

_READ = 200
"""Entries that tell which action made which revision."""


@dataclass(frozen=True)
class Needs:
    """Where the trail, the actions and the windows are, the clusters, and what of them is production."""

    audit: AuditLog
    store: ActionStore
    windows: Windows
    caches: Mapping[str, ClusterCache]
    clusters: Mapping[str, Cluster]
    environments: tuple[Environment, ...]
    command: str


def run(needs: Needs, request: Request) -> Reply:
    """The audit trail; of one gateway with every revision that the cluster still holds. One that
    no longer runs still has its trail."""

    def environment(of: GatewayRef) -> Environment:
        return environment_of(of, needs.environments)

    if not request.gateway:
        every = needs.audit.read(limit=view.READ, steps=False)
        return view.trail(every, _decided(needs, every), environment_of=environment)
    try:
        ref = find(needs.caches, request.gateway)
        cluster = needs.clusters[ref.cluster]
        deployment = deployment_of(cluster, ref)
    except NotFound:
        name = request.gateway.strip().lower()
        gone = needs.audit.of(name, view.READ)
        if not gone:
            raise
        return view.trail(gone, _decided(needs, gone), name, environment)
    known = revisions(deployment, cluster.list("ReplicaSet", ref.namespace))
    read = needs.audit.of(str(ref), _READ)
    trail = read[: view.READ]
    decided = _decided(needs, trail)
    made = credited(known, read)
    return view.revisions(ref, made, trail, needs.command, decided, environment(ref))


def _decided(needs: Needs, entries: Sequence[AuditEntry]) -> Mapping[str, view.Decided]:
    """Whose decision each action was: the trail does not say it, and outlives the actions."""
    found = {}
    for name in {entry.action for entry in entries if entry.event == "approved" and entry.action}:
        try:
            action = needs.store.get(name)
            keys = action.policy.windows if action else ()
            window = needs.windows.at(keys[0]) if keys else None
        except Unreadable:
            continue
        if action is not None:
            opened_by = window.by if window else ""
            found[name] = view.Decided(action.policy.by, bool(keys), opened_by)
    return found


VERB = Verb(
    "history",
    "shows who did what; for one gateway also its revisions",
    Needs,
    run,
    Right.SEE,
    group=Group.LOOK,
    gateway="optional",
    examples=("history", "history edge-1"),
)
