"""How a mistake or a trouble is shown to the person who met it."""

import re

from deploy.errors import GatewayBotError, Unavailable
from handlers.views.reply import Reply
from handlers.views.text import context, escape, section

_CHANNEL = re.compile(r"&lt;#([CG][A-Z0-9]{2,20})&gt;")
"""A channel that a sentence names; a link to one shows its name and calls nobody."""


def trouble(error: GatewayBotError) -> Reply:
    """What happened, what it means and what to do, for the person's eyes only."""
    lines = [f":warning: *{_sentence(error.happened)}*"]
    if error.meaning:
        lines.append(_sentence(error.meaning))
    blocks = [section("\n".join(lines))]
    if error.remedy:
        blocks.append(context(escape(error.remedy)))
    return Reply(str(error), tuple(blocks))


def waiting(error: Unavailable, seconds: float) -> Reply:
    """Why an answer takes longer, while it is on its way."""
    text = f"{error.happened} It is asked again in {seconds:.0f} s; your plan follows by itself."
    return Reply(text, (section(f":hourglass_flowing_sand: {escape(text)}"),))


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


def _sentence(text: str) -> str:
    return _CHANNEL.sub(r"<#\1>", escape(text))
