"""A reply that its reader can show everybody in the channel. Pure."""

import dataclasses

from handlers.views.reply import Reply
from handlers.views.text import button, context, date
from handlers.views.words import sharing as words

_ELEMENTS = 25
"""Elements that an actions block takes (Slack's Block Kit reference)."""


def offered(reply: Reply, action_id: str, value: str) -> Reply:
    """The reply with a button that shares it."""
    share = button(words.BUTTON, action_id, value)
    *others, last = reply.blocks or ({"type": ""},)
    if last["type"] != "actions" or len(last["elements"]) >= _ELEMENTS:
        return dataclasses.replace(
            reply, blocks=(*reply.blocks, {"type": "actions", "elements": [share]})
        )
    return dataclasses.replace(
        reply, blocks=(*others, {**last, "elements": [*last["elements"], share]})
    )


def shared(reply: Reply, user: str, read_at: float) -> Reply:
    """What the channel is shown: the reply, by whom, and of when it is."""
    said = context(words.shared(user, date(read_at, "{date_short_pretty} at {time_secs}")))
    first = 1 if reply.blocks and reply.blocks[0]["type"] == "header" else 0
    blocks = (*reply.blocks[:first], said, *reply.blocks[first:])
    return Reply(f"{reply.text}, shared by <@{user}>", blocks)
