"""What is said of a rollout's pods."""


def were_ending(count: int) -> str:
    """Pods that a success has left behind for a moment."""
    return f"When this ended, {_pods(count)} still shutting down."


def are_ending(count: int) -> str:
    """The same while it runs."""
    return f"{count} shutting down"


def _pods(count: int) -> str:
    return "1 pod was" if count == 1 else f"{count} pods were"
