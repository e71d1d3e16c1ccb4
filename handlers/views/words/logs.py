"""What is said of logs that are not there yet."""

from handlers.views.text import counted

NONE_STARTED = "No container has started yet, so there are no logs."


def follow(command: str) -> str:
    """That nothing more comes here, and how to see what comes next."""
    return f"This is a snapshot. For live logs: `{command}`"


def not_started(pod: str, why: str) -> str:
    """A pod without a log, with Kubernetes' word for what holds it up."""
    return f"Container of `{pod}` has not started: {why}"


def more_not_started(count: int) -> str:
    """The pods beside those that are named."""
    return f"… and {counted(count, 'more pod')} whose container has not started."
