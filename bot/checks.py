"""`gateway-bot check`: prove each connection the settings name, and say what is wrong in words."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from bot.clients import (
    arm_client,
    catalogue_of,
    clusters_of,
    environments_of,
    instances_of,
    operator_channels,
    redis_of,
)
from bot.cluster_checks import cluster_works
from bot.doubt import Doubtful
from bot.settings import Secrets, Settings, load_all
from deploy.access import Environment, Standing
from deploy.actions import connection
from deploy.azure import ApimInstance, ArmClient
from deploy.errors import GatewayBotError, Unavailable
from deploy.images.registry import Registry
from handlers.slack import api_errors
from handlers.slack.people import Team, UserGroups


@dataclass(frozen=True)
class Result:
    """One connection: whether it works and what was found, or what is wrong."""

    name: str
    works: bool
    detail: str
    doubtful: bool = False


Probe = Callable[[], str]


def check(config: Path) -> int:
    """Try everything at once and print a line for each; 0 when all of it works."""
    results = probe_all(probes(*load_all(config)))
    for result in results:
        print(f"{_mark(result)}  {result.name}: {result.detail}")
    return 0 if all(result.works for result in results) else 1


def _mark(result: Result) -> str:
    if result.doubtful:
        return "warn"
    return "ok  " if result.works else "FAIL"


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
    else:
        named["slack HTTP mode"] = lambda: _http_mode(settings)
    for environment in environments_of(settings):
        if environment.production:
            named[f"approvers of {environment.name}"] = _bind(
                _approvers, settings, secrets, environment
            )
    warned, production = operator_channels(settings), _production(settings)
    for channel in dict.fromkeys([*warned, *production]):
        said = "warnings can be posted there" if channel in warned else "plans can be shown there"
        named[f"channel {channel}"] = _bind(
            _channel, settings, secrets, channel, said, channel in production
        )
    named["redis"] = lambda: _redis(settings, secrets)
    for instance in instances_of(settings).values():
        named[f"API Management {instance.name}"] = _bind(_apim, arm, instance)
    for cluster in clusters_of(settings).values():
        named[f"cluster {cluster.name}"] = _bind(cluster_works, cluster)
    catalogue = catalogue_of(settings, secrets, session)
    named["image registry"] = lambda: f"{len(catalogue.released())} tags"
    for repository, mirror in catalogue.mirrors.items():
        if mirror is not catalogue.microsoft:
            named[f"images {repository}"] = _bind(_mirror, mirror)
    return named


def _bind(probe: Callable[..., str], *arguments: object) -> Probe:
    return lambda: probe(*arguments)


def _result(name: str, probe: Probe) -> Result:
    try:
        return Result(name, True, probe())
    except Doubtful as doubt:
        return Result(name, True, str(doubt), doubtful=True)
    except GatewayBotError as error:
        return Result(name, False, str(error))


def _slack(settings: Settings, secrets: Secrets) -> str:
    answer = _slack_call(settings, secrets.slack_bot_token.get_secret_value(), "auth.test")
    if answer.get("is_enterprise_install"):
        raise Unavailable(
            "The bot token belongs to a whole Enterprise organization.",
            meaning=(
                "The bot serves one workspace and cannot tell channels and people of several "
                "workspaces apart."
            ),
            remedy="Install the app in one workspace and use the bot token of that installation.",
        )
    granted = {
        scope.strip()
        for scope in str(_header(answer, "x-oauth-scopes")).split(",")
        if scope.strip()
    }
    missing = [f"{scope} ({why})" for scope, why in _SCOPES.items() if scope not in granted]
    if granted and missing:
        raise Unavailable(
            f"The app lacks {', '.join(missing)}.",
            remedy=_ADD_SCOPES,
        )
    smaller = [f"{scope} ({why})" for scope, why in _HELPFUL.items() if scope not in granted]
    if granted and smaller:
        raise Doubtful(f"The app lacks {', '.join(smaller)}.", remedy=_ADD_SCOPES)
    return f"signed in to {answer['team']} as {answer['user']}"


_ADD_SCOPES = "Add the scopes of docs/slack-app-manifest.yaml and install the app again."
_ASKED = 100
_SCOPES = {
    "commands": "to take commands",
    "chat:write": "to answer",
    "channels:history": "to find messages that Slack never confirmed",
    "im:write": "to notify requesters in direct messages",
    "im:history": "to notify them only once",
    "usergroups:read": "to know who approves",
    "users:read": "to know who is a member of the workspace",
    "files:write": "to send files",
    "files:read": "to read specs from uploaded files",
}
_HELPFUL = {
    "channels:read": "to find lost requests, and see which channels other workspaces share",
    "groups:read": "the same for private channels",
    "im:read": "to find lost requests in direct messages",
    "app_mentions:read": "to answer messages that mention the bot",
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
            "It has no approvers, so nobody can change anything there.",
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
            meaning="Deactivated accounts, and guests who are not named, do not count.",
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


def _http_mode(settings: Settings) -> str:
    """Slack tells a bot nothing of its URLs, so a person has to compare them."""
    return (
        f"Slack needs four URLs that end in {settings.slack.http.path} (docs/install.md): for commands, "
        "interactivity, options load and events; whether they are set cannot be seen from here"
    )


def _production(settings: Settings) -> list[str]:
    """Every channel that the settings name for an environment of production."""
    places: list[str] = []
    for environment in settings.environments:
        if environment.production:
            warned = environment.warnings or settings.warnings
            every = (*environment.channels, warned.channel, *warned.channels)
            places += [place for place in every if place]
    return list(dict.fromkeys(places))


def _channel(
    settings: Settings, secrets: Secrets, channel: str, said: str, production: bool
) -> str:
    # Only what the bot can read of a channel tells, with the scopes it has, that it is in it.
    token = secrets.slack_bot_token.get_secret_value()
    _slack_call(settings, token, "conversations.history", channel=channel, limit="1")
    if production:
        _not_shared(_channel_info(settings, token, channel))
    return said


def _channel_info(settings: Settings, token: str, channel: str) -> Mapping[str, Any]:
    client = WebClient(token=token, base_url=settings.slack.api_url, timeout=10)
    try:
        found: Mapping[str, Any] = client.conversations_info(channel=channel)["channel"]
    except api_errors.FAILURES as error:
        why = api_errors.trouble(error, settings.slack.api_url).what
        raise Doubtful(
            f"Could not check whether other workspaces share it: {why}.",
            remedy="Add the scope channels:read (groups:read for a private channel) to the app.",
        ) from error
    return found


def _not_shared(channel: Mapping[str, Any]) -> None:
    """Doubtful where others than the bot's workspace read a channel of production.

    The fields are those of docs.slack.dev/reference/objects/conversation-object.
    """
    if channel.get("is_ext_shared"):
        how = "It is shared with another workspace through Slack Connect."
    elif channel.get("is_org_shared") or channel.get("is_shared"):
        how = "It is shared with other workspaces in the organization."
    elif channel.get("is_pending_ext_shared") or channel.get("pending_shared"):
        how = "Another workspace has been invited to share it through Slack Connect."
    else:
        return
    raise Doubtful(
        how,
        meaning=(
            "People there can read plans, warnings and logs of production. They cannot approve "
            "or deny."
        ),
        remedy="Stop sharing it, or name another channel in the settings.",
    )


def _slack_call(settings: Settings, token: str, method: str, **given: str) -> SlackResponse:
    client = WebClient(token=token, base_url=settings.slack.api_url, timeout=10)
    try:
        return client.api_call(method, params=given)
    except SlackApiError as error:
        if api_errors.meaning(error) is api_errors.Meaning.CLOSED:
            raise Unavailable(
                "The bot is not a member of that channel.",
                remedy="Invite it there: `/invite @its-name`.",
            ) from error
        why = api_errors.trouble(error)
        raise Unavailable(f"Slack refused {method}: {why.what}.", remedy=why.remedy) from error
    except api_errors.FAILURES as error:
        why = api_errors.trouble(error, settings.slack.api_url)
        raise Unavailable(
            f"Slack does not answer at {settings.slack.api_url}: {why.what}.", remedy=why.remedy
        ) from error


def _redis(settings: Settings, secrets: Secrets) -> str:
    return connection.describe(redis_of(settings, secrets)())


def _mirror(registry: Registry) -> str:
    try:
        return f"{len(registry.tags())} tags"
    except GatewayBotError as error:
        raise Doubtful(
            error.happened,
            meaning="Plans cannot check whether a tag exists.",
            remedy=error.remedy,
        ) from error


def _apim(arm: ArmClient, instance: ApimInstance) -> str:
    names = [gateway.name for gateway in arm.list_gateways(instance)]
    return f"{len(names)} self-hosted gateways" + (f": {', '.join(names)}" if names else "")
