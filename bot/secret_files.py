"""Secrets that files hold: each secret variable can also be given as NAME_FILE."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.errors import InvalidInput

SUFFIX = "_FILE"
_LARGEST = 64 * 1024


def from_files(variables: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """What the files hold that `environment` names, by variable, without white space at the end.

    InvalidInput where a variable is given both ways, and for a file that cannot be used. It never says
    what a file holds.
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
        found[variable] = _read(variable + SUFFIX, Path(path))
    return found


def _read(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            held = file.read(_LARGEST + 1)
        if len(held) > _LARGEST:
            raise InvalidInput(f"{name}: the file {path} is too large for a secret.")
        text = held.decode("utf-8").rstrip()
    except OSError as error:
        raise InvalidInput(f"{name}: the file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name}: the file {path} is not text in UTF-8.") from error
    if not text:
        raise InvalidInput(f"{name}: the file {path} is empty.")
    return text
