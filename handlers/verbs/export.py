"""`/gateway export`: a gateway's manifests as a file, ready for kustomize, without any secret."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from deploy.access import Right
from deploy.errors import Unavailable
from deploy.health.cache import ClusterCache
from deploy.kube.cluster import Cluster
from deploy.observed.installed import installed
from deploy.rendering.export import exported
from handlers.fleet import find
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views.reply import Reply
from handlers.views.text import escape, section


@dataclass(frozen=True)
class Needs:
    """The clusters, and Slack, which takes the file."""

    slack: WebClient
    caches: Mapping[str, ClusterCache]
    clusters: Mapping[str, Cluster]


def run(needs: Needs, request: Request) -> Reply:
    """Send the file to the requester alone, in the messages with the app."""
    ref = find(needs.caches, request.gateway)
    gateway = installed(needs.clusters[ref.cluster], ref)
    text = exported(gateway)
    name = f"{ref.cluster}-{ref.namespace}-{ref.name}.yaml"
    try:
        opened: Any = needs.slack.conversations_open(users=request.user)
        needs.slack.files_upload_v2(
            channel=opened["channel"]["id"],
            filename=name,
            title=name,
            content=text,
            initial_comment=f"{ref} as it is deployed. Its token is not in it.",
        )
    except SlackApiError as error:
        raise Unavailable(
            f"Slack did not take the file: {error.response.get('error', 'no reason given')}.",
            remedy="The app needs the scopes files:write and im:write.",
        ) from error
    said = f"{name} is in your messages with this app."
    return Reply(said, (section(f":page_facing_up: {escape(said)}"),))


VERB = Verb(
    "export",
    "sends you a gateway's manifests as YAML, without secrets",
    Needs,
    run,
    Right.INSPECT,
    gateway="required",
    examples=("export edge-1",),
)
