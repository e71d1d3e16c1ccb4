"""How `gateway-bot check` prints what it found: a line each for people, or JSON for programs. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot.proofs.results import Result, Status

_MARKS = {Status.OK: "ok  ", Status.WARN: "warn", Status.FAIL: "FAIL"}
_SPACE = re.compile(r"\s+")
SETTINGS_UNREADABLE = 2
"""The exit status where nothing could be proved."""


def works(results: Sequence[Result]) -> bool:
    """Whether nothing has failed."""
    return all(result.status is not Status.FAIL for result in results)


def exit_status(results: Sequence[Result]) -> int:
    """0 where everything works, also with warnings, else 1."""
    return 0 if works(results) else 1


def for_people(results: Sequence[Result]) -> str:
    """A line each."""
    return "".join(f"{_line(result)}\n" for result in results)


def for_programs(results: Sequence[Result]) -> str:
    """One JSON object."""
    listed = [
        {"name": r.name, "status": r.status.value, "detail": r.detail, "remedy": r.remedy}
        for r in results
    ]
    return as_json({"works": works(results), "results": listed})


def as_json(report: Mapping[str, Any]) -> str:
    """A report as `check --json` prints it."""
    return json.dumps(report, ensure_ascii=False) + "\n"


def _line(result: Result) -> str:
    told = f"{result.detail} {result.remedy}".strip()
    # What a service said may have several lines.
    return f"{_MARKS[result.status]}  {result.name}: {_SPACE.sub(' ', told)}"
