"""What is said of a rollout that is stuck, and the names of the ways out of it and of a failure."""

from deploy.plans.plan import WayBack

ROLL_BACK = "Roll back…"
DELETE = "Delete…"
KEEP_WAITING = "Keep waiting"
LOGS = "Logs"
SHOW_PLAN = "Show the plan"
TRY_AGAIN = "Try again"
ASK_AGAIN = "Ask again"

STOP_QUESTION = (
    "The bot changes nothing more and does not roll back. Kubernetes finishes what was applied."
)
STOP_AND_PLAN = "Stop and plan it"

DONE, FAILED, UNKNOWN = "Done", "Failed", "Result unknown"

_SMALL = ("The", "A", "An", "No", "Every", "It", "Its", "This", "Only", "More", "None", "Nothing")
"""Words that are written small within a sentence."""


def stuck(means: str) -> str:
    """That it is stuck, and on what: “Stuck: the image cannot be pulled”."""
    return f"Stuck: {within(means)}"


def planned_already(what: str, gateway: str, action: str) -> str:
    """That a rollback, or a deletion, of the same gateway is open."""
    return f"The {what} of `{gateway}` is planned already: request `{action}`."


def stop_and_plan(what: str) -> str:
    """What stopping it for a rollback or a deletion comes to."""
    return (
        f"This is stopped now, and nothing more is written. Then you see the plan of the {what}; it begins "
        "only once that is decided."
    )


def ended(how: str, happened: str) -> str:
    """How it ended, before what happened: “Failed: the cluster refused it”."""
    return f"{how}: {within(happened)}"


def waits_anyway(who: str, means: str) -> str:
    """That somebody waits all the same."""
    return f"{who} decided to keep waiting: {within(means)}."


LONGER = "*Keep waiting* gives it more time"


def fails_at(when: str, back: WayBack | None) -> str:
    """How long is left, and the end of it."""
    if back is None:
        return f"If nothing changes by {when}, this fails and nothing is undone; {LONGER}."
    what = f"revision {back.revision}" if back.revision else f"Secret {back.secret}"
    return f"If nothing changes by {when}, this fails and the bot goes back to {what}; {LONGER}."


def within(sentence: str) -> str:
    """A sentence as the end of another."""
    first, _, rest = sentence.strip().removesuffix(".").partition(" ")
    return f"{first.lower() if first in _SMALL else first} {rest}".strip()
