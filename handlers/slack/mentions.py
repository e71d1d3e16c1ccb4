"""Messages that are meant for the bot: those that mention it, and those sent to it in person. Pure.

Slack delivers the first as `app_mention`, never of direct messages, and the second as `message` of the
type `im` (docs.slack.dev/reference/events/app_mention and message.im). What bots say, what was edited,
and whatever else happens in a conversation is not meant for it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handlers.slack.payloads import said_id
from handlers.slack.typed_text import as_typed

_MENTION = re.compile(r"<@(?P<user>[UW][A-Z0-9]+)(?:\|[^<>]*)?>")
_NEVER = ("bot_id", "edited", "hidden")
"""Fields of messages that nobody has just typed."""
_TYPED = ("file_share", "thread_broadcast")
"""Subtypes of messages that somebody has: with a file, and in a thread but shown in its channel too."""


@dataclass(frozen=True)
class Said:
    """What somebody said to the bot, without its name; `id` is that of the message, however often and
    by whichever event it is delivered.

    `thread` is the ts of the message in whose thread the answer belongs, empty in a direct message
    outside of threads. `addressed` says that the message begins with the bot's name, or was sent to
    the bot alone: else it may be about the bot.
    """

    id: str
    user: str
    channel: str
    thread: str
    text: str
    addressed: bool


def said_to_bot(body: Mapping[str, Any]) -> Said | None:
    """What an event says to the bot; None where it says nothing to it."""
    event = body["event"]
    in_person = event["type"] == "message"
    if in_person and event.get("channel_type") != "im":
        return None
    if any(event.get(name) for name in _NEVER) or event.get("subtype") not in (None, "", *_TYPED):
        return None
    bot = _bot_of(body)
    user, text = str(event.get("user") or ""), str(event.get("text") or "")
    if not user or user == bot:
        return None
    found = next((m for m in _MENTION.finditer(text) if not bot or m["user"] == bot), None)
    if found is None:
        if not in_person:
            return None
        before, said = "", text
    else:
        before, said = text[: found.start()], text[found.end() :]
    if in_person and before.strip():
        before, said = "", text
    thread = str(event.get("thread_ts") or "")
    return Said(
        id=said_id(event["channel"], event["ts"]),
        user=user,
        channel=event["channel"],
        thread=thread if in_person else thread or event["ts"],
        text=_bare(as_typed(said)),
        addressed=in_person or not before.strip(),
    )


def _bot_of(body: Mapping[str, Any]) -> str:
    """The bot's own user id, as Slack says for whom the event is; empty where it does not."""
    granted = body.get("authorizations") or ()
    return next((str(each.get("user_id") or "") for each in granted if each.get("is_bot")), "")


def _bare(text: str) -> str:
    """Without what people put around a command, as in code."""
    return text.strip().strip("`").lstrip(",:").strip()
