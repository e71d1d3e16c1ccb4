"""Options that several verbs take."""

from handlers.verbs.verb import Option

DECISION_OPTIONS = (
    Option("reason", "why, for those who decide", "text"),
    Option("break-glass", "override a freeze, and why; the channel is notified", "reason"),
)
"""What every verb that changes something takes."""
TAKE_OVER = Option("take-over", "also change fields that another field manager owns", kind="flag")
