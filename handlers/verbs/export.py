"""`/gateway export`: a gateway's manifests as a file, ready for kustomize, without any secret."""

from typing import Any

from slack_sdk.errors import SlackApiError

from deploy.access import Right
from deploy.errors import Unavailable
from deploy.observed.installed import installed
from deploy.rendering.export import exported
from handlers.fleet import find
from handlers.services import Services
from handlers.slack.payloads import Request
from handlers.verbs.verb import Verb
from handlers.views.reply import Reply
from handlers.views.text import escape, section


def run(services: Services, request: Request) -> Reply:
    """Send the file to the requester alone, in the messages with the app."""
    ref = find(services.caches, request.gateway)
    gateway = installed(services.clusters[ref.cluster], ref)
    text = exported(gateway)
    name = f"{ref.cluster}-{ref.namespace}-{ref.name}.yaml"
    try:
        opened: Any = services.slack.conversations_open(users=request.user)
        services.slack.files_upload_v2(
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
    run,
    Right.INSPECT,
    gateway="required",
    examples=("export edge-1",),
)
