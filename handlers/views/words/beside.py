"""What a plan says while another action of its gateway is approved or runs."""

from collections.abc import Sequence

from deploy.actions.action import Action, State
from handlers.views.text import escape


def under_way(others: Sequence[Action]) -> str:
    """Which actions, whose, and what that means for the plan below."""
    ends = "that ends" if len(others) == 1 else "those end"
    return (
        f"{_listed(others)}\nThis plan compares with what the cluster held when it was made. When {ends}, "
        "it is made anew and shown again if it differs."
    )


def not_changed_yet(others: Sequence[Action]) -> str:
    """The same where nothing is left to change as far as the cluster shows now."""
    ends = "that ends" if len(others) == 1 else "those end"
    return f"{_listed(others)}\nWhat follows is how the cluster is now. Ask again when {ends}."


def _listed(others: Sequence[Action]) -> str:
    return "\n".join(f":warning: {_named(each)}" for each in others)


def _named(other: Action) -> str:
    kind = f"`{escape(other.kind)}`"
    what = f"An automatic {kind}" if other.automatic else f"{kind} by <@{other.requester}>"
    stands = "is running" if other.state is State.RUNNING else "is approved and runs first"
    return f"{what} {stands} on this gateway (action `{other.id}`)."
