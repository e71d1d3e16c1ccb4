"""Secrets that files hold: each secret variable can also be given as NAME_FILE."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bot.problems import Problem

SUFFIX = "_FILE"
_LARGEST = 64 * 1024


@dataclass(frozen=True)
class Given:
    """The secrets that are given, by variable: `values` all of them, `from_files` those in files. No
    problem says what a file holds."""

    values: Mapping[str, str] = field(repr=False)
    from_files: dict[str, str] = field(repr=False)
    problems: tuple[Problem, ...] = ()

    def names(self, variable: str) -> bool:
        """Whether it is given, usable or not."""
        wrong = {each.path.removesuffix(SUFFIX) for each in self.problems}
        return variable in self.values or variable in wrong


def given(variables: Iterable[str], environment: Mapping[str, str]) -> Given:
    """What the variables and the files hold that `environment` names; files without white space at the
    end."""
    values: dict[str, str] = {}
    in_files: dict[str, str] = {}
    problems = []
    for variable in variables:
        name = variable + SUFFIX
        value, path = environment.get(variable), environment.get(name)
        if value and path:
            problems.append(
                Problem(
                    variable,
                    None,
                    f"{variable} and {name} are both set, so which of them counts would be a guess.",
                    "Unset one of them.",
                )
            )
        elif path:
            text, trouble = _read(name, Path(path))
            problems += trouble
            if not trouble:
                in_files[variable] = values[variable] = text
        elif value:
            values[variable] = value
    return Given(values, in_files, tuple(problems))


def _read(name: str, path: Path) -> tuple[str, list[Problem]]:
    try:
        with path.open("rb") as file:
            held = file.read(_LARGEST + 1)
        text = held.decode("utf-8").rstrip()
    except OSError as error:
        why = f"cannot be read: {error.strerror}."
        remedy = "Correct the path, or the mode of the file and of its directory."
    except UnicodeDecodeError:
        why, remedy = "is not text in UTF-8.", "Write the secret alone into it."
    else:
        if len(held) > _LARGEST:
            why, remedy = "is too large for a secret.", "Write the secret alone into it."
        elif not text:
            why, remedy = "is empty.", "Write the secret into it."
        else:
            return text, []
    return "", [Problem(name, None, f"the file {path} {why}", remedy)]
