"""`/gateway deploy`: from what a person asks for to a plan that waits for a decision."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from deploy.access import Right
from deploy.changes.kinds import DEPLOY, MANAGE_TOKEN
from deploy.errors import InvalidInput, Unavailable
from deploy.gateway import GatewayRef
from deploy.rules.finding import Finding
from deploy.specs.overlay import as_words
from deploy.specs.token_spec import token_spec_from_yaml
from deploy.specs.traffic_fields import SERVICE_TYPES
from handlers.actions import deploy_form, desired, form_sent
from handlers.actions.asking import ask
from handlers.actions.target import place_of, with_place
from handlers.fleet import check_cluster
from handlers.lanes import Lane
from handlers.slack.payloads import Click, Request
from handlers.verbs.grammar import typed
from handlers.verbs.options import DECISION_OPTIONS, TAKE_OVER
from handlers.verbs.verb import Option, Suggestions, Verb
from handlers.views import deploy_modal as modal
from handlers.views.reply import Reply
from handlers.views.words.help import Group

_OPTIONS = (
    Option("to", "cluster and namespace, for example west/dev", "cluster/namespace"),
    Option("tag", "image tag, for example 2.11.1 or 2.11.1@sha256:…", "tag"),
    Option("replicas", "how many pods", "number", "number"),
    Option("service", "how it is reached", choices=SERVICE_TYPES),
    Option("cpu", "CPU each pod asks for, for example 500m", "quantity"),
    Option("memory", "memory each pod asks for, for example 1Gi", "quantity"),
    Option("deadline", "seconds without progress until the rollout has failed", "number", "number"),
    Option(
        "set", "any other field of the spec, for example logs.level=warn", "field=value", "many"
    ),
    Option("name", "name on the cluster, where it is not the gateway's own", "name"),
    TAKE_OVER,
    *DECISION_OPTIONS,
)


@dataclass(frozen=True)
class Needs(deploy_form.Needs):
    """`accept` makes a request safe and starts on it."""

    accept: Callable[[Request], None]


def run(needs: Needs, request: Request) -> Reply | None:
    """As below. What was entered in the form is not lost where something does not answer."""
    try:
        return _run(needs, request)
    except Unavailable as error:
        if not form_sent.is_sent(request):
            raise
        return modal.once_more(error, request.gateway, request.options)


def _run(needs: Needs, request: Request) -> Reply | None:
    """Plan the deployment and put the plan before its requester; nothing is changed yet.

    The plan is shown as the action's own message, so a reply is left only where there is nothing
    to decide. A file that says `manage: token` is another verb's.
    """
    managed = token_spec_from_yaml(str(request.options.get("file", "")))
    if managed is not None:
        needs.accept(
            dataclasses.replace(
                request,
                id=f"{request.id}:{MANAGE_TOKEN}",
                verb=MANAGE_TOKEN,
                gateway=str(managed.ref),
                options={"gateway": managed.gateway},
            )
        )
        return None
    asked, request = request, with_place(request)
    cluster, namespace = place_of(request, sorted(needs.clusters))
    check_cluster(cluster, needs.clusters)
    needs.clusters[cluster].places.check(namespace)
    name = str(request.options.get("name") or "").lower()
    if asked is not request and (there := desired.resource_at(needs, cluster, namespace, name)):
        request = dataclasses.replace(request, gateway=there)
    instance, gateway = desired.gateway_of(needs, request)
    ref = GatewayRef(cluster, namespace, name or gateway.lower())
    wanted = desired.request_of(needs, request, ref, instance, gateway)
    desired.check_tag(needs, wanted.spec)
    return ask(needs.proposer, request, DEPLOY, wanted, ref, with_fix=partial(_with_fix, asked))


def _with_fix(request: Request, finding: Finding) -> str:
    """The command that asks for the same as a finding advises; empty where that cannot be typed."""
    more = [*request.options.get("set", ()), *as_words(finding.fix_patch or {})]
    return typed(VERB, request.gateway, {**request.options, "set": more})


def incomplete(request: Request) -> bool:
    """Whether the form is needed: a gateway, a place and a tag make a deployment."""
    try:
        options = with_place(request).options
    except InvalidInput:
        # It is explained where it is run.
        return False
    return not (request.gateway and options.get("to") and options.get("tag"))


def _suggest(source: str) -> Callable[[Needs, Click], Suggestions]:
    return lambda needs, click: needs.choices.find(source, click.value)


VERB = Verb(
    "deploy",
    "plans a deployment, asks you to confirm it, and follows the rollout",
    Needs,
    run,
    Right.ASK,
    group=Group.CHANGE,
    lane=Lane.PLANS,
    gateway="optional",
    options=_OPTIONS,
    examples=("deploy", "deploy edge-1 --to west/dev --tag 2.11.1 --replicas 2"),
    incomplete=incomplete,
    open_modal=deploy_form.open_modal,
    modal=modal.CALLBACK,
    submit=form_sent.submit,
    suggest={
        modal.GATEWAY: _suggest("gateways"),
        modal.PLACE: _suggest("places"),
        modal.TAG: _suggest("tags"),
    },
    opens={
        modal.OPEN: deploy_form.open_by_button,
        modal.GATEWAY: deploy_form.clicked,
        modal.FILE_OR_NOT: deploy_form.clicked,
    },
)
