"""The messages that are kept current for some minutes: the lines below their content."""

from deploy.health.live_messages import Ending, LiveMessage
from handlers.views.notification import first_sentence
from handlers.views.reply import Block
from handlers.views.text import button, context, date
from handlers.views.words.sharing import not_shared

_BLOCKS = 48
_CAUSES = {
    "over": "its time is over",
    "gone": "the bot's store was emptied",
    "restarted": "the bot was restarted",
    "failed": "it could not be kept current",
    "left": "the bot that kept it current is gone",
}
LOST = (
    "Slack did not accept the message that you asked for, so it is missing or out of date. Ask again "
    "in a channel that the bot is in."
)


def message(live: LiveMessage, stop_id: str) -> tuple[str, list[Block]]:
    """What it shows, and until when it is kept current, or why it no longer is."""
    text, blocks = first_sentence(str(live.shown["text"])), list(live.shown["blocks"])[:_BLOCKS]
    whose = f"<@{live.payload['user']}>"
    if live.ending is None:
        by = f"asked by {whose}"
        until = context(f"Kept current until {date(live.ends, '{time}')}, {by}")
        stop = button("Stop updating", stop_id, live.id)
        actions = {"type": "actions", "elements": [stop]}
        return f"{text}, kept current for {whose}", [*blocks, until, actions]
    if live.ending.cause == "shown" and shared(live):
        return text, blocks
    if live.ending.cause == "shown":
        return f"{text}, for {whose}", blocks
    return f"{text}, no longer kept current for {whose}", [*blocks, context(_ended(live.ending))]


def shared(live: LiveMessage) -> bool:
    """Whether somebody shows a channel what they were shown."""
    return bool(live.payload.get("shared"))


def lost(live: LiveMessage) -> str:
    """For the person who asked, where Slack takes the message nowhere."""
    return not_shared(str(live.payload["channel"])) if shared(live) else LOST


def plain(live: LiveMessage) -> str:
    """Whether it is kept current, for what Slack does not show."""
    refused = "Slack rejected the content of this message."
    if live.ending is None or live.ending.cause == "shown":
        return refused
    return f"{refused} {_ended(live.ending)}"


def _ended(ending: Ending) -> str:
    stopped = ending.cause == "stopped"
    because = f"stopped by <@{ending.by}>" if stopped else _CAUSES[ending.cause]
    return f"As of {date(ending.at, '{time}')}; no longer kept current: {because}."
