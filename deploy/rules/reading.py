"""Reads objects that others made: what is missing or of another type is nothing, never an error."""

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from deploy.specs.quantities import quantity

_QUANTITY = re.compile(r"[0-9]{1,18}(\.[0-9]{1,9})?([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?")
_PERCENT = re.compile(r"[0-9]{1,6}%")


def at(value: Any, *path: str) -> Any:
    """What is at the end of `path`; None where there is nothing."""
    for key in path:
        value = mapping(value).get(key)
    return value


def mapping(value: Any) -> Mapping[str, Any]:
    """The mapping, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: Any) -> tuple[Mapping[str, Any], ...]:
    """The mappings of a list, or none."""
    if not isinstance(value, list | tuple):
        return ()
    return tuple(item for item in value if isinstance(item, Mapping))


def text(value: Any) -> str:
    """The text, or an empty one."""
    return value if isinstance(value, str) else ""


def whole(value: Any) -> int | None:
    """The whole number, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def amount(value: Any) -> Fraction | None:
    """A Kubernetes quantity as a number; None for one that is not of the usual forms."""
    said = str(value) if isinstance(value, int | float) else text(value)
    return quantity(said) if _QUANTITY.fullmatch(said) else None


def pods(value: Any, of: int, *, up: bool) -> int | None:
    """A number or share of `of` pods; None where it is neither.

    Kubernetes rounds up a maxSurge and what a PodDisruptionBudget says, and down a Deployment's
    maxUnavailable (Kubernetes API reference, DeploymentSpec; "Specifying a PodDisruptionBudget").
    """
    if (number := whole(value)) is not None:
        return number
    if not _PERCENT.fullmatch(said := text(value)):
        return None
    share = Fraction(of * int(said[:-1]), 100)
    return math.ceil(share) if up else math.floor(share)
