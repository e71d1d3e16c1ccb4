"""`/gateway adopt`: take over a gateway that the portal's YAML or the Helm chart installed."""

from collections.abc import Mapping
from dataclasses import dataclass

from slack_sdk import WebClient

from deploy.access import Right
from deploy.annotations import SPEC_ANNOTATION
from deploy.azure import ApimInstance, ArmClient
from deploy.changes.kinds import ADOPT
from deploy.errors import Conflict, GatewayBotError, NotFound
from deploy.gateway import GatewayRef
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.autoscalers import AUTOSCALER, autoscalers_of
from deploy.observed.given import given_among, read_given
from deploy.observed.installed import deployment_of
from deploy.observed.inventory import apim_gateway_of
from deploy.observed.sign_in import AUTH_KEY
from deploy.plans.adoption import counted_by, derive, instance_named_by
from deploy.plans.requests import DeployRequest
from deploy.specs.settings import AUTH
from deploy.tokens.token import Token
from handlers.actions import asking
from handlers.actions.asking import ask, listed
from handlers.fleet import find
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.options import DECISION_OPTIONS
from handlers.verbs.verb import Option, Verb
from handlers.views.reply import Reply


@dataclass(frozen=True)
class Needs(asking.Needs):
    """Also what says which gateway of which instance it is."""

    slack: WebClient
    clusters: Mapping[str, Cluster]
    instances: Mapping[str, ApimInstance]
    arm: ArmClient
    command: str


def run(needs: Needs, request: Request) -> Reply | None:
    """Derive what the gateway is meant to be from what is live, and plan to deploy just that."""
    ref = find(needs.caches, request.gateway)
    cluster = needs.clusters[ref.cluster]
    deployment = deployment_of(cluster, ref)
    if SPEC_ANNOTATION in (deployment["metadata"].get("annotations") or {}):
        raise Conflict(
            f"{ref} is this bot's already.",
            remedy=f"`{needs.command} diff {ref.name}` shows what others changed of it.",
        )
    namespace = ref.namespace
    found, maps, budgets, claims, scalers = cluster.at_once(
        [
            lambda: cluster.list("Service", namespace),
            lambda: cluster.list("ConfigMap", namespace),
            lambda: cluster.list("PodDisruptionBudget", namespace),
            lambda: cluster.list("PersistentVolumeClaim", namespace),
            lambda: cluster.list(AUTOSCALER, namespace),
        ]
    )
    instance = instance_of(needs.instances, deployment, maps, ref)
    gateway = gateway_of(needs, request, instance, cluster, deployment)
    adoption = derive(
        deployment, found, maps, budgets, claims, cluster=ref.cluster,
        instance=instance, gateway=gateway,
    )  # fmt: skip
    adoption = counted_by(adoption, autoscalers_of(ref.name, scalers))
    wanted = DeployRequest(adoption.spec, take_over=True)
    return ask(needs.proposer, request, ADOPT, wanted, ref, notes=adoption.notes)


def instance_of(
    known: Mapping[str, ApimInstance], deployment: Manifest, maps: list[Manifest], ref: GatewayRef
) -> ApimInstance:
    """The API Management instance whose configuration endpoint the pods are given."""
    named = instance_named_by(given_among(deployment, maps))
    for instance in known.values():
        if named and named.lower() in (instance.service.lower(), instance.configuration_endpoint):
            return instance
    raise NotFound(
        f"The API Management instance of {ref} is not among those this bot knows.",
        meaning=f"Its pods are given “{named}”." if named else "Its pods are given no endpoint.",
        remedy="Add the instance to the settings.",
    )


def gateway_of(
    needs: Needs,
    request: Request,
    instance: ApimInstance,
    cluster: Cluster,
    deployment: Manifest,
) -> str:
    """The gateway resource: as asked for, else as its token or environment says, else its name."""
    known = [gateway.name for gateway in needs.arm.list_gateways(instance)]
    wanted = str(request.options.get("gateway") or "")
    candidates = [wanted] if wanted else [*_told(cluster, deployment), _name(deployment)]
    for candidate in candidates:
        for name in known:
            if candidate and name.lower() == candidate.lower():
                return name
    raise NotFound(
        f"Which gateway of {instance.name} this is cannot be told.",
        meaning=f"It has {listed(known)}." if known else "It has none at all.",
        remedy="Name it with --gateway.",
    )


def _told(cluster: Cluster, deployment: Manifest) -> list[str]:
    told = [apim_gateway_of(deployment)]
    namespace = deployment["metadata"]["namespace"]
    try:
        given = read_given(
            cluster, namespace, deployment["spec"]["template"].get("spec") or {}, secrets=True
        )
    except GatewayBotError:
        return told
    token = Token.parse(given.value(AUTH)) or Token.parse(given.value(AUTH_KEY))
    return [token.gateway if token else "", given.value("gateway.name"), *told]


def _name(deployment: Manifest) -> str:
    return str(deployment["metadata"]["name"])


VERB = Verb(
    ADOPT,
    "takes over a gateway that the portal's YAML or Helm installed",
    Needs,
    run,
    Right.ASK,
    lane=Lane.PLANS,
    gateway="required",
    options=(
        Option("gateway", "the gateway in API Management, where it cannot be told", "NAME"),
        *DECISION_OPTIONS,
    ),
    examples=("adopt legacy-9", "adopt west/dev/apim-gateway --gateway edge-1"),
)
