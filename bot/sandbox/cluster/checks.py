"""What the API server asks of one value: small checks that rules are put together from.

A check is given the value of a field, None where it is not there, and the field's path.
"""

from collections.abc import Callable
from typing import Any

from bot.sandbox.cluster import quantity
from bot.sandbox.cluster.errors import Cause, invalid_value, required, unsupported

Check = Callable[[Any, str], list[Cause]]
Syntax = Callable[[str], list[str]]


def needed(*checks: Check, why: str = "") -> Check:
    """The field must be there and not be empty; then the checks."""

    def check(value: Any, at: str) -> list[Cause]:
        if value in (None, "", 0) or value == [] or value == {}:
            return [required(at, why)]
        return [cause for each in checks for cause in each(value, at)]

    return check


def given(*checks: Check) -> Check:
    """The checks, where the field is there."""

    def check(value: Any, at: str) -> list[Cause]:
        return [] if value is None else [c for each in checks for c in each(value, at)]

    return check


def text(syntax: Syntax) -> Check:
    """A text of this syntax; a text that is not there is an empty one."""

    def check(value: Any, at: str) -> list[Cause]:
        shown = "" if value is None else value
        return [invalid_value(at, shown, words) for words in syntax(shown)]

    return check


def each(check: Check) -> Check:
    """The check for each item of a list."""

    def of_list(value: Any, at: str) -> list[Cause]:
        return [c for i, item in enumerate(value or []) for c in check(item, f"{at}[{i}]")]

    return of_list


def one_of(*allowed: str) -> Check:
    """One word of these, named in this order. No word is an empty one."""

    def check(value: Any, at: str) -> list[Cause]:
        return [] if value in allowed else [unsupported(at, value or "", allowed)]

    return check


def at_least(least: int, words: str = "") -> Check:
    """A number that is not smaller."""

    def check(value: Any, at: str) -> list[Cause]:
        if isinstance(value, int) and value < least:
            why = words or f"must be greater than or equal to {least}"
            return [invalid_value(at, value, why)]
        return []

    return check


def between(least: int, most: int, words: str = "") -> Check:
    """A number of this range; no number is 0."""
    why = words or f"must be between {least} and {most}, inclusive"

    def check(value: Any, at: str) -> list[Cause]:
        number = value or 0
        return [] if least <= number <= most else [invalid_value(at, number, why)]

    return check


port = between(1, 65535)


def port_or_name(syntax: Syntax) -> Check:
    """A port by its number or by the name that a container gives it."""
    named = text(syntax)

    def check(value: Any, at: str) -> list[Cause]:
        return named(value, at) if isinstance(value, str) and value else port(value, at)

    return check


def positive_quantity(words: str) -> Check:
    """A quantity greater than 0."""

    def check(value: Any, at: str) -> list[Cause]:
        if value is None or quantity.parse(value) > 0:
            return []
        return [invalid_value(at, quantity.canonical(value), words)]

    return check


def no_negative_quantity(value: Any, at: str) -> list[Cause]:
    """A quantity of 0 or more."""
    if quantity.parse(value) >= 0:
        return []
    return [invalid_value(at, quantity.canonical(value), "must be greater than or equal to 0")]
