"""Mistakes in the settings and secrets: as data, and as the report that every command prints."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.errors import InvalidInput


@dataclass(frozen=True)
class Problem:
    """One mistake. `path` is that of a field, or the name of a variable; `line` counts from 1, and is
    None for what is in no file. Neither text repeats a value that may be secret."""

    path: str
    line: int | None
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" + (f" {self.remedy}" if self.remedy else "")


class UnusableSettings(InvalidInput):
    """Everything that is wrong with a settings file and the secrets; commands end with status 2."""

    def __init__(self, file: Path, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        lines = "".join(f"\n  {self.place(each)}{each}" for each in self.problems)
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"The settings have {count}:{lines}")

    def place(self, problem: Problem) -> str:
        """Where it stands, as editors and terminals read it."""
        return "" if problem.line is None else f"{self.file}:{problem.line}: "


def as_results(error: UnusableSettings) -> dict[str, Any]:
    """What `check --json` prints where nothing can be tested."""
    return {
        "works": False,
        "results": [
            {
                "name": "settings",
                "status": "fail",
                "detail": f"{error.place(each)}{each.path}: {each.message}",
                "remedy": each.remedy,
                "path": each.path,
                "line": each.line,
            }
            for each in error.problems
        ],
    }
