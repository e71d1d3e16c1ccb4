"""Secrets that files hold: each secret variable can also be given as NAME_FILE."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import SecretStr

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
        """What the file holds now, without white space at the end. InvalidInput as above."""
        name = self.variable + SUFFIX
        try:
            with self.path.open("rb") as file:
                held = file.read(_LARGEST + 1)
            if len(held) > _LARGEST:
                raise InvalidInput(f"{name}: the file {self.path} is too large for a secret.")
            text = held.decode("utf-8").rstrip()
        except OSError as error:
            raise InvalidInput(
                f"{name}: the file {self.path} cannot be read: {error.strerror}."
            ) from error
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{name}: the file {self.path} is not text in UTF-8.") from error
        if not text:
            raise InvalidInput(f"{name}: the file {self.path} is empty.")
        return text

    def use(self, value: str) -> None:
        """Be that value from now on."""
        super().__init__(value)


def from_files(variables: Iterable[str], environment: Mapping[str, str]) -> dict[str, SecretFile]:
    """The secrets in the files that `environment` names, by variable.

    InvalidInput where a variable is given both ways, and for a file that cannot be used. A key that a
    Secret does not have has no file where Kubernetes mounts it: it counts as not given.
    """
    found = {}
    for variable in variables:
        path = environment.get(variable + SUFFIX)
        if not path:
            continue
        if environment.get(variable):
            raise InvalidInput(
                f"{variable} and {variable}{SUFFIX} are both set.",
                meaning="Which of them counts would be a guess.",
                remedy="Unset one of them.",
            )
        if _lacks_key(Path(path)):
            log.info("%s is not given: its Secret has no key for %s", variable, path)
            continue
        found[variable] = SecretFile(variable, Path(path))
    return found


def _lacks_key(path: Path) -> bool:
    return (path.parent / _KUBERNETES_DATA).is_dir() and not path.exists()
