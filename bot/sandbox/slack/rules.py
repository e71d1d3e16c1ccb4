"""Small checkers from which the Block Kit rules are put together. Pure.

A checker looks at one value and reports what is wrong with it under its JSON pointer, in the
manner of Slack's `response_metadata.messages`.
"""

from collections.abc import Callable, Mapping
from typing import Any

JSON = dict[str, Any]
Report = Callable[[str, str], None]
"""Takes a sentence and a JSON pointer."""
Checker = Callable[[Any, str, Report], None]
"""Takes a value, its JSON pointer, and where to report."""


def string(maximum: int | None = None, minimum: int = 1) -> Checker:
    """Text of `minimum` to `maximum` characters."""

    def check(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, str):
            report("must provide a string", at)
        elif len(value) < minimum:
            report(f"must be more than {minimum - 1} characters", at)
        elif maximum is not None and len(value) > maximum:
            report(f"must be less than {maximum + 1} characters", at)

    return check


def boolean(value: Any, at: str, report: Report) -> None:
    """True or false."""
    if not isinstance(value, bool):
        report("must provide a boolean", at)


def anything(value: Any, at: str, report: Report) -> None:
    """No rule."""


def integer(lowest: int, highest: int) -> Checker:
    """A whole number in an inclusive range."""

    def check(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            report("must provide an integer", at)
        elif not lowest <= value <= highest:
            report(f"must be between {lowest} and {highest}", at)

    return check


def choice(*values: str) -> Checker:
    """One of the given words."""

    def check(value: Any, at: str, report: Report) -> None:
        if value not in values:
            report(f"must be one of: {', '.join(values)}", at)

    return check


def array(item: Checker, minimum: int, maximum: int) -> Checker:
    """A list of `minimum` to `maximum` items, each of which passes `item`."""

    def check(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, list):
            report("must provide an array", at)
            return
        if len(value) < minimum:
            report(f"no fewer than {minimum} items required", at)
        if len(value) > maximum:
            report(f"no more than {maximum} items allowed", at)
        for n, entry in enumerate(value):
            item(entry, f"{at}/{n}", report)

    return check


def record(
    required: Mapping[str, Checker],
    optional: Mapping[str, Checker] | None = None,
    also: Callable[[JSON, str, Report], None] | None = None,
) -> Checker:
    """An object with these fields and no others (`type` is always allowed)."""
    fields = {"type": anything, **(optional or {}), **required}

    def check(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, dict):
            report("must provide an object", at)
            return
        for name in required:
            if value.get(name) is None:
                report(f"missing required field: {name}", at)
        for name, entry in value.items():
            checker = fields.get(name)
            if checker is None:
                report(f"invalid additional property: {name}", at)
            elif entry is not None:
                checker(entry, f"{at}/{name}", report)
        if also is not None:
            also(value, at, report)

    return check


def by_type(table: Mapping[str, Checker], default: str | None = None) -> Checker:
    """An object whose `type` picks the checker; other types are refused."""

    def check(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, dict):
            report("must provide an object", at)
            return
        kind = value.get("type", default)
        if kind is None:
            report("missing required field: type", at)
        elif not isinstance(kind, str) or kind not in table:
            report(f"unsupported type: {kind}", f"{at}/type")
        else:
            table[kind](value, at, report)

    return check


def plain_text(maximum: int, minimum: int = 1) -> Checker:
    """A plain_text object of at most `maximum` characters."""
    body = record({"text": string(maximum, minimum)}, {"emoji": boolean})
    return by_type({"plain_text": body})


def any_text(maximum: int, minimum: int = 1) -> Checker:
    """A plain_text or mrkdwn object of at most `maximum` characters."""
    text = {"text": string(maximum, minimum)}
    return by_type(
        {
            "plain_text": record(text, {"emoji": boolean}),
            "mrkdwn": record(text, {"verbatim": boolean}),
        }
    )


def exactly_one(*names: str) -> Callable[[JSON, str, Report], None]:
    """Of these fields one must be given, and only one."""

    def check(value: JSON, at: str, report: Report) -> None:
        given = [name for name in names if value.get(name) is not None]
        if len(given) != 1:
            report(f"exactly one of {', '.join(names)} must be given", at)

    return check


def at_least_one(*names: str) -> Callable[[JSON, str, Report], None]:
    """Of these fields at least one must be given."""

    def check(value: JSON, at: str, report: Report) -> None:
        if all(value.get(name) is None for name in names):
            report(f"missing required field: {' or '.join(names)}", at)

    return check
