"""`/gateway adopt`: take over a gateway that the portal's YAML or the Helm chart installed."""

from collections.abc import Mapping
from dataclasses import dataclass

from slack_sdk import WebClient

from deploy.access import Right
from deploy.azure import ApimInstance, ArmClient
from deploy.changes.adopting import adoption_of
from deploy.changes.kinds import ADOPT
from deploy.kube.cluster import Cluster
from deploy.plans.requests import DeployRequest
from handlers.actions import asking
from handlers.actions.asking import ask
from handlers.fleet import find
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.options import DECISION_OPTIONS
from handlers.verbs.verb import Option, Verb
from handlers.views.reply import Reply
from handlers.views.words.help import Group


@dataclass(frozen=True)
class Needs(asking.Needs):
    """Also what says which gateway of which instance it is."""

    slack: WebClient
    clusters: Mapping[str, Cluster]
    instances: Mapping[str, ApimInstance]
    arm: ArmClient


def run(needs: Needs, request: Request) -> Reply | None:
    """Derive what the gateway is meant to be from what is live, and plan to deploy just that."""
    ref = find(needs.caches, request.gateway)
    adoption = adoption_of(
        needs.clusters[ref.cluster],
        ref,
        needs.instances,
        lambda instance: [gateway.name for gateway in needs.arm.list_gateways(instance)],
        gateway=str(request.options.get("gateway") or ""),
    )
    wanted = DeployRequest(adoption.spec, take_over=True)
    return ask(needs.proposer, request, ADOPT, wanted, ref, notes=adoption.notes)


VERB = Verb(
    ADOPT,
    "takes over a gateway installed with Helm or the portal's YAML",
    Needs,
    run,
    Right.ASK,
    group=Group.CHANGE,
    lane=Lane.PLANS,
    gateway="required",
    options=(
        Option("gateway", "the gateway in API Management, where it is not known", "name"),
        *DECISION_OPTIONS,
    ),
    examples=("adopt legacy-9", "adopt west/dev/apim-gateway --gateway edge-1"),
)
