"""Answers to one person: through the response_url while it lives, else as an ephemeral or a DM."""

import logging
from dataclasses import replace
from typing import Any, Literal

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.webhook import WebhookClient

from handlers.slack.api_errors import unsure
from handlers.slack.own_command import command_of, renamed
from handlers.views.fitting import fitted
from handlers.views.reply import Reply

log = logging.getLogger(__name__)

_SECONDS = 5


def send(
    slack: WebClient,
    reply: Reply,
    *,
    user: str,
    channel: str,
    response_url: str,
    thread: str = "",
) -> bool:
    """Show `reply` to `user` alone, in that thread of the channel if there is one; False where no way
    to do so worked, and one may later.

    A response_url takes five answers in thirty minutes; a bot that is not a member of a channel can
    post nothing there, so the last way is the person's own direct messages.
    """
    text, blocks, _ = fitted(reply.text, reply.blocks)
    reply = replace(reply, text=text, blocks=tuple(blocks))
    message: dict[str, Any] = {"text": text, "blocks": blocks or None}
    if response_url and _through_url(slack, response_url, reply):
        return True
    place = {"channel": channel, **({"thread_ts": thread} if thread else {})}
    here = (
        _called(slack.chat_postEphemeral, user=user, **place, **message) if channel else "refused"
    )
    if here == "shown":
        return True
    direct = _called(slack.chat_postMessage, channel=user, **message)
    return direct == "shown" or (here, direct) == ("refused", "refused")


def _through_url(slack: WebClient, url: str, reply: Reply) -> bool:
    try:
        answer = WebhookClient(url, timeout=_SECONDS, ssl=slack.ssl).send(
            text=renamed(reply.text, command_of(slack)),
            blocks=renamed(list(reply.blocks), command_of(slack)) or None,
            response_type="ephemeral",
            replace_original=reply.replace,
        )
    except (SlackClientError, OSError) as error:
        log.info("a response_url did not answer: %s", type(error).__name__)
        return False
    return bool(answer.status_code == 200)


def _called(method: Any, **arguments: Any) -> Literal["shown", "refused", "later"]:
    try:
        method(**arguments)
    except SlackApiError as error:
        log.info("%s refused: %s", method.__name__, error.response.get("error"))
        limited = error.response.status_code == 429
        return "later" if limited or unsure(error) else "refused"
    except (SlackClientError, OSError) as error:
        log.info("%s did not answer: %s", method.__name__, type(error).__name__)
        return "later"
    return "shown"
