"""Clicks as the listeners hand them on, and what is said to whoever clicked."""

from collections.abc import Callable, Mapping
from typing import Any

from deploy.errors import GatewayBotError
from handlers.slack.payloads import Click
from handlers.views import errors
from handlers.views.reply import Reply


def clicked(
    user: str,
    value: str = "",
    name: str = "go",
    *,
    at: str = "1.0",
    channel: str = "C1",
    message: Mapping[str, Any] | None = None,
) -> Click:
    """A click on a button of that action_id in a message that everybody sees."""
    click_id = f"{user}:{name}:{at}"
    return Click(click_id, name, user, channel, "trigger", "", value, message or {})


def heard(work: Callable[[], Reply | None]) -> str:
    """What is said of it, a trouble included; nothing where there is nothing to say."""
    try:
        reply = work()
    except GatewayBotError as error:
        reply = errors.trouble(error)
    return f"{reply.text} {reply.blocks}" if reply is not None else ""
