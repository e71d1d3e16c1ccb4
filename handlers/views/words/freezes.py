"""What is said of change freezes before they refuse anything."""

from handlers.views.words.status import to_do

REASON = "write why this cannot wait"
"""In place of the reason of a command that overrides a freeze."""


def not_changed(what: str, until: str) -> str:
    """The title of what a freeze refuses; `what` is frozen."""
    return f"Nothing changed: {what} is frozen until {until}"


def because(reason: str) -> str:
    """Why it is frozen."""
    return f"Reason: {reason}"


def override(command: str) -> str:
    """What to do: wait, or the command that does it all the same."""
    return to_do(
        "Run the command again after that. In an emergency, override the freeze: write your reason "
        "between the quotation marks. The channel sees it.\n"
        f"`{command}`"
    )


def frozen(environment: str, until: str, reason: str) -> str:
    """A freeze that is in effect."""
    return f":snowflake: *{environment}* is frozen until {until}: {reason}"


def will_freeze(environment: str, starts: str, until: str, reason: str) -> str:
    """A freeze that begins soon."""
    return f":snowflake: *{environment}* will be frozen from {starts} until {until}: {reason}"
