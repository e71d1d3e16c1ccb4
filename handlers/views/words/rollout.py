"""What is said of a rollout's pods."""

from deploy.rollouts.verdicts import FIRST as FIRST


def ready(count: int, desired: int) -> str:
    """How many of the pods that are wanted are ready."""
    return f"{count} of {desired} {'pod' if desired == 1 else 'pods'} ready"


def ready_of_new(count: int, desired: int) -> str:
    """The same, after a line on the previous version."""
    return f"New version: *{ready(count, desired)}*"


def left(old: int) -> str:
    """Pods of the version before that have not ended, and do not serve."""
    return f"{old} of the previous version left"


def serving(count: int) -> str:
    """Pods of the version before that do the work meanwhile."""
    if count == 1:
        return "1 pod of the previous version still serves traffic."
    return f"{count} pods of the previous version still serve traffic."


WAIT = "No action is needed: this message updates itself until the rollout ends."
NEW, PREVIOUS = "*New version*", "*Previous version*"


def were_ending(count: int) -> str:
    """Pods that a success has left behind for a moment."""
    return f"When this ended, {_pods(count)} still shutting down."


def are_ending(count: int) -> str:
    """The same while it runs."""
    return f"{count} shutting down"


def _pods(count: int) -> str:
    return "1 pod was" if count == 1 else f"{count} pods were"
