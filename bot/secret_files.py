"""Secrets that files hold: each secret variable can also be given as NAME_FILE."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from bot.problems import Problem
from deploy.errors import InvalidInput

log = logging.getLogger(__name__)

SUFFIX = "_FILE"
_LARGEST = 64 * 1024
_KUBERNETES_DATA = "..data"
"""A link in each directory that Kubernetes mounts from a Secret; what changes there changes with it
(pkg/volume/util/atomic_writer.go)."""


class SecretFile(SecretStr):
    """A secret that a file holds. Whoever asks for its value at each use has the one that the bot
    found there last: `bot.secret_changes`."""

    def __init__(self, variable: str, path: Path) -> None:
        """InvalidInput for a file that cannot be used. It never says what the file holds."""
        self.variable = variable
        self.path = path
        super().__init__(self.read())

    def read(self) -> str:
        """What the file holds now, without white space around it. InvalidInput as above."""
        try:
            with self.path.open("rb") as file:
                held = file.read(_LARGEST + 1)
            text = held.decode("utf-8").strip()
        except OSError as error:
            remedy = "Correct the path, or the mode of the file and of its directory."
            raise self._unusable(f"cannot be read: {error.strerror}", remedy) from error
        except UnicodeDecodeError as error:
            raise self._unusable("is not text in UTF-8", _ALONE) from error
        if len(held) > _LARGEST:
            raise self._unusable("is too large for a secret", _ALONE)
        if not text:
            raise self._unusable("is empty", "Write the secret into it.")
        return text

    def use(self, value: str) -> None:
        """Be that value from now on."""
        super().__init__(value)

    def _unusable(self, why: str, remedy: str) -> InvalidInput:
        return InvalidInput(f"the file {self.path} {why}.", remedy=remedy)


_ALONE = "Write the secret alone into it."


@dataclass(frozen=True)
class Given:
    """The secrets that are given, by variable: `values` all of them, `from_files` those in files. No
    problem says what a file holds."""

    values: Mapping[str, str] = field(repr=False)
    from_files: Mapping[str, SecretFile] = field(repr=False)
    problems: tuple[Problem, ...] = ()

    def names(self, variable: str) -> bool:
        """Whether it is given, usable or not."""
        wrong = {each.path.removesuffix(SUFFIX) for each in self.problems}
        return variable in self.values or variable in wrong


def given(variables: Iterable[str], environment: Mapping[str, str]) -> Given:
    """What the variables and the files hold that `environment` names, in capitals or not, without white
    space around it. A key that a Secret does not have has no file where Kubernetes mounts it: it counts
    as not given."""
    environment = {name.upper(): value for name, value in environment.items()} | dict(environment)
    values: dict[str, str] = {}
    in_files: dict[str, SecretFile] = {}
    problems = []
    for variable in variables:
        name = variable + SUFFIX
        value, path = environment.get(variable, "").strip(), environment.get(name)
        if value and path:
            problems.append(
                Problem(
                    variable,
                    None,
                    f"{variable} and {name} are both set, so which of them counts would be a guess.",
                    "Unset one of them.",
                )
            )
        elif path and _lacks_key(Path(path)):
            log.info("%s is not given: its Secret has no key for %s", variable, path)
        elif path:
            try:
                file = SecretFile(variable, Path(path))
            except InvalidInput as error:
                problems.append(Problem(name, None, error.happened, error.remedy))
                continue
            in_files[variable], values[variable] = file, file.get_secret_value()
        elif value:
            values[variable] = value
    return Given(values, in_files, tuple(problems))


def _lacks_key(path: Path) -> bool:
    return (path.parent / _KUBERNETES_DATA).is_dir() and not path.exists()
