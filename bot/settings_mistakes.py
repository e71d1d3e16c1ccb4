"""What pydantic finds wrong in the settings, as problems for a person. Pure."""

import difflib
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from bot.patterns import EXPECTED
from bot.problems import Problem
from bot.settings_file import Path, SettingsFile, written
from deploy.sentences import joined

_WORDS: Mapping[str, str] = {
    "string_type": "expected text",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "tuple_type": "expected a list",
    "dict_type": "expected fields below it",
    "model_type": "expected fields below it",
    "model_attributes_type": "expected fields below it",
    "date_from_datetime_parsing": "expected a day such as 2027-03-31",
    "date_parsing": "expected a day such as 2027-03-31",
    "timezone_aware": "expected a moment with its time zone, such as 2026-12-24T00:00:00Z",
    "datetime_type": "expected a moment with its time zone, such as 2026-12-24T00:00:00Z",
    "datetime_parsing": "expected a moment with its time zone, such as 2026-12-24T00:00:00Z",
    "datetime_from_date_parsing": (
        "expected a moment with its time zone, such as 2026-12-24T00:00:00Z"
    ),
}
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than_equal": ("expected at least {}", "ge"),
    "less_than_equal": ("expected at most {}", "le"),
    "string_too_short": ("expected at least {} characters", "min_length"),
    "string_too_long": ("expected at most {} characters", "max_length"),
    "too_short": ("expected at least {} in the list", "min_length"),
    "too_long": ("expected at most {} in the list", "max_length"),
}
_MISREAD = ("string_type", "string_sub_type", "literal_error")
_SECRET = re.compile(r"token|secret|password")
_LENGTH = re.compile(r"([1-9][0-9]{0,3})\s*([a-z]+)")
_UNITS = {"m": "m", "min": "m", "h": "h", "d": "d"}


def mistakes(model: type[BaseModel], file: SettingsFile) -> Iterator[Problem]:
    """Everything in the file that the model does not accept."""
    try:
        model.model_validate(file.data)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            if _follows(dict(item)):
                continue
            path = tuple(part for part in item["loc"] if part != "[key]")
            message, remedy = _said(model, path, dict(item), file)
            yield Problem(written(path), file.line(path), message, remedy)


def _follows(item: Mapping[str, Any]) -> bool:
    """Pydantic counts what it accepts: it calls a list too short whose only item has a mistake, which
    is said of that item."""
    context = item.get("ctx") or {}
    given = item.get("input")
    return (
        item["type"] == "too_short"
        and isinstance(given, list)
        and len(given) >= context.get("min_length", 0)
    )


def nearest(name: str, known: Iterable[str]) -> str:
    """“did you mean …?”, or what there is."""
    known = list(known)
    folded = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), folded, n=1)
    if near:
        return f"Did you mean “{folded[near[0]]}”?"
    return f"Known: {', '.join(known)}." if known else ""


def _said(
    model: type[BaseModel], path: Path, item: Mapping[str, Any], file: SettingsFile
) -> tuple[str, str]:
    kind, given = str(item["type"]), item.get("input")
    context: Mapping[str, Any] = item.get("ctx") or {}
    if kind == "missing":
        return "is missing.", _of_missing(path)
    if kind == "extra_forbidden":
        return _unknown(model, path)
    text = file.texts.get(path)
    if given is None and kind != "value_error":
        return "is empty.", "Give it a value, or remove the line."
    if kind in _MISREAD and text is not None and not isinstance(given, str):
        choices = f" {_sentence(item['msg'])}" if kind == "literal_error" else ""
        return f"{text} without quotes is {_read_as(given)} in YAML.{choices}", _quoted(text)
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return f"expected {joined(known, 'or')}.", nearest(str(given), known) if _close(
            given, known
        ) else ""
    if kind == "string_pattern_mismatch":
        return f"expected {EXPECTED.get(str(context.get('pattern')), 'other text')}.", ""
    if kind == "value_error":
        return _sentence(str(context.get("error", item["msg"]))), _length(given)
    if kind == "too_short" and context.get("min_length") == 1:
        return "needs at least one entry.", ""
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return words.format(context.get(bound)) + ".", ""
    if kind in ("int_parsing", "float_parsing") and str(path[-1]).endswith("seconds"):
        return "expected a number of seconds, without a unit.", ""
    if kind in ("model_type", "model_attributes_type") and isinstance(given, list):
        return "expected fields, not a list.", "Remove the hyphen before its first field."
    if kind == "tuple_type":
        return "expected a list.", "Write it as [one, two], or each with a hyphen in a line."
    return _sentence(_WORDS.get(kind, str(item["msg"]))), ""


def _of_missing(path: Path) -> str:
    return "Add it: docs/settings.md." if len(path) == 1 else ""


def _unknown(model: type[BaseModel], path: Path) -> tuple[str, str]:
    name = str(path[-1])
    known = _fields(model, path[:-1])
    if not difflib.get_close_matches(name.lower(), known, n=1) and _SECRET.search(name.lower()):
        return (
            "there is no such field.",
            "Secrets are given in variables, not in this file: docs/settings.md.",
        )
    elsewhere = _sections_with(model, name) if path[:-1] else []
    if elsewhere and not difflib.get_close_matches(name.lower(), known, n=1):
        return "there is no such field here.", f"Did you mean “{elsewhere[0]}”?"
    return "there is no such field.", nearest(name, known)


def _fields(model: type[BaseModel], path: Path) -> list[str]:
    """Those of the section at a path."""
    here: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        found = _section(here)
        if found is None or part not in found.model_fields:
            return []
        here = found.model_fields[part].annotation
    section = _section(here)
    return list(section.model_fields) if section is not None else []


def _sections_with(model: type[BaseModel], name: str) -> list[str]:
    """Where the file has such a field at its top or one level below."""
    if name in model.model_fields:
        return [name]
    below = []
    for at, section in model.model_fields.items():
        inner = _section(section.annotation)
        if inner is not None and name in inner.model_fields:
            many = "[]" if typing.get_origin(section.annotation) is tuple else ""
            below.append(f"{at}{many}.{name}")
    return below


def _section(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation is of, within a list, an option or a note."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    nested = isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None
    inner = typing.get_args(annotation) if nested else ()
    return next((found for each in inner if (found := _section(each)) is not None), None)


def _read_as(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    return "a date" if hasattr(value, "isoformat") else "not text"


def _quoted(text: str) -> str:
    return f'Put it in quotes: "{text}".'


def _close(given: Any, known: list[str]) -> bool:
    return bool(difflib.get_close_matches(str(given).lower(), known, n=1))


def _length(given: Any) -> str:
    """What a length of time was meant to be, where that is clear."""
    found = _LENGTH.fullmatch(given.strip().lower()) if isinstance(given, str) else None
    if found is None:
        return ""
    unit = found[2]
    if unit in ("week", "weeks", "w"):
        return f"Did you mean “{int(found[1]) * 7}d”?"
    short = next((u for u in ("min", "h", "d", "m") if unit.startswith(u)), "")
    usual = unit in ("min", "mins", "minute", "minutes", "hour", "hours", "day", "days")
    return f"Did you mean “{found[1]}{_UNITS[short]}”?" if usual and short else ""


def _sentence(text: str) -> str:
    text = text.removeprefix("Value error, ").removeprefix("Input should be ")
    return text if text.endswith((".", "?")) else f"{text}."
