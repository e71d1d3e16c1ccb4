"""How a mistake or a trouble is shown to the person who met it."""

from deploy.changes.refusal import NotAllowed
from deploy.errors import Conflict, GatewayBotError, Unavailable
from handlers.views.permission import instead
from handlers.views.reply import Reply
from handlers.views.text import context, escape, section


class LinkedConflict(Conflict):
    """A conflict whose meaning links to channels or people: `links` is a sentence of mrkdwn."""

    def __init__(self, happened: str, *, links: str, remedy: str) -> None:
        super().__init__(happened, remedy=remedy)
        self.links = links


def trouble(error: GatewayBotError) -> Reply:
    """What happened, what it means and what to do, for the person's eyes only."""
    lines = [f":warning: *{escape(error.happened)}*"]
    if error.meaning:
        lines.append(escape(error.meaning))
    if isinstance(error, NotAllowed):
        lines.append(instead(error.verdict))
    if isinstance(error, LinkedConflict):
        lines.append(error.links)
    blocks = [section("\n".join(line for line in lines if line))]
    if error.remedy:
        blocks.append(context(escape(error.remedy)))
    return Reply(str(error), tuple(blocks))


def waiting(error: Unavailable, seconds: float) -> Reply:
    """Why an answer takes longer, while it is on its way."""
    text = f"{error.happened} It is asked again in {seconds:.0f} s; your plan follows by itself."
    return Reply(text, (section(f":hourglass_flowing_sand: {escape(text)}"),))


def damaged() -> Reply:
    """That the stored request can no longer be read."""
    text = "Your request could not be read again and was not carried out; please ask once more."
    return Reply(text, (section(f":warning: {text}"),))


def unexpected(reference: str) -> Reply:
    """An error nobody foresaw; the log holds it under `reference`."""
    text = "Something went wrong inside the bot, and this request was not carried out."
    return Reply(
        text,
        (
            section(f":warning: *{text}*"),
            context(f"Tell whoever runs the bot: its log has the details under `{reference}`."),
        ),
    )
