"""Menus of buttons: each choice acts as a button of its own name. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from handlers.views.reply import Block
from handlers.views.text import cut

_LONGEST = 150
"""Characters that the value of an option may have (Slack, "Option object")."""
_CHOICES = 5


@dataclass(frozen=True)
class Choice:
    """One line of a menu: its label, and the name and the value of the button that it stands for."""

    label: str
    name: str
    value: str


def menu(action_id: str, choices: Sequence[Choice]) -> Block | None:
    """An overflow menu; None where no choice can be carried."""
    options = [
        {"text": {"type": "plain_text", "text": cut(each.label, 75)}, "value": carried}
        for each in choices
        if len(carried := f"{each.name} {each.value}") <= _LONGEST
    ][:_CHOICES]
    return {"type": "overflow", "action_id": action_id, "options": options} if options else None


def chosen(value: str) -> tuple[str, str]:
    """The name and the value of the button that a chosen option stands for."""
    name, _, rest = value.partition(" ")
    return name, rest
