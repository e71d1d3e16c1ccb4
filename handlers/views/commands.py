"""Buttons that run a command as if it had been typed."""

from typing import Any

from handlers.views.reply import Block
from handlers.views.text import button

RUN = "run"
"""The name of such a button; its value is the command, without the slash command. Of several in one block
each has a name of its own, `run:` and a word."""
_LONGEST = 2000
"""Characters that the value of a button may have (Slack, "Button element")."""


def runs(words: str, command: str, name: str = "", **more: Any) -> Block | None:
    """The button; None where the command cannot be typed (empty) or carried. `name` tells it from others in
    its block."""
    action_id = f"{RUN}:{name}" if name else RUN
    return button(words, action_id, command, **more) if 0 < len(command) <= _LONGEST else None


def is_run(action_id: str) -> bool:
    """Whether it is the name of such a button."""
    return action_id.partition(":")[0] == RUN
