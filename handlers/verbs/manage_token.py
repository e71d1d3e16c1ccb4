"""`/gateway manage-token`: have the bot keep the token of a gateway valid that others deploy."""

from deploy.access import Right
from deploy.changes.adopting import resource_of
from deploy.changes.kinds import END_MANAGE_TOKEN, MANAGE_TOKEN
from deploy.errors import InvalidInput
from deploy.observed.installed import deployment_of
from deploy.plans.requests import EndTokenRequest, ManageTokenRequest
from deploy.plans.token_only import check_has_token
from deploy.tokens.rotation import Rotation, parse_key, parse_lifetime
from deploy.tokens.token import KEYS, LONGEST
from handlers.actions.asking import ask
from handlers.fleet import find
from handlers.lanes import Lane
from handlers.slack.payloads import Request
from handlers.verbs.adopt import Needs
from handlers.verbs.options import DECISION_OPTIONS
from handlers.verbs.verb import Option, Verb
from handlers.views.reply import Reply
from handlers.views.words.help import Group


def run(needs: Needs, request: Request) -> Reply | None:
    """Find out whose token it is, and plan a new one in a Secret of the bot's own; with `--end`, plan
    that the bot no longer keeps it."""
    ref = find(needs.caches, request.gateway)
    if request.options.get("end"):
        _check_alone(request)
        return ask(needs.proposer, request, END_MANAGE_TOKEN, EndTokenRequest(ref), ref)
    cluster = needs.clusters[ref.cluster]
    deployment = deployment_of(cluster, ref)
    maps = cluster.list("ConfigMap", ref.namespace)
    check_has_token(ref, deployment, maps)
    options = request.options
    instance, gateway = resource_of(
        cluster,
        ref,
        deployment,
        maps,
        needs.instances,
        lambda instance: [gateway.name for gateway in needs.arm.list_gateways(instance)],
        gateway=str(options.get("gateway") or ""),
    )
    rotation = Rotation(
        parse_key(str(options["key"])) if "key" in options else None,
        parse_lifetime(str(options["ttl"])) if "ttl" in options else LONGEST,
    )
    wanted = ManageTokenRequest(ref, instance.name, gateway, rotation)
    return ask(needs.proposer, request, MANAGE_TOKEN, wanted, ref)


def _check_alone(request: Request) -> None:
    """InvalidInput where something is given beside `--end` that is of a new token."""
    for name in ("gateway", "key", "ttl"):
        if name in request.options:
            raise InvalidInput(
                f"`--end` makes no token, so it cannot be combined with `--{name}`.", field=name
            )


VERB = Verb(
    MANAGE_TOKEN,
    "keeps the token valid for a gateway that others deploy, and changes nothing else",
    Needs,
    run,
    Right.ASK,
    group=Group.TOKENS,
    lane=Lane.PLANS,
    gateway="required",
    options=(
        Option("gateway", "the gateway in API Management, where it is not known", "name"),
        Option("key", "of the new token; the one not in use when left out", choices=KEYS),
        Option(
            "ttl", "how long the new token lives; as long as Azure allows when left out", "duration"
        ),
        Option("end", "stop keeping the token valid; the pods keep their current one", kind="flag"),
        *DECISION_OPTIONS,
    ),
    examples=(
        "manage-token edge-1",
        "manage-token west/prod/apim-gateway --gateway store-7",
        "manage-token edge-1 --end",
    ),
)
