"""The settings file as YAML: its data, the line of each field, and YAML's traps. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from bot.problems import Problem

Path = tuple[str | int, ...]

_MOST = 50_000
"""Values in a file: with anchors a small one can unfold without end."""
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_COMMENTED = re.compile(r"\s+(#[^\s#]\S*)")
_COMMENT = re.compile(r"\s#(?=[^\s#])")
_SIGNS = ("@", "`", "%", "*", "!")
_AT_SIGN = ("found character", "found undefined alias", "could not determine a constructor")
"""How PyYAML begins what it says of a value that begins with one of them."""


@dataclass
class SettingsFile:
    """`lines` has the line of each field and `texts` each value as it is written, by path."""

    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """That of the field, or of what it would be in."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def problem(self, path: Path, message: str, remedy: str = "") -> Problem:
        """One at that field."""
        return Problem(written(path), self.line(path), message, remedy)


def written(path: Path) -> str:
    """`apim[0].name` of its parts."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "settings file"


def read(text: str) -> SettingsFile:
    """What the file holds. Where it is not YAML, the only problem says why."""
    found = SettingsFile()
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            what = "is empty" if node is None else "has no fields"
            found.problems.append(found.problem((), what + ".", "docs/settings.md shows one."))
        else:
            found.data = _Reader(text, loader, found).mapping(node, ())
    except yaml.YAMLError as error:
        found.problems = [_syntax(error, text)]
    except RecursionError:
        found.problems = [Problem(written(()), 1, "is nested too deeply.")]
    return found


class _Reader:
    """Makes the data of nodes, as PyYAML does, and keeps where each stands."""

    def __init__(self, text: str, loader: yaml.SafeLoader, found: SettingsFile) -> None:
        self._rows = text.splitlines()
        self._loader = loader
        self._found = found
        self._count = 0
        self._inside: list[yaml.Node] = []
        self._checked: set[int] = set()

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        """Keys are the text that is written: `no:` is not false."""
        self._check_keys(node, path)
        self._loader.flatten_mapping(node)
        read: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._add((*path,), "has a key that is not text.")
                continue
            here = (*path, key.value)
            self._found.lines[here] = key.start_mark.line + 1
            read[key.value] = self._value(value, here, key.end_mark)
        return read

    def _check_keys(self, node: yaml.MappingNode, path: Path) -> None:
        """Once for each mapping, and before others are merged into it, which its own keys override."""
        if id(node) in self._checked:
            return
        self._checked.add(id(node))
        first: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            name = str(key.value)
            if name in first and isinstance(key, yaml.ScalarNode):
                here = written((*path, name))
                self._found.problems.append(
                    Problem(
                        here,
                        line,
                        f"is given twice, first in line {first[name]}.",
                        "Remove one of them.",
                    )
                )
            first.setdefault(name, line)

    def _value(self, node: yaml.Node, path: Path, before: yaml.Mark) -> Any:
        self._count += 1
        if self._count > _MOST or any(node is each for each in self._inside):
            raise yaml.YAMLError("its anchors unfold without end")
        self._inside.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return self._items(node, path)
            return self._scalar(node, path, before)
        finally:
            self._inside.pop()

    def _items(self, node: yaml.SequenceNode, path: Path) -> list[Any]:
        read = []
        for index, each in enumerate(node.value):
            here = (*path, index)
            self._found.lines[here] = each.start_mark.line + 1
            read.append(self._value(each, here, each.start_mark))
        return read

    def _scalar(self, node: yaml.Node, path: Path, before: yaml.Mark) -> Any:
        text = str(node.value)
        self._found.texts[path] = text
        try:
            value = self._loader.construct_object(node, deep=True)
        except (ValueError, OverflowError, KeyError, AttributeError):
            # What only looks like a date or a number; whoever wants one says so.
            return text
        if value is None and not text:
            self._commented(path, before)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            return self._number(text, value, path)
        return value

    def _commented(self, path: Path, before: yaml.Mark) -> None:
        """`channel: #alerts` is an empty value, and so is what a variable left that is not set."""
        row = self._rows[before.line] if before.line < len(self._rows) else ""
        rest = row[before.column :].removeprefix(":")
        comment = _COMMENTED.fullmatch(rest.rstrip())
        if comment is None:
            self._add(path, "is empty.", "Give it a value, or remove the line.")
            return
        name = next((part for part in reversed(path) if isinstance(part, str)), "")
        channel = name.startswith("channel")
        written_as = f"“{name}:” is empty" if isinstance(path[-1], str) else "An item is empty"
        self._add(
            path,
            f"{written_as}: “{comment[1]}” after it is a comment in YAML."
            + (" Messages would go to no channel." if channel else ""),
            "Give the ID of the channel, such as C0123ABCD: Slack shows it at the end of its details."
            if channel
            else f'Put it in quotes: "{comment[1]}".',
        )

    def _number(self, text: str, value: int | float, path: Path) -> int | float:
        if _OCTAL.fullmatch(text) and len(text.lstrip("+-")) > 1:
            why = "an octal number"
        elif _SEXAGESIMAL.fullmatch(text):
            why = "a number to the base of 60"
        else:
            return value
        self._add(
            path,
            f"{text} is {why} in YAML: {value}.",
            f'Put text in quotes: "{text}"; write a number without the zero or the colon.',
        )
        return value

    def _add(self, path: Path, message: str, remedy: str = "") -> None:
        self._found.problems.append(self._found.problem(path, message, remedy))


def _syntax(error: yaml.YAMLError, text: str) -> Problem:
    """Where the file stops being YAML, and the usual reason. What is written there is not repeated."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return Problem(written(()), 1, f"is not usable YAML: {error}.")
    rows = text.splitlines() or [""]
    problem = str(getattr(error, "problem", None) or "it cannot be read")
    context = str(getattr(error, "context", None) or "")
    line = mark.line
    if line >= len(rows):
        # At the end of the file nothing is wrong but what began before and has no end.
        begun = getattr(error, "context_mark", None) or mark
        line = min(begun.line, len(rows) - 1)
    message, remedy = _usual(rows[line], mark.column, problem)
    if context.startswith("while parsing a flow") and (
        open_row := _open_row(rows[: mark.line + 1])
    ):
        line, message, remedy = open_row - 1, _OPEN, _QUOTE_CHANNEL
    return Problem(
        written(()),
        line + 1,
        f"is not YAML: {message or problem + '.'}",
        remedy
        or "Compare the indentation, quotes and brackets of this line with docs/settings.md.",
    )


_OPEN = "# begins a comment, so the bracket before it is never closed."
_QUOTE_CHANNEL = (
    "Put a value that begins with # in quotes; a channel is given by its ID, such as C0123ABCD."
)


def _usual(row: str, column: int, problem: str) -> tuple[str, str]:
    """The usual reason for what PyYAML finds in that column of a row, and its remedy; empty where it is
    another."""
    if "\t" in row[: len(row) - len(row.lstrip())]:
        return "a tab indents this line.", "Indent with spaces alone."
    if problem == "mapping values are not allowed here" and ": " in row[:column]:
        return "a second “: ” stands in one value.", "Put the value in quotes."
    if problem.startswith(_AT_SIGN) and row[column : column + 1] in _SIGNS:
        return f"a value cannot begin with {row[column]} in YAML.", "Put the value in quotes."
    return "", ""


def _open_row(rows: list[str]) -> int:
    """The number, from 1, of the first row with a bracket that a comment keeps from being closed; 0 where
    there is none."""
    for number, row in enumerate(rows, 1):
        if _opens(_COMMENT.split(row)[0]) and _COMMENT.search(row):
            return number
    return 0


def _opens(row: str) -> bool:
    return sum(map(row.count, "[{")) > sum(map(row.count, "]}"))


def names_of(data: Mapping[str, Any], section: str) -> Iterator[tuple[int, str]]:
    """The names in a list of the settings, with their places, as far as they can be read."""
    items = data.get(section)
    for index, item in enumerate(items if isinstance(items, list) else ()):
        name = item.get("name") if isinstance(item, Mapping) else None
        if isinstance(name, str):
            yield index, name
