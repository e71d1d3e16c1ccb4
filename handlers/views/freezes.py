"""Change freezes, said before they refuse anything, and pauses beside them. Pure."""

import dataclasses
from collections.abc import Sequence

from deploy.access import Environment, Freeze
from deploy.actions.pauses import Pause
from handlers.views import pauses as pause_view
from handlers.views.places import named
from handlers.views.reply import Reply
from handlers.views.text import context, cut, date, escape
from handlers.views.words import freezes as words
from handlers.views.words import pauses as pause_words
from handlers.views.words.reasons import given

_SHOWN = 5

Freezes = Sequence[tuple[Environment, Freeze]]
"""Each with the environment that it is in."""


def line(environment: Environment, freeze: Freeze, now: float) -> str:
    """One freeze at that moment (epoch seconds)."""
    name, reason = escape(named(environment)), escape(given(cut(freeze.reason, 200)))
    starts, until = freeze.starts.timestamp(), date(freeze.ends.timestamp())
    if starts > now:
        return words.will_freeze(name, date(starts), until, reason)
    return words.frozen(name, until, reason)


def told(reply: Reply, freezes: Freezes, now: float, pauses: Sequence[Pause] | None = ()) -> Reply:
    """The same, with pauses and freezes below its title; None where it is not known what is paused."""
    held = [pause_words.UNKNOWN] if pauses is None else map(pause_view.line, pauses[:_SHOWN])
    lines = [*held, *(line(*e, now) for e in freezes[:_SHOWN])]
    blocks = [context(each) for each in lines]
    return dataclasses.replace(reply, blocks=(*reply.blocks[:1], *blocks, *reply.blocks[1:]))
