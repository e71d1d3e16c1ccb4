"""Reminding approvers before the time to decide is over."""

from deploy.actions.action import State
from deploy.actions.store import ActionStore

_LATEST = 900.0
"""Seconds before the end; a short time to decide has its reminder after three quarters of it."""


def remind(store: ActionStore) -> int:
    """Have a reminder told for what will soon be too late to decide; how many there were."""
    told = 0
    for action in store.open():
        if action.state is State.PENDING and action.policy.by == "approvers":
            before = min(_LATEST, (action.expires_at - action.created_at) / 4)
            told += store.remind(action.id, before)
    return told
