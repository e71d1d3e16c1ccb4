"""Reminding approvers before the time to decide is over."""

from deploy.actions.action import Action
from deploy.actions.store import ActionStore

_LATEST = 900.0
"""Seconds before the end; a short time to decide has its reminder after three quarters of it."""


def reminder_of(action: Action) -> float | None:
    """The moment from which a pending action's approvers are to be reminded (epoch seconds, Redis'
    time); None where nobody has to approve it."""
    return action.expires_at - before_end(action) if action.policy.by == "approvers" else None


def remind(store: ActionStore, action: Action) -> bool:
    """Have a reminder posted where it will soon be too late to decide, once; whether it was now."""
    return action.policy.by == "approvers" and store.remind(action.id, before_end(action))


def before_end(action: Action) -> float:
    """How many seconds before it expires its approvers are reminded."""
    return min(_LATEST, (action.expires_at - action.created_at) / 4)
