"""What the status of one gateway says of its trouble: what it means, and what to do."""

from collections.abc import Mapping

from deploy.health.attention import Sign
from handlers.views.words import incidents

NO_ACTION = "No action is needed."
NO_CAUSE = "Nothing shows why yet."

MEANINGS: Mapping[str, str] = {
    "down": "No pod serves traffic.",
    "not ready": "Nothing serves traffic yet: its first pods are not ready.",
    "degraded": "Its other pods serve traffic.",
    **incidents.MEANINGS,
}
"""What a state means for those who call the gateway."""

RESTORE = "Restore the Secret."
"""What to do where the token is gone from what others deploy."""
_MADE_ANEW = "Restore the Secret, or run `/gateway deploy {ref}`, which makes a new token."

REMEDIES: Mapping[str, str] = {
    Sign.CRASHING: "Read the log from before the last restart: `/gateway logs {ref} --previous`.",
    Sign.TOKEN_MISSING: _MADE_ANEW,
    Sign.SCALED_TO_ZERO: "Start pods again: `/gateway scale {ref} --replicas 2`.",
    "cut off": f"{incidents.REMEDIES['cut off']} Read the pods' logs: `/gateway logs {{ref}} --level warn`.",
    "down": "Read what its pods say: `/gateway logs {ref}`.",
    "not ready": "Read what its pods say: `/gateway logs {ref}`.",
}
"""What to do, formatted with the gateway."""


ROLL_BACK = "Or go back to the previous version: `/gateway rollback {ref}`."
"""What else can be done where pods of this version do not run, formatted with the gateway."""


def renew(command: str) -> str:
    """What to do where a new token mends it."""
    return f"Renew its token: `{command}`."


def own_words(said: str) -> str:
    """Kubernetes' own words, below what they mean."""
    return f"Kubernetes says: {said}"


def to_do(remedy: str) -> str:
    """What to do, as the last line before the buttons."""
    return f"*What to do:* {remedy}"
