"""Answers to what somebody said to the bot: they begin with how that was read. Pure."""

from handlers.views.reply import Reply
from handlers.views.text import context, escape
from handlers.views.words import mentions as words


def understood(reply: Reply | None, slash: str, command: str) -> Reply | None:
    """The answer with the command that the message was read as, if it was one. What a command shows
    elsewhere, as a plan in its channel, has nothing but that here."""
    if not command:
        return reply
    text = words.understood(escape(slash), escape(command))
    if reply is None:
        return Reply(text, (context(text),))
    return Reply(f"{text} {reply.text}", (context(text), *reply.blocks))
