"""What the handlers ask for work: built once in the composition root and passed in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient

from deploy.access import Environment
from deploy.actions.audit import AuditLog
from deploy.actions.store import ActionStore
from deploy.actions.windows import Windows
from deploy.azure import ApimInstance, ArmClient
from deploy.changes.authority import Authority
from deploy.changes.decide import Decider
from deploy.changes.policies import Policies
from deploy.changes.propose import Proposer
from deploy.expiry.tracker import Tracker
from deploy.health.cache import ClusterCache
from deploy.health.levels import Levels
from deploy.images import Registry
from deploy.kube.cluster import Cluster
from deploy.plans.planning import Planner
from handlers.messages.live import Live
from handlers.slack.choices import Choices
from handlers.slack.people import Team


@dataclass(frozen=True)
class Services:
    """Clients and settings of one bot.

    `image_repository` is what manifests name; `portal` is the Azure portal of this cloud. `accept`
    makes a request safe and starts on it; `team` is the workspace that the bot belongs to. `resume`
    resumes automatic rotation in an environment, in the name of a person. `regenerate_keys` says
    whether the settings allow that.
    """

    slack: WebClient
    store: ActionStore
    proposer: Proposer
    decider: Decider
    policies: Policies
    planner: Planner
    clusters: Mapping[str, Cluster]
    caches: Mapping[str, ClusterCache]
    levels: Levels
    live: Live
    tails: Live
    instances: Mapping[str, ApimInstance]
    arm: ArmClient
    registry: Registry
    environments: tuple[Environment, ...]
    choices: Choices
    authority: Authority
    windows: Windows
    audit: AuditLog
    tracker: Tracker
    resume: Callable[[str, str], bool]
    accept: Callable[[Any], None]
    team: Team
    command: str
    image_repository: str
    portal: str
    regenerate_keys: bool
