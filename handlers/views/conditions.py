"""The conditions of a Deployment, in words."""

from collections.abc import Sequence

from deploy.health.status import ConditionSummary

_GOOD = {"Available": "True", "Progressing": "True", "ReplicaFailure": "False"}


def is_good(condition: ConditionSummary) -> bool:
    """Whether it is as it should be."""
    return _GOOD.get(condition.type) == condition.status


def wrong(conditions: Sequence[ConditionSummary]) -> list[str]:
    """Those that do not, in full."""
    return [in_full(each) for each in conditions if not is_good(each)]


def in_full(condition: ConditionSummary) -> str:
    """The condition with its reason and message, as far as it has them."""
    why = ": ".join(part for part in (condition.reason, condition.message) if part)
    return f"{condition.type} {condition.status}" + (f" ({why})" if why else "")
