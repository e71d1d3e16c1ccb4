"""Answers to one person: with the ack, through the response_url while it lives, else as an ephemeral or a
DM. Every reply leaves through here, within Slack's bounds.
"""

import logging
from dataclasses import replace
from typing import Any, Literal

from slack_bolt import Ack
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.webhook import WebhookClient

from handlers.slack.api_errors import unsure
from handlers.slack.own_command import command_of, renamed
from handlers.views.fitting import fitting_reply
from handlers.views.reply import Reply

log = logging.getLogger(__name__)

_SECONDS = 5


def with_ack(ack: Ack, reply: Reply, command: str) -> None:
    """Show `reply` at once to whoever typed `command`, as this installation calls it, and nobody else."""
    fit = fitting_reply(_renamed(reply, command))
    ack(text=fit.text, blocks=list(fit.blocks), response_type="ephemeral")


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
    reply = fitting_reply(reply)
    message: dict[str, Any] = {"text": reply.text, "blocks": list(reply.blocks) or None}
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


def _renamed(reply: Reply, command: str) -> Reply:
    return replace(
        reply,
        text=renamed(reply.text, command),
        blocks=tuple(renamed(list(reply.blocks), command)),
    )


def _through_url(slack: WebClient, url: str, reply: Reply) -> bool:
    own = _renamed(reply, command_of(slack))
    try:
        answer = WebhookClient(url, timeout=_SECONDS, ssl=slack.ssl).send(
            text=own.text,
            blocks=list(own.blocks) or None,
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
