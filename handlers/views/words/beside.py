"""What a plan says while another action of its gateway is pending, approved or running."""

from collections.abc import Sequence

from deploy.actions.action import Action, State
from handlers.views.difference import difference
from handlers.views.text import counted, escape

_SHOWN = 5


def others_open(others: Sequence[Action]) -> str:
    """Which actions, whose, and what that means for the plan below."""
    return f"{_listed(others)}\n{_meaning(others)}"


def not_changed_yet(others: Sequence[Action]) -> str:
    """The same where nothing is left to change as far as the cluster shows now."""
    ends = "that ends" if len(others) == 1 else "those end"
    return f"{_listed(others)}\nBelow is the cluster's current state. Ask again when {ends}."


def _meaning(others: Sequence[Action]) -> str:
    first = sum(each.under_way for each in others)
    if not first:
        return (
            "When one of these plans has been carried out, the others are made anew and shown again if "
            "they differ."
        )
    ends = "that ends" if first == 1 else "those end"
    return (
        f"This plan compares with what the cluster held when it was made. When {ends}, it is made anew "
        "and shown again if it differs."
    )


def _listed(others: Sequence[Action]) -> str:
    ordered = sorted(others, key=lambda each: not each.under_way)
    rest = len(ordered) - _SHOWN
    shown = ordered if rest < 2 else ordered[:_SHOWN]
    more = [] if rest < 2 else [f"… and {counted(rest, 'more action')} of this gateway."]
    return "\n".join([*(f":warning: {_named(each)}" for each in shown), *more])


def _named(other: Action) -> str:
    kind = f"`{escape(other.kind)}`"
    what = f"An automatic {kind}" if other.automatic else f"{kind} by <@{other.requester}>"
    changes = ""
    if other.state is State.PENDING:
        # Nobody sees yet on the cluster what it would change.
        difference_of = escape(difference(other.plan))
        changes = f": {difference_of}" if difference_of else ""
    return f"{what} {_STANDS[other.state]} on this gateway (action `{other.id}`){changes}."


_STANDS = {
    State.PENDING: "is pending",
    State.APPROVED: "is approved and runs first",
    State.RUNNING: "is running",
}
