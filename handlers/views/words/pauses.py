"""What is said while no action starts on a cluster or in an environment."""

UNKNOWN = ":grey_question: Whether anything is paused here is not known now."
ROTATION = "Automatic token rotation continues."


def place(scope: str, name: str) -> str:
    """Where nothing starts."""
    return f"{scope} {name}"


def paused(where: str, until: str, reason: str) -> str:
    """A pause that is in effect."""
    return f":construction: *{where[:1].upper()}{where[1:]}* is paused{_until(until)}{_why(reason)}"


def nothing_starts(since: str, who: str) -> str:
    """What that means for everybody, and who did it."""
    return f"No action starts there. {ROTATION}{_by(since, who)}"


def plan_waits(where: str, since: str, who: str) -> str:
    """What that means for a plan that is not decided yet."""
    return f"Once decided, this action waits until {where} is resumed.{_by(since, who)}"


def not_stopped_for(what: str, where: str, stop: str, since: str, who: str) -> str:
    """What that means for whoever would stop a rollout for a rollback or a deletion."""
    return (
        f"Nothing was stopped, because the {what} could not start before {where} is resumed. "
        f"*{stop}* stops only the rollout.{_by(since, who)}"
    )


def nothing_stopped(where: str) -> str:
    """The same, without mark-up."""
    return f"Nothing was stopped: {where} is paused"


def action_waits(since: str, who: str, deadline: str) -> str:
    """What that means for an action that is decided."""
    late = (
        f" If it cannot start by {deadline}, it expires and nothing is changed." if deadline else ""
    )
    return f"This action starts as soon as that is resumed.{late}{_by(since, who)}"


def waits(where: str) -> str:
    """The same as the end of a sentence."""
    return f"waits until {where} is resumed"


def _until(until: str) -> str:
    return f" until {until}" if until else ""


def _why(reason: str) -> str:
    return f": {reason}" if reason else "."


def _by(since: str, who: str) -> str:
    when = f" {since}" if since else ""
    return f" Paused{when} by {who}; ask them to resume it." if who else ""
