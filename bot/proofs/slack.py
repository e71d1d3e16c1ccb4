"""Whether Slack accepts the bot's tokens, its app has every scope, and channels and people are as the
settings say."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from bot.clients import environments_of, operator_channels
from bot.doubt import Doubtful
from bot.install.slack_app import SCOPES, Scope
from bot.proofs.commands import command
from bot.proofs.people import Standings, approving, requesting, says
from bot.proofs.results import Find, Prove, Result, found, one, wrong
from bot.settings import Secrets, Settings
from deploy.errors import GatewayBotError, Unavailable
from handlers.slack import api_errors

_TIMEOUT = 10
_APP_OF_TOKEN = re.compile(r"xapp-[0-9]+-(A[A-Z0-9]+)-")
"""An app-level token has the id of its app in it."""
_TOKENS = "at https://api.slack.com/apps, under"


class Slack:
    """Slack as the bot's token sees it."""

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        self.url = settings.slack.api_url
        self.token = secrets.slack_bot_token.get_secret_value()

    def call(self, method: str, token: str = "", **given: str) -> SlackResponse:
        """The answer. Unavailable with what to do where there is none."""
        client = WebClient(token=token or self.token, base_url=self.url, timeout=_TIMEOUT)
        try:
            return client.api_call(method, params=given)
        except api_errors.FAILURES as error:
            why = api_errors.trouble(error, self.url)
            if isinstance(error, SlackApiError):
                happened = f"Slack refused {method}: {why.what}."
            else:
                happened = f"Slack does not answer at {self.url}: {why.what}."
            raise Unavailable(happened, remedy=why.remedy) from error


def proofs(settings: Settings, secrets: Secrets, config: Path) -> dict[str, Prove]:
    """By the name a person is shown."""
    slack = Slack(settings, secrets)
    asked_of = Standings(WebClient(token=slack.token, base_url=slack.url, timeout=_TIMEOUT))
    named: dict[str, Prove] = {"slack": lambda: _workspace(slack, settings, config)}
    if settings.slack.mode == "socket":
        named["slack Socket Mode"] = one("slack Socket Mode", lambda: _socket_mode(slack, secrets))
    else:
        named["slack HTTP mode"] = one("slack HTTP mode", lambda: http_mode(settings))
    for environment in environments_of(settings):
        if environment.approval is not None or environment.production:
            name = f"approvers of {environment.name}"
            named[name] = one(name, approving(asked_of, environment))
        if environment.requesters is not None:
            name = f"requesters of {environment.name}"
            named[name] = one(name, requesting(asked_of, environment.requesters))
    warned, production, asked = operator_channels(settings), _production(settings), _asked(settings)
    for channel in dict.fromkeys([*warned, *production, *asked]):
        said = "warnings can be posted there" if channel in warned else "plans can be shown there"
        name = f"channel {channel}"
        named[name] = one(name, _posting(slack, channel, said, channel in production))
    return named


def _workspace(slack: Slack, settings: Settings, config: Path) -> list[Result]:
    try:
        answer = slack.call("auth.test")
    except GatewayBotError as error:
        return [wrong("slack", error)]
    return [
        found("slack", lambda: signed_in(answer)),
        found("slack scopes", lambda: _scopes(answer, settings, config)),
    ]


def signed_in(answer: Any) -> str:
    """Whose token it is, by the answer of auth.test. Unavailable where no bot can use it."""
    if answer.get("is_enterprise_install"):
        raise Unavailable(
            "The bot token belongs to a whole Enterprise organization.",
            meaning=(
                "The bot serves one workspace and cannot tell channels and people of several "
                "workspaces apart."
            ),
            remedy="Install the app in one workspace and use the bot token of that installation.",
        )
    if not answer.get("bot_id"):
        raise Unavailable(
            "SLACK_BOT_TOKEN is the token of a person, not of the app.",
            meaning="The bot would act as that person.",
            remedy=f"Use the bot token (xoxb-) {_TOKENS} OAuth & Permissions.",
        )
    return f"signed in to {answer['team']} as {answer['user']}"


def _scopes(answer: SlackResponse, settings: Settings, config: Path) -> str:
    granted = set(re.split(r"[\s,]+", _header(answer, "x-oauth-scopes"))) - {""}
    if not granted:
        raise Doubtful(
            "Slack did not say which scopes the app has.",
            remedy="Compare them with docs/slack-app-manifest.yaml.",
        )
    wanted = [scope for _, scopes in SCOPES for scope in scopes]
    missing = [scope for scope in wanted if scope.name not in granted]
    if not missing:
        return f"the app has all {len(wanted)}"
    printing = command("slack-manifest", config, "--mode", settings.slack.mode)
    remedy = f"Add them {_TOKENS} OAuth & Permissions (or paste what {printing} prints under App "
    remedy += "Manifest), and install the app again."
    needed = [scope for scope in missing if scope.needed]
    kind = Unavailable if needed else Doubtful
    raise kind(f"The app lacks {_named(needed + [s for s in missing if s not in needed])}.",
               remedy=remedy)  # fmt: skip


def _named(scopes: Iterable[Scope]) -> str:
    return ", ".join(f"{scope.name} ({scope.why})" for scope in scopes)


def _header(answer: SlackResponse, name: str) -> str:
    """A header of the answer; slack_sdk gives them as the server wrote them."""
    all_of_them = {key.lower(): value for key, value in dict(answer.headers).items()}
    value = all_of_them.get(name, "")
    return value if isinstance(value, str) else ",".join(value)


def _socket_mode(slack: Slack, secrets: Secrets) -> str:
    token = secrets.slack_app_token.get_secret_value() if secrets.slack_app_token else ""
    try:
        slack.call("apps.connections.open", token)
    except Unavailable as error:
        if says(error, api_errors.lacks_scope):
            error.remedy = (
                f"Make an app-level token with the scope connections:write {_TOKENS} Basic "
                "Information, and set SLACK_APP_TOKEN to it."
            )
        raise
    _of_one_app(slack, token)
    return "a connection may be opened"


def _of_one_app(slack: Slack, token: str) -> None:
    """Unavailable where the app-level token is of another app than the bot token: what is typed would
    go to nobody."""
    of_token = _APP_OF_TOKEN.match(token)
    if of_token is None:
        return
    try:
        bot = slack.call("auth.test").get("bot_id")
        app = slack.call("bots.info", bot=str(bot))["bot"]["app_id"]
    except (GatewayBotError, KeyError):
        # What is wrong with the bot token is said of it.
        return
    if app != of_token[1]:
        raise Unavailable(
            f"SLACK_APP_TOKEN is of the app {of_token[1]}, and SLACK_BOT_TOKEN of the app {app}.",
            meaning="Commands would not reach this bot.",
            remedy=f"Copy both {_TOKENS} one app.",
        )


def http_mode(settings: Settings) -> str:
    """Slack tells a bot nothing of its URLs, so a person has to compare them."""
    return (
        f"Slack needs four URLs that end in {settings.slack.http.path} (docs/http-mode.md): for commands, "
        "interactivity, options load and events; whether they are set cannot be seen from here"
    )


def _error(error: GatewayBotError) -> str:
    """Slack's name of what an error of ours was made of."""
    cause = error.__cause__
    return api_errors.name(cause) if isinstance(cause, SlackApiError) else ""


def _production(settings: Settings) -> list[str]:
    """Every channel that the settings name for an environment of production."""
    places: list[str] = []
    for environment in settings.environments:
        if environment.production:
            warned = environment.warnings or settings.warnings
            every = (*environment.channels, warned.channel, *warned.channels)
            places += [place for place in every if place]
    return list(dict.fromkeys(places))


def _asked(settings: Settings) -> list[str]:
    """Every channel in which changes of some environment may be asked for."""
    return [channel for environment in settings.environments for channel in environment.channels]


def _posting(slack: Slack, channel: str, said: str, production: bool) -> Find:
    def post() -> str:
        # Only what the bot can read of a channel tells, with the scopes it has, that it is in it.
        try:
            slack.call("conversations.history", channel=channel, limit="1")
        except Unavailable as error:
            raise _unread(slack, error, channel) from error
        if production:
            not_shared(_channel_info(slack, channel))
        return said

    return post


def _own_name(slack: Slack) -> str:
    try:
        return str(slack.call("auth.test")["user"])
    except (GatewayBotError, KeyError):
        return "its-name"


def _unread(slack: Slack, error: Unavailable, channel: str) -> GatewayBotError:
    cause = error.__cause__
    if not isinstance(cause, SlackApiError):
        return error
    if api_errors.archived(cause):
        return Unavailable(
            f"The channel {channel} is archived.",
            remedy="Name another one in the settings, or restore it.",
        )
    if api_errors.meaning(cause) is api_errors.Meaning.CLOSED:
        return Unavailable(
            "The bot is not a member of that channel.",
            remedy=f"Invite it there: `/invite @{_own_name(slack)}`. If the channel does not exist, "
            "correct its ID in the settings.",
        )
    if api_errors.lacks_scope(cause):
        needed = str(cause.response.get("needed") or "groups:history")
        return Doubtful(
            f"The app lacks the scope {needed}, so whether the bot is in that channel is not known.",
            remedy=f"Add it {_TOKENS} OAuth & Permissions, and install the app again.",
        )
    return error


def _channel_info(slack: Slack, channel: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = slack.call("conversations.info", channel=channel)["channel"]
    except Unavailable as error:
        raise Doubtful(
            f"Could not check whether other workspaces share it: {_error(error) or error.happened}.",
            remedy="Add the scope channels:read (groups:read for a private channel) to the app.",
        ) from error
    return found


def not_shared(channel: Mapping[str, Any]) -> None:
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
