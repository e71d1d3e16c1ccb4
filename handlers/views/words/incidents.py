"""What is said of a gateway in trouble: its state in a word or two, and what to do about it."""

from collections.abc import Mapping, Sequence

from deploy.health.incidents import (
    AWAY,
    BELOW_MINIMUM,
    CRASH_LOOP,
    CUT_OFF,
    DENIED,
    DOWN,
    MISSING,
    REFUSED,
    SUSPECTED,
    UNABLE,
    UNREADABLE,
)
from handlers.views.text import counted

SIGNS: Mapping[str, str] = {
    DOWN: "🔴",
    CUT_OFF: "🔴",
    DENIED: "🔴",
    UNABLE: "🔴",
    REFUSED: "🔴",
    MISSING: "🔴",
    CRASH_LOOP: "🟠",
    BELOW_MINIMUM: "🟠",
    SUSPECTED: "🟠",
    UNREADABLE: "⚪",
    AWAY: "⚪",
}
"""The worst trouble first."""

STATES: Mapping[str, str] = {
    CUT_OFF: "cut off from Azure",
    CRASH_LOOP: "crashing",
    BELOW_MINIMUM: "short of pods",
    DENIED: "denied by Azure",
    REFUSED: "denied by Azure",
    SUSPECTED: "perhaps denied by Azure",
    MISSING: "without its token",
    UNREADABLE: "without a token that the bot can read",
}
"""Of those that are not called by their own name."""

_OF_SEVERAL: Mapping[str, str] = {
    MISSING: "without their tokens",
    UNREADABLE: "without tokens that the bot can read",
}

MEANINGS: Mapping[str, str] = {
    CUT_OFF: "Running pods keep serving with their last configuration, and get no changes from Azure.",
}
"""What it means for those who call the gateway, where pods serve them."""

REMEDIES: Mapping[str, str] = {
    DOWN: "Read the pods' logs and their status: they say why none is ready.",
    CUT_OFF: "Check DNS, proxy and firewall between the pods and Azure.",
    CRASH_LOOP: "Read the log from before the last restart.",
    BELOW_MINIMUM: "Look at the pods that are not ready: their status says why.",
    UNREADABLE: "Let the bot read this Secret, or nobody is warned before its token expires.",
    AWAY: "Check the cluster's API server, and the network between it and the bot.",
}
"""What to do, where no command alone mends it."""

LOGS: Mapping[str, str] = {
    CRASH_LOOP: " --previous",
    CUT_OFF: " --level warn",
    DENIED: " --level warn",
    UNABLE: " --level warn",
}
"""Options of `logs` that show what matters, by the worst trouble."""


def of_several(trouble: str) -> str:
    """The state of several gateways that share a trouble: “3 gateways are cut off from Azure”."""
    return _OF_SEVERAL.get(trouble) or STATES.get(trouble, trouble)


def resolved(title: str, length: str) -> str:
    """That it is over, and how long it lasted."""
    return f"Resolved: {title} for {length}"


NO_ACTION = "No action is needed."
_NAMED = 12
_SEEN = 3


def recovered(gateways: Sequence[str], evidence: Sequence[str]) -> str:
    """Which gateways it was about, by their names in mrkdwn, and what was seen of them."""
    more = len(gateways) - _NAMED
    named = ", ".join(gateways[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    others = len(evidence) - _SEEN
    seen = [f"• {each}" for each in evidence[:_SEEN]] if len(evidence) > 1 else evidence
    if len(seen) == 1:
        seen = [f"What was wrong: {seen[0]}"]
    elif seen:
        seen = ["What was wrong:", *seen]
    also = [f"… and {others} more"] if others > 0 else []
    return "\n".join(line for line in (named, *seen, *also) if line)


def of_all(count: int, evidence: str) -> str:
    """What several gateways have in common."""
    return f"{'Both' if count == 2 else f'All {count}'}: {evidence}"


def lasted(seconds: float) -> str:
    """A length of time as people say it."""
    minutes = int(seconds) // 60
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return counted(minutes, "minute")
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        more = f" {counted(rest, 'minute')}" if rest else ""
        return f"{counted(hours, 'hour')}{more}"
    return counted(hours // 24, "day")


def change_before(what: str, ago: str) -> str:
    """That a change of this bot came right before it."""
    return f"This began {ago} after a change: {what}."
