"""Changes: their kinds, who may ask for and decide on them, and where both is recorded."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from bot.clients import identities_of, known_repositories, rotations_at_once
from bot.settings import Settings
from bot.wiring.outside import Outside
from bot.wiring.stores import Stores
from deploy.actions.record import Action
from deploy.changes.decide import Decider, Ending
from deploy.changes.gatekeeper import Gatekeeper
from deploy.changes.kinds import KINDS, Kind, Means, kinds_of
from deploy.changes.policies import Policies
from deploy.changes.propose import Proposer
from deploy.changes.propose import Settings as ProposerSettings
from deploy.plans.planning import Planner
from deploy.rollouts.applying import Applier
from deploy.rollouts.minting import Minter
from deploy.rollouts.verification import observing
from handlers.actions import again
from handlers.slack.people import UserGroups


@dataclass(frozen=True)
class Changes:
    """`ending` is what the end of an action owes others."""

    kinds: Mapping[str, Kind]
    gatekeeper: Gatekeeper
    policies: Policies
    proposer: Proposer
    decider: Decider
    ending: Ending


def planner_of(settings: Settings, outside: Outside) -> Planner:
    """What makes plans."""
    return Planner(
        outside.clusters.__getitem__,
        outside.registry.tags,
        outside.environments,
        instances=outside.instances,
        repositories=known_repositories(settings),
    )


def kinds_from(settings: Settings, outside: Outside, planner: Planner) -> Mapping[str, Kind]:
    """The table of kinds of change by name."""
    return kinds_of(
        Means(
            planner=planner,
            clusters=outside.clusters,
            caches=outside.caches,
            applier=Applier(outside.clusters, Minter(outside.arm, outside.instances)),
            keys=outside.arm,
            instances=outside.instances,
            environments=outside.environments,
            observing=observing(settings.rotation.verify_seconds),
            regenerate_keys=settings.rotation.regenerate_keys,
            rotations_at_once=rotations_at_once(settings),
        ),
        KINDS,
    )


def changes_of(
    settings: Settings, outside: Outside, stores: Stores, kinds: Mapping[str, Kind]
) -> Changes:
    """Who may ask and decide, and the two places where that is done."""
    groups = UserGroups(outside.slack)
    at_once = stores.at_once
    gatekeeper = Gatekeeper(outside.environments, identities_of(settings), groups, stores.windows)

    def redis_clock() -> datetime.datetime:
        return datetime.datetime.fromtimestamp(at_once.now(), datetime.UTC)

    policies = Policies(
        outside.environments,
        kinds,
        groups,
        stores.windows,
        lambda kind, plan: (),
        clock=redis_clock,
    )

    def renew(action: Action, request_id: str) -> None:
        stores.requests.accept(again.renewal(action, request_id))

    def look_again(action: Action, request_id: str) -> None:
        stores.requests.accept(again.look(action, request_id))

    proposer = Proposer(
        at_once,
        kinds,
        policies,
        stores.windows,
        gatekeeper.check_request,
        ProposerSettings(outside.environments, settings.decision.seconds, gatekeeper.person),
        stores.changed.ring,
    )
    decider = Decider(at_once, policies, renew, gatekeeper.person, stores.changed.ring)
    ending = Ending(stores.store, renew, look_again)
    return Changes(kinds, gatekeeper, policies, proposer, decider, ending)
