"""`/gateway deploy`: from what a person asks for to a plan that waits for a decision."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from slack_sdk import WebClient

from deploy.access import Right
from deploy.actions.versions import reading
from deploy.changes.kinds import DEPLOY, MANAGE_TOKEN
from deploy.changes.propose import Proposer
from deploy.errors import Ambiguous, GatewayBotError, InvalidInput, Refused
from deploy.gateway import NAME_LIMIT, GatewayRef, check_label
from deploy.plans.requests import DeployRequest
from deploy.rules.finding import Finding
from deploy.specs.overlay import (
    EXAMPLE,
    as_words,
    from_file,
    from_yaml,
    merged,
)
from deploy.specs.spec import spec_from_mapping
from deploy.specs.token_spec import token_spec_from_yaml
from deploy.specs.traffic_fields import SERVICE_TYPES
from handlers.actions import desired
from handlers.actions.asking import ask, words
from handlers.fleet import check_cluster
from handlers.lanes import Lane
from handlers.slack import spec_file
from handlers.slack.choices import Choices
from handlers.slack.payloads import Click, Request, Submission
from handlers.slack.people import Team
from handlers.verbs.grammar import typed
from handlers.verbs.options import DECISION_OPTIONS, TAKE_OVER
from handlers.verbs.verb import Option, Suggestions, Verb
from handlers.views import deploy_modal as modal
from handlers.views.reply import Reply

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
class Needs(desired.Needs):
    """`team` knows what the bot may do in its workspace; `accept` makes a request safe and starts on
    it."""

    slack: WebClient
    proposer: Proposer
    choices: Choices
    team: Team
    accept: Callable[[Request], None]


def run(needs: Needs, request: Request) -> Reply | None:
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
    asked, request = request, _with_place(request)
    cluster, namespace = _place(request, sorted(needs.clusters))
    check_cluster(cluster, needs.clusters)
    needs.clusters[cluster].places.check(namespace)
    name = str(request.options.get("name") or "").lower()
    if asked is not request and (there := desired.resource_at(needs, cluster, namespace, name)):
        request = dataclasses.replace(request, gateway=there)
    instance, gateway = desired.gateway_of(needs, request)
    ref = GatewayRef(cluster, namespace, name or gateway.lower())
    spec = desired.spec_of(needs, request, ref, instance, gateway)
    desired.check_tag(needs, spec)
    take_over = bool(request.options.get("take-over"))
    wanted = DeployRequest(spec, take_over, counts=desired.counts(request.options))
    return ask(needs.proposer, request, DEPLOY, wanted, ref, with_fix=partial(_with_fix, asked))


def _with_fix(request: Request, finding: Finding) -> str:
    """The command that asks for the same as a finding advises; empty where that cannot be typed."""
    more = [*request.options.get("set", ()), *as_words(finding.fix_patch or {})]
    return typed(VERB, request.gateway, {**request.options, "set": more})


def incomplete(request: Request) -> bool:
    """Whether the form is needed: a gateway, a place and a tag make a deployment."""
    try:
        options = _with_place(request).options
    except InvalidInput:
        # It is explained where it is run.
        return False
    return not (request.gateway and options.get("to") and options.get("tag"))


def open_modal(needs: Needs, request: Request, trigger_id: str) -> None:
    """Open the form at once and fill it when the live data is there."""
    private_metadata = modal.metadata(request.channel, request.response_url)
    opened = needs.slack.views_open(trigger_id=trigger_id, view=modal.loading(private_metadata))
    failed = needs.choices.warm()
    request = _with_place(request)
    given: dict[str, Any] = dict(request.options)
    if request.gateway:
        given["gateway"] = request.gateway
    view: Mapping[str, Any] = opened["view"]
    needs.slack.views_update(
        view_id=view["id"],
        hash=view["hash"],
        view=modal.form(private_metadata, given, failed, file=needs.team.granted("files:read")),
    )


def submit(needs: Needs, submission: Submission) -> Request:
    """The sent form as a request; what can be told to be wrong at once stays in the form."""
    with reading("The form"):
        origin = json.loads(submission.private_metadata)
        channel, response_url = str(origin["channel"]), str(origin["response_url"])
    chosen = modal.values(submission.values)
    for file in modal.files(submission.values)[:1]:
        text = _fetched(needs.slack, file)
        if _is_of_a_token(text, chosen):
            return Request(
                id=submission.id,
                verb=VERB.name,
                user=submission.user,
                channel=channel,
                response_url=response_url,
                options={"file": text},
            )
        chosen = _with_file(text, chosen)
    for name, block in (("gateway", modal.GATEWAY), ("tag", modal.TAG)):
        if not chosen.get(name):
            raise InvalidInput(
                f"The {name} is missing.",
                field=block,
                remedy="Choose it here, or give a spec file that says it.",
            )
    gateway = chosen.pop("gateway", "")
    request = Request(
        id=submission.id,
        verb=VERB.name,
        user=submission.user,
        channel=channel,
        response_url=response_url,
        gateway=gateway,
        options=chosen,
    )
    try:
        cluster, namespace = _place(request)
        if cluster in needs.clusters:
            needs.clusters[cluster].places.check(namespace)
        name = str(chosen.get("name") or gateway.rpartition("/")[2].lower())
        ref = GatewayRef(cluster, namespace, check_label(name, "name", NAME_LIMIT))
        if "replicas" in chosen:
            chosen["replicas"] = _whole(chosen["replicas"])
        _check_more(request)
    except InvalidInput as error:
        error.field = _BLOCKS.get(error.field, modal.NAME)
        raise
    try:
        needs.proposer.check(
            ref,
            request.user,
            request.channel,
            why=words(request, "reason"),
            break_glass=words(request, "break-glass"),
        )
    except Refused as refusal:
        raise InvalidInput(refusal.happened, field=modal.PLACE, remedy=refusal.remedy) from refusal
    return request


def _fetched(slack: WebClient, file: Mapping[str, Any]) -> str:
    try:
        return spec_file.fetched(slack, file)
    except GatewayBotError as error:
        raise _in_the_file(error) from error


def _is_of_a_token(text: str, chosen: Mapping[str, Any]) -> bool:
    """Whether the file says `manage: token`. InvalidInput where something else was chosen in the form
    than what it says."""
    try:
        managed = token_spec_from_yaml(text)
    except InvalidInput as error:
        raise _in_the_file(error) from error
    if managed is None:
        return False
    ref = managed.ref
    said = {"to": f"{ref.cluster}/{ref.namespace}", "name": ref.name}
    for name, value in chosen.items():
        same = value.rpartition("/")[2] == managed.gateway if name == "gateway" else False
        if not same and value != said.get(name):
            raise InvalidInput(
                f"The file says `manage: token`, which the chosen {name} does not go with.",
                field=modal.FILE,
                remedy="Leave everything else in this form empty.",
            )
    return True


def _in_the_file(error: GatewayBotError) -> InvalidInput:
    return InvalidInput(
        error.happened, field=modal.FILE, meaning=error.meaning, remedy=error.remedy
    )


def _with_file(text: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What was chosen, and what was not as the file says it."""
    try:
        spec = from_file(text)
    except GatewayBotError as error:
        raise _in_the_file(error) from error
    told = {"file": text, **_told(spec)}
    picked = chosen.get("gateway", "").rpartition("/")[2]
    if picked and picked != spec.get("gateway", picked):
        # Its name on the cluster is another gateway's.
        told.pop("name", None)
    return {**told, **chosen}


def _told(spec: Mapping[str, Any]) -> dict[str, str]:
    """What a spec says of gateway, place and tag, by the names of the options."""
    instance = (spec.get("apim") or {}).get("instance")
    gateway = spec.get("gateway")
    place = (spec.get("cluster"), spec.get("namespace"))
    told = {
        "gateway": f"{instance}/{gateway}" if instance and gateway else gateway,
        "to": "/".join(map(str, place)) if all(place) else None,
        "tag": (spec.get("image") or {}).get("tag"),
        "name": spec.get("name"),
    }
    return {name: str(value) for name, value in told.items() if value}


def _check_more(request: Request) -> None:
    """The checks of the further fields before anything is asked: over the rest of a spec."""
    if not (request.options.get("more") or request.options.get("file")):
        return
    try:
        more = from_yaml(str(request.options.get("more", "")))
        under = from_file(str(request.options.get("file", "{}")))
        spec_from_mapping(merged(merged(EXAMPLE, under), more))
    except InvalidInput as error:
        error.field = "more"
        raise


_BLOCKS = {
    "more": modal.MORE,
    "to": modal.PLACE,
    "cluster": modal.PLACE,
    "namespace": modal.PLACE,
    "replicas": modal.REPLICAS,
    "name": modal.NAME,
}


def open_by_button(needs: Needs, click: Click) -> Reply | None:
    """The Deploy button of the help and of the Home tab."""
    request = Request("", VERB.name, click.user, click.channel or click.user)
    open_modal(needs, request, click.trigger_id)
    return None


def _whole(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 100:
        return int(text)
    raise InvalidInput("Replicas are a whole number from 1 to 100.", field="replicas")


def _with_place(request: Request) -> Request:
    """The same where the gateway is named as it is on the cluster, `cluster/namespace/name`: its place
    and name as options. InvalidInput where another place is given beside it."""
    cluster, _, rest = request.gateway.lower().partition("/")
    namespace, _, name = rest.partition("/")
    if not name:
        return request
    options = {"to": f"{cluster}/{namespace}", "name": name, **request.options}
    if str(options["to"]).lower() != f"{cluster}/{namespace}":
        raise InvalidInput(
            f"“{request.gateway[:80]}” is not in `--to {str(options['to'])[:80]}`.",
            field="to",
            remedy="Leave `--to` out, or name the gateway without its place.",
        )
    return dataclasses.replace(request, gateway=name, options=options)


def _place(request: Request, clusters: Sequence[str] = ()) -> tuple[str, str]:
    place = str(request.options.get("to", "")).lower()
    parts = place.split("/")
    if len(parts) == 1 and place and clusters:
        raise Ambiguous(
            f"“{place[:80]}” names no cluster.",
            field="to",
            candidates=tuple(f"{cluster}/{place}" for cluster in clusters),
            remedy="Write the cluster and the namespace, as in `--to west/dev`.",
        )
    if len(parts) != 2 or not all(parts):
        raise InvalidInput(
            f"“{place[:80]}” is not a cluster and a namespace." if place else "Required: `--to`.",
            field="to",
            remedy="Write cluster/namespace, for example west/dev.",
        )
    return parts[0], parts[1]


def _suggest(source: str) -> Callable[[Needs, Click], Suggestions]:
    return lambda needs, click: needs.choices.find(source, click.value)


VERB = Verb(
    "deploy",
    "plans a gateway, waits for your yes, and follows its rollout",
    Needs,
    run,
    Right.ASK,
    lane=Lane.PLANS,
    gateway="optional",
    options=_OPTIONS,
    examples=("deploy", "deploy edge-1 --to west/dev --tag 2.11.1 --replicas 2"),
    incomplete=incomplete,
    open_modal=open_modal,
    modal=modal.CALLBACK,
    submit=submit,
    suggest={
        modal.GATEWAY: _suggest("gateways"),
        modal.PLACE: _suggest("places"),
        modal.TAG: _suggest("tags"),
    },
    opens={"open_deploy": open_by_button},
)
