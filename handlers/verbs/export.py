"""`/gateway export`: a gateway's manifests as a file, ready for kustomize, without any secret.

With `--for` it is what to put where something else declares the gateway, so that it becomes what is
asked for: nothing is applied.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from deploy.access import Right
from deploy.errors import InvalidInput, NotFound, Unavailable
from deploy.gateway import GatewayRef
from deploy.health.cache import ClusterCache
from deploy.kube.cluster import Cluster
from deploy.kube.objects import Manifest
from deploy.observed.given import read_given
from deploy.observed.installed import carried_spec, deployment_of, installed
from deploy.observed.inventory import container_of, settings_maps
from deploy.observed.pods import token_secret_of
from deploy.plans.outline import UNKNOWN_ENDPOINT, outline_of
from deploy.rendering.export import exported
from deploy.rendering.patches import Declared, chart_values, kustomize_patches
from deploy.specs.gateway_spec import GatewaySpec
from deploy.specs.overlay import from_words, merged, unpinned
from deploy.specs.spec import spec_from_mapping, spec_to_mapping, with_pin
from deploy.specs.values import WrongValue
from handlers.actions.desired import as_option
from handlers.fleet import find
from handlers.slack.payloads import Request
from handlers.verbs.verb import Option, Verb
from handlers.views.reply import Reply
from handlers.views.text import escape, section
from handlers.views.words.help import Group

_FORMS = ("kustomize", "helm")


@dataclass(frozen=True)
class Needs:
    """The clusters, and Slack, which takes the file."""

    slack: WebClient
    caches: Mapping[str, ClusterCache]
    clusters: Mapping[str, Cluster]


def run(needs: Needs, request: Request) -> Reply:
    """Send the file to the requester alone, in the messages with the app."""
    form = str(request.options.get("for", ""))
    asked = _asked(request)
    if asked and not form:
        raise InvalidInput(
            "Changes are exported for a repository.",
            field="for",
            remedy="Add `--for kustomize` or `--for helm`.",
        )
    ref = find(needs.caches, request.gateway)
    cluster = needs.clusters[ref.cluster]
    if form:
        text = _for_repository(cluster, ref, form, asked, request.options)
        name = f"{ref.cluster}-{ref.namespace}-{ref.name}-{form}.yaml"
        said = f"Add this to the repository that declares {ref}. Nothing was applied."
    else:
        text = exported(installed(cluster, ref))
        name = f"{ref.cluster}-{ref.namespace}-{ref.name}.yaml"
        said = f"{ref} as it is deployed. Its token is not in it."
    _send(needs.slack, request.user, name, text, said)
    done = f"{name} is in your messages with this app."
    return Reply(done, (section(f":page_facing_up: {escape(done)}"),))


def _asked(request: Request) -> dict[str, Any]:
    """What is to change, over a spec's mapping."""
    options = request.options
    asked: dict[str, Any] = from_words(options.get("set", ()))
    if "tag" in options:
        asked = merged(asked, with_pin({"image": {"tag": options["tag"]}}))
    if "replicas" in options:
        asked = merged(asked, {"replicas": options["replicas"]})
    resources = {name: options[name] for name in ("cpu", "memory") if name in options}
    return merged(asked, {"resources": resources}) if resources else asked


def _for_repository(
    cluster: Cluster,
    ref: GatewayRef,
    form: str,
    asked: Mapping[str, Any],
    options: Mapping[str, Any],
) -> str:
    deployment = deployment_of(cluster, ref)
    before = _before(cluster, ref, deployment)
    known = spec_to_mapping(before)
    try:
        after = spec_from_mapping(unpinned(known, merged(known, asked), asked))
    except WrongValue as error:
        raise as_option(error, options) from error
    if form == "kustomize":
        return kustomize_patches(before, after, _declared(deployment))
    if not asked and after.apim.configuration_endpoint == UNKNOWN_ENDPOINT:
        raise NotFound(
            f"The endpoint that the pods of {ref} are given cannot be read.",
            meaning="Without it not all values of the chart are known.",
            remedy="Name what is to change, such as --tag.",
        )
    secret = token_secret_of(deployment["spec"]["template"]["spec"]) or ("", "")
    return chart_values(before if asked else None, after, secret)


def _before(cluster: Cluster, ref: GatewayRef, deployment: Manifest) -> GatewaySpec:
    if carried_spec(deployment, ref) is not None:
        return installed(cluster, ref).spec
    pod_spec = deployment["spec"]["template"].get("spec") or {}
    given = read_given(cluster, ref.namespace, pod_spec)
    return outline_of(ref, deployment, given, gateway=given.value("gateway.name"))


def _declared(deployment: Manifest) -> Declared:
    container = container_of(deployment)
    limits = (container.get("resources") or {}).get("limits") or {}
    return Declared(
        frozenset(str(each.get("name", "")) for each in container.get("env") or ()),
        bool(settings_maps(deployment)),
        "memory" in limits,
    )


def _send(slack: WebClient, user: str, name: str, text: str, said: str) -> None:
    try:
        opened: Any = slack.conversations_open(users=user)
        slack.files_upload_v2(
            channel=opened["channel"]["id"],
            filename=name,
            title=name,
            content=text,
            initial_comment=said,
        )
    except SlackApiError as error:
        raise Unavailable(
            f"Slack refused the file: {error.response.get('error', 'no reason given')}.",
            remedy="The app needs the scopes files:write and im:write.",
        ) from error


VERB = Verb(
    "export",
    "sends you a gateway's manifests as YAML, without secrets",
    Needs,
    run,
    Right.INSPECT,
    group=Group.LOOK,
    alone=True,
    gateway="required",
    options=(
        Option("for", "a patch or chart values for its repository", choices=_FORMS),
        Option("tag", "with --for: image tag to change to", "tag"),
        Option("replicas", "with --for: how many pods", "number", "number"),
        Option("cpu", "with --for: CPU each pod asks for", "quantity"),
        Option("memory", "with --for: memory each pod asks for", "quantity"),
        Option("set", "with --for: any other field of the spec", "field=value", "many"),
    ),
    examples=("export edge-1", "export edge-1 --for kustomize --tag 2.12.1"),
)
