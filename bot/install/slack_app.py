"""`gateway-bot slack-manifest`: the manifest of the Slack app for either mode, with its reasons. Pure."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bot.settings import SlackSettings, load_settings
from deploy.errors import InvalidInput

_HEAD = """\
# Paste this at https://api.slack.com/apps → Create New App → From a manifest.
"""
_FOR_HTTP = """\
# It is for Socket Mode. For HTTP mode: gateway-bot slack-manifest --mode http --url https://YOUR-HOST
"""
_APP = """\
_metadata:
  major_version: 2
  minor_version: 0
display_information:
  name: gateway-bot
  description: Deploys and operates API Management self-hosted gateways
features:
  bot_user:
    display_name: gateway-bot
    always_online: true
  app_home:
    home_tab_enabled: true
    messages_tab_enabled: true
    # So that people can write to the bot in person.
    messages_tab_read_only_enabled: false
  slash_commands:
    - command: {command}
      description: Deploy and operate API Management gateways
      usage_hint: deploy | status | help
      should_escape: true
{command_url}oauth_config:
  scopes:
    bot:
{scopes}settings:
  socket_mode_enabled: {socket}
  interactivity:
    is_enabled: true
{interactivity_urls}  event_subscriptions:
{events_url}    bot_events:
      - app_home_opened
      - app_mention
      - message.im
  org_deploy_enabled: false
  token_rotation_enabled: false
"""


@dataclass(frozen=True)
class Scope:
    """A scope, what it is for, and whether the bot cannot work without."""

    name: str
    why: str
    needed: bool = True


SCOPES: tuple[tuple[str, tuple[Scope, ...]], ...] = (
    ("", (Scope("commands", "to receive commands"), Scope("chat:write", "to answer"))),
    (
        "Answers messages that mention the bot.",
        (Scope("app_mentions:read", "to answer messages that mention the bot", False),),
    ),
    (
        "Finds a message whose posting was never confirmed, instead of posting it twice.",
        (
            Scope("channels:history", "to find messages that Slack never confirmed"),
            Scope("groups:history", "the same in private channels", False),
        ),
    ),
    (
        "Finds the messages of lost requests, should Redis lose its data; and tells `gateway-bot check` whether a\n"
        "channel is shared with another workspace.",
        (
            Scope(
                "channels:read",
                "to find lost requests, and see which channels other workspaces share",
                False,
            ),
            Scope("groups:read", "the same for private channels", False),
            Scope("im:read", "to find lost requests in direct messages", False),
        ),
    ),
    (
        "Notifies the requester in person, finds what was sent before, and answers what is written to the bot.",
        (
            Scope("im:write", "to notify requesters in direct messages"),
            Scope("im:history", "to notify them only once"),
        ),
    ),
    (
        "Who is an approver is asked at each click.",
        (Scope("usergroups:read", "to know who approves"),),
    ),
    (
        "Checks that a person is in this workspace when their payload names another one.",
        (Scope("users:read", "to know who is a member of the workspace"),),
    ),
    (
        "Files of `/gateway export` and `/gateway logs`.",
        (Scope("files:write", "to send files"),),
    ),
    ("A spec as a file in the form.", (Scope("files:read", "to read specs from uploaded files"),)),
)
"""What the manifest asks for, with its comments, and what `gateway-bot check` looks for."""


def print_slack_manifest(config: Path | None, mode: str | None, url: str | None) -> int:
    """Print the manifest; what the options do not say is as in the settings, where some are given."""
    slack = load_settings(config).slack if config is not None else SlackSettings()
    mode = mode or slack.mode
    if mode == "socket":
        if url is not None:
            raise InvalidInput(
                "--url is for HTTP mode; over Socket Mode Slack asks no URL.",
                remedy="Add --mode http, or leave --url out.",
            )
        print(slack_manifest(slack.command), end="")
        return 0
    if url is None:
        raise InvalidInput(
            "HTTP mode needs the address at which Slack reaches the bot.",
            remedy="Give it with --url https://YOUR-HOST.",
        )
    print(slack_manifest(slack.command, address(url, slack.http.path)), end="")
    return 0


def address(url: str, path: str) -> str:
    """Where Slack delivers: a host alone gets the path of the settings."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or set(url) & set(" \n\"'#"):
        raise InvalidInput(
            f"--url {url!r} is not an address that Slack delivers to.",
            remedy="It begins with https://, as in https://gateway-bot.example.com.",
        )
    return url if parts.path.strip("/") else f"{url.rstrip('/')}{path}"


def slack_manifest(command: str, url: str | None = None) -> str:
    """The manifest as YAML: for HTTP mode with the four URLs, else for Socket Mode."""

    def setting(indent: int, name: str, comment: str = "") -> str:
        space = " " * indent
        said = f"{space}# {comment}\n" if comment else ""
        return f"{said}{space}{name}: {url}\n" if url is not None else ""

    options = "Where selects ask for their options; without it those of forms stay empty."
    return (
        _HEAD
        + (_FOR_HTTP if url is None else "")
        + _APP.format(
            command=command,
            socket="true" if url is None else "false",
            scopes=_scopes(),
            command_url=setting(6, "url"),
            interactivity_urls=setting(4, "request_url")
            + setting(4, "message_menu_options_url", options),
            events_url=setting(4, "request_url"),
        )
    )


def _scopes() -> str:
    lines = []
    for comment, scopes in SCOPES:
        lines += [f"      # {line}\n" for line in comment.splitlines()]
        lines += [f"      - {scope.name}\n" for scope in scopes]
    return "".join(lines)
