"""Change freezes, said before they refuse anything. Pure."""

import dataclasses
from collections.abc import Sequence

from deploy.access import Environment, Freeze
from handlers.views.reply import Reply
from handlers.views.text import context, cut, date, escape
from handlers.views.words import freezes as words

_SHOWN = 5

Freezes = Sequence[tuple[Environment, Freeze]]
"""Each with the environment that it is in."""


def line(environment: Environment, freeze: Freeze, now: float) -> str:
    """One freeze at that moment (epoch seconds)."""
    name, reason = escape(environment.name), escape(cut(freeze.reason, 200))
    starts, until = freeze.starts.timestamp(), date(freeze.ends.timestamp())
    if starts > now:
        return words.will_freeze(name, date(starts), until, reason)
    return words.frozen(name, until, reason)


def told(reply: Reply, freezes: Freezes, now: float) -> Reply:
    """The same, with the freezes below its title."""
    blocks = [context(line(*each, now)) for each in freezes[:_SHOWN]]
    return dataclasses.replace(reply, blocks=(*reply.blocks[:1], *blocks, *reply.blocks[1:]))
