"""How a mistake or a trouble is shown to the person who met it."""

from deploy.errors import GatewayBotError
from handlers.verb import Reply
from handlers.views.text import context, escape, section


def trouble(error: GatewayBotError) -> Reply:
    """What happened, what it means and what to do, for the person's eyes only."""
    lines = [f":warning: *{escape(error.happened)}*"]
    if error.meaning:
        lines.append(escape(error.meaning))
    blocks = [section("\n".join(lines))]
    if error.remedy:
        blocks.append(context(escape(error.remedy)))
    return Reply(str(error), tuple(blocks))


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
