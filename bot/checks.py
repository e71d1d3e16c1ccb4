"""`gateway-bot check`: prove each connection the settings name, and say what is wrong in words."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from bot.clients import (
    arm_client,
    clusters_of,
    environments_of,
    instances_of,
    redis_url,
    registry_of,
)
from bot.settings import Secrets, Settings, load_secrets, load_settings
from deploy.access import Environment, Standing
from deploy.actions import connection
from deploy.azure import ApimInstance, ArmClient
from deploy.errors import GatewayBotError, Unavailable
from deploy.kube.cluster import Cluster
from handlers.slack.people import Team, UserGroups


@dataclass(frozen=True)
class Result:
    """One connection: whether it works and what was found, or what is wrong."""

    name: str
    works: bool
    detail: str


Probe = Callable[[], str]


def check(config: Path) -> int:
    """Try everything at once and print a line for each; 0 when all of it works."""
    settings = load_settings(config)
    results = probe_all(probes(settings, load_secrets(settings)))
    for result in results:
        print(f"{'ok  ' if result.works else 'FAIL'}  {result.name}: {result.detail}")
    return 0 if all(result.works for result in results) else 1


def probe_all(named: dict[str, Probe]) -> list[Result]:
    """Run every probe at once."""
    with ThreadPoolExecutor(max(1, len(named))) as pool:
        return list(pool.map(lambda item: _result(*item), named.items()))


def probes(settings: Settings, secrets: Secrets) -> dict[str, Probe]:
    """What there is to try, by the name a person is shown."""
    session = requests.Session()
    arm = arm_client(settings, secrets, session)
    named: dict[str, Probe] = {"slack": lambda: _slack(settings, secrets)}
    if settings.slack.mode == "socket":
        named["slack Socket Mode"] = lambda: _socket_mode(settings, secrets)
    for environment in environments_of(settings):
        if environment.production:
            named[f"approvers of {environment.name}"] = _bind(
                _approvers, settings, secrets, environment
            )
    for channel in _warned(settings):
        named[f"channel {channel}"] = _bind(_channel, settings, secrets, channel)
    named["redis"] = lambda: _redis(settings, secrets)
    for instance in instances_of(settings).values():
        named[f"API Management {instance.name}"] = _bind(_apim, arm, instance)
    for cluster in clusters_of(settings).values():
        named[f"cluster {cluster.name}"] = _bind(_cluster, cluster)
    registry = registry_of(settings, session)
    named["image registry"] = lambda: f"{len(registry.tags())} tags"
    return named


def _bind(probe: Callable[..., str], *arguments: object) -> Probe:
    return lambda: probe(*arguments)


def _result(name: str, probe: Probe) -> Result:
    try:
        return Result(name, True, probe())
    except GatewayBotError as error:
        return Result(name, False, str(error))


def _slack(settings: Settings, secrets: Secrets) -> str:
    answer = _slack_call(settings, secrets.slack_bot_token.get_secret_value(), "auth.test")
    granted = {
        scope.strip()
        for scope in str(_header(answer, "x-oauth-scopes")).split(",")
        if scope.strip()
    }
    missing = [f"{scope} ({why})" for scope, why in _SCOPES.items() if scope not in granted]
    if granted and missing:
        raise Unavailable(
            f"The app lacks {', '.join(missing)}.",
            remedy="Add the scopes of docs/slack-app-manifest.yaml and install the app again.",
        )
    return f"signed in to {answer['team']} as {answer['user']}"


_ASKED = 100
_SCOPES = {
    "commands": "to take commands",
    "chat:write": "to answer",
    "channels:history": "to find a message whose posting was never confirmed",
    "im:write": "to tell requesters in person",
    "im:history": "to tell them once",
    "usergroups:read": "to know who approves",
    "users:read": "to know who is a member of the workspace",
    "files:write": "to send files",
    "files:read": "to take a spec as a file",
}


def _header(answer: SlackResponse, name: str) -> str:
    """A header of the answer; slack_sdk gives them as the server wrote them."""
    found = {key.lower(): value for key, value in dict(answer.headers).items()}
    value = found.get(name, "")
    return value if isinstance(value, str) else ",".join(value)


def _approvers(settings: Settings, secrets: Secrets, environment: Environment) -> str:
    approval = environment.approval
    if approval is None:
        raise Unavailable(
            "Nobody approves changes there, so nobody can change it.",
            remedy="Add `approval` to that environment in the settings.",
        )
    token = secrets.slack_bot_token.get_secret_value()
    slack = WebClient(token=token, base_url=settings.slack.api_url, timeout=10)
    groups, team = UserGroups(slack), Team(slack)
    named = set(approval.approvers.users)
    people = named.union(*(groups.members(group) for group in approval.approvers.groups))
    # Slack answers about a hundred such questions a minute (users.info is of tier 4).
    able = [user for user in sorted(people)[:_ASKED] if _can_approve(team, user, user in named)]
    if len(able) < approval.quorum:
        raise Unavailable(
            f"{len(able)} people can approve there, and {approval.quorum} approvals are needed.",
            meaning="Guests who are not named and deactivated people do not count.",
            remedy="Add people to the group, or lower the quorum.",
        )
    return f"{approval.quorum} of {len(able)} people approve"


def _can_approve(team: Team, user: str, named: bool) -> bool:
    standing = team.standing(user)
    return standing is Standing.MEMBER or (standing is Standing.GUEST and named)


def _socket_mode(settings: Settings, secrets: Secrets) -> str:
    token = secrets.slack_app_token.get_secret_value() if secrets.slack_app_token else ""
    _slack_call(settings, token, "apps.connections.open")
    return "a connection may be opened"


def _warned(settings: Settings) -> list[str]:
    """Every channel that is to hear of something by itself."""
    every = [settings.warnings, *(e.warnings for e in settings.environments if e.warnings)]
    places = [place for one in every for place in (one.channel, *one.channels) if place]
    return list(dict.fromkeys(places))


def _channel(settings: Settings, secrets: Secrets, channel: str) -> str:
    # Only what the bot can read of a channel tells, with the scopes it has, that it is in it.
    token = secrets.slack_bot_token.get_secret_value()
    _slack_call(settings, token, "conversations.history", channel=channel, limit="1")
    return "warnings can be told there"


def _slack_call(settings: Settings, token: str, method: str, **given: str) -> SlackResponse:
    client = WebClient(token=token, base_url=settings.slack.api_url, timeout=10)
    try:
        return client.api_call(method, params=given)
    except SlackApiError as error:
        if error.response.get("error") in ("not_in_channel", "channel_not_found"):
            raise Unavailable(
                "The bot is not in that channel.", remedy="Invite it there: `/invite @its-name`."
            ) from error
        raise Unavailable(
            f"Slack refused {method}: {error.response.get('error')}.",
            remedy="Compare the token and its scopes with docs/slack-app-manifest.yaml.",
        ) from error
    except (SlackClientError, OSError) as error:
        raise Unavailable(f"Slack does not answer at {settings.slack.api_url}.") from error


def _redis(settings: Settings, secrets: Secrets) -> str:
    return connection.describe(connection.connect(redis_url(settings, secrets)))


def _apim(arm: ArmClient, instance: ApimInstance) -> str:
    names = [gateway.name for gateway in arm.list_gateways(instance)]
    return f"{len(names)} self-hosted gateways" + (f": {', '.join(names)}" if names else "")


def _cluster(cluster: Cluster) -> str:
    version = cluster.version()
    asked = [(verb, *kind) for kind in _WATCHED for verb in ("list", "watch")]
    may = cluster.at_once([_bind_right(cluster, *right, None) for right in asked])
    missing = [
        f"{verb} {what}" for (verb, _, what), granted in zip(asked, may, strict=True) if not granted
    ]
    if missing:
        raise Unavailable(
            f"The bot may not {', '.join(missing)} in all namespaces.",
            meaning="So it would see no gateway there.",
            remedy="Bind the ClusterRole of docs/install.md to it.",
        )
    namespaces = cluster.namespaces()
    some = namespaces[:_NAMESPACES]
    changes = cluster.at_once(
        [_bind_right(cluster, "patch", "apps", "deployments", n) for n in some]
    )
    changed = [name for name, granted in zip(some, changes, strict=True) if granted]
    told = ", ".join(changed) if changed else "no namespace"
    of = f" of the first {_NAMESPACES}" if len(namespaces) > _NAMESPACES else ""
    return f"Kubernetes {version}, {len(namespaces)} namespaces; may change gateways in {told}{of}"


_WATCHED = (("apps", "deployments"), ("", "pods"))
_NAMESPACES = 100
"""In so many the right to change is asked for."""


def _bind_right(
    cluster: Cluster, verb: str, group: str, resource: str, namespace: str | None
) -> Callable[[], bool]:
    return lambda: cluster.can_i(verb, group, resource, namespace)
