"""One owner for a directory at a time, on one machine."""

import fcntl
import time
from pathlib import Path
from typing import IO

_POLL_SECONDS = 0.002


class InUseError(Exception):
    """Somebody else holds the lock."""


def hold(path: Path, *, seconds: float) -> IO[str]:
    """Take the lock that `path` stands for, waiting so long at most; closing the file lets it go.

    flock(2): it ends with the last process that has the file open, however that ends. InUseError.
    """
    lock = path.open("w")
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if time.monotonic() < end:
                time.sleep(_POLL_SECONDS)
                continue
            lock.close()
            raise InUseError(str(path)) from error
        return lock
