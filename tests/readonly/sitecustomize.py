"""A file system that is read-only but for a few places, as the container of the bot has it.

Python imports this by its name where PYTHONPATH names its folder. WRITABLE names the places; without it
nothing is done. Programs that are no Python are not held.
"""

import errno
import os
import sys
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = (
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
)


def _install(writable: tuple[str, ...]) -> None:
    def allowed(path: Any) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return True  # a descriptor that somebody has opened before
        real = os.path.realpath(os.fsdecode(path))
        return any(real == place or real.startswith(f"{place}/") for place in writable)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = bool(flags & _WRITES) if flags else bool(set(mode or "") & set("wax+"))
            if not writes or allowed(path):
                return
        elif event not in _CHANGES or allowed(arguments[0]):
            return
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), arguments[0])

    sys.addaudithook(watch)


if "WRITABLE" in os.environ:
    _install(tuple(map(os.path.realpath, os.environ["WRITABLE"].split(os.pathsep))))
