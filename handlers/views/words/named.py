"""What is said where an action is named by its gateway and not exactly one fits."""

from collections.abc import Sequence

from deploy.actions.action import Action, State
from deploy.commands import Command
from deploy.errors import NotFound

NAME_ONE = "Name one by its ID."
_STANDS = {
    State.PENDING: "waits for a decision",
    State.APPROVED: "is approved and has not started",
    State.RUNNING: "is running",
}
_SHOWN = 5


def several(word: str, verb: str) -> str:
    """That several actions of it fit."""
    return f"“{word[:80]}” has several actions to {verb}."


def told(action: Action) -> str:
    """Which action it is, beside its ID."""
    stands = _STANDS.get(action.state, action.state.value)
    return f"{action.kind} of {action.ref} {stands}"


def none_fits(word: str, verb: str, of_it: Sequence[Action]) -> NotFound:
    """That there is nothing to decide by that name, and what there is."""
    listed = f"{Command('pending')} lists open requests."
    if not of_it:
        return NotFound(
            f"There is no request “{word[:80]}”, and none is open of a gateway of that name.",
            meaning="The name is misspelt, or the request has ended or was too old, or the bot's store "
            "was emptied.",
            remedy=listed,
        ).offering(Command("pending"))
    there = "; ".join(f"`{each.id}` {told(each)}" for each in of_it[:_SHOWN])
    return NotFound(
        f"There is nothing of “{word[:80]}” to {verb}.", meaning=f"Open: {there}.", remedy=listed
    ).offering(Command("pending"))
