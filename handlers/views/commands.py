"""Buttons that run a command as if it had been typed."""

from typing import Any

from handlers.views.reply import Block
from handlers.views.text import button

RUN = "run"
"""The name of such a button; its value is the command, without the slash command."""
_LONGEST = 2000
"""Characters that the value of a button may have (Slack, "Button element")."""


def runs(words: str, command: str, **more: Any) -> Block | None:
    """The button; None where the command cannot be typed (empty) or carried."""
    return button(words, RUN, command, **more) if 0 < len(command) <= _LONGEST else None
