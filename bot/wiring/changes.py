"""Changes: their kinds, who may ask for and decide them, and where both is recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.clients import governed_by, identities_of, known_repositories, rotations_at_once
from bot.settings import Settings
from bot.wiring.outside import Outside
from bot.wiring.stores import Stores
from deploy.actions.action import Action
from deploy.actions.connection import clock_of
from deploy.changes.authority import Authority
from deploy.changes.decide import Decider, Ending
from deploy.changes.kinds import Kind, Means, Workings, by_name
from deploy.changes.policies import Policies
from deploy.changes.propose import ProposalSettings as ProposerSettings
from deploy.changes.propose import Proposer
from deploy.governance.governor import Governor
from deploy.governance.requirements import TokenAuthority
from deploy.governance.sightings import Sightings
from deploy.kube.cluster import Cluster
from deploy.plans.planning import Planner
from deploy.rollouts.applying import Applier
from deploy.rollouts.minting import Minter
from deploy.rollouts.stopped import Leftovers
from deploy.rollouts.verification import observing
from handlers.actions import again
from handlers.slack.people import UserGroups


@dataclass(frozen=True)
class Changes:
    """`ending` is what the end of an action owes others. `workings` are for whoever waits for a plan,
    `carrying` for runs."""

    planner: Planner
    workings: Mapping[str, Workings]
    carrying: Mapping[str, Workings]
    authority: Authority
    governor: Governor
    policies: Policies
    proposer: Proposer
    decider: Decider
    ending: Ending


def planner_of(settings: Settings, outside: Outside, clusters: Mapping[str, Cluster]) -> Planner:
    """What makes plans."""
    return Planner(
        clusters.__getitem__,
        outside.registry.tags,
        outside.environments,
        instances=outside.instances,
        repositories=known_repositories(settings),
        stock=outside.catalogue.stock,
    )


def means_of(
    settings: Settings,
    outside: Outside,
    stores: Stores,
    clusters: Mapping[str, Cluster],
    policies: Policies,
) -> Means:
    """What changes are planned and carried out with, on these clusters."""
    # A run repeats what fails automatically, so that stopping it interrupts the wait.
    arm = outside.arm.asking_once()
    minter = Minter(arm, outside.instances, stores.custody)
    return Means(
        planner=planner_of(settings, outside, clusters),
        clusters=clusters,
        caches=outside.caches,
        applier=Applier(clusters, minter, policies.authorize),
        keys=arm,
        custody=stores.custody,
        authorize=policies.authorize,
        left=Leftovers(clusters).of,
        instances=outside.instances,
        environments=outside.environments,
        observing=observing(settings.rotation.verify_seconds),
        regenerate_keys=settings.rotation.regenerate_keys,
        rotations_at_once=rotations_at_once(settings),
    )


def changes_of(
    settings: Settings,
    outside: Outside,
    stores: Stores,
    table: Sequence[Kind],
) -> Changes:
    """Who may ask and decide, and the two places where that is done."""
    at_once = stores.at_once
    kinds = by_name(table)
    clock = clock_of(stores.prompt)
    governor = Governor(
        Sightings(outside.caches, outside.instances),
        stores.placements,
        stores.admitted,
        outside.instances,
        outside.environments,
        governed_by(settings),
    )

    def sharing(action: Action) -> TokenAuthority | None:
        shared = kinds[action.kind].every_environment
        return governor.required(action.plan, regenerates=True) if shared else None

    authority = Authority(
        outside.environments,
        identities_of(settings),
        UserGroups(outside.slack),
        outside.team.standing,
        stores.windows,
        clock=clock,
        pauses=stores.pauses.all,
        sharing=sharing,
    )
    policies = Policies(
        outside.environments, kinds, authority, stores.windows, governor.required, clock=clock
    )
    means, patient = (
        means_of(settings, outside, stores, clusters, policies)
        for clusters in (outside.clusters, outside.patient)
    )
    workings = {name: kind.workings(means) for name, kind in kinds.items()}
    carrying = {name: kind.workings(patient) for name, kind in kinds.items()}

    def renew(action: Action, request_id: str) -> None:
        stores.requests.accept(again.renewal(action, request_id))

    def look_again(action: Action, request_id: str) -> None:
        stores.requests.accept(again.look(action, request_id))

    proposer = Proposer(
        at_once,
        kinds,
        workings,
        policies,
        stores.windows,
        authority.check_request,
        ProposerSettings(outside.environments, settings.decision.seconds, authority.person),
        stores.changed.ring,
    )
    decider = Decider(at_once, policies, renew, authority, stores.changed.ring)
    ending = Ending(stores.store, renew, look_again)
    return Changes(
        means.planner, workings, carrying, authority, governor, policies, proposer, decider, ending
    )
