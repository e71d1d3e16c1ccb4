"""What durable records have in common: each carries the version of its form.

Bots of two versions share one Redis during an upgrade. A record that is newer than this bot is left
alone and reported once; one without a version is from before there were versions, and is read. A
hash carries its version in the field `format`, a single JSON text in `version`.
"""

import contextlib
import logging
import threading
from collections.abc import Iterator

from deploy.actions.codec import Unreadable
from deploy.errors import InvalidInput

_REMEMBERED = 10_000


class Newer(Unreadable):
    """A record that a newer bot wrote."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "a newer one wrote it")


def guard(version: int, answer: str) -> str:
    """Lua to begin a script with: it answers `answer` where the hash in KEYS[1] is newer."""
    return (
        f"local FORMAT = {version}\n"
        "if (tonumber(redis.call('HGET', KEYS[1], 'format')) or 0) > FORMAT then\n"
        f"  return {answer}\n"
        "end\n"
    )


def check(name: str, written: object, version: int) -> None:
    """Newer where the record of that name was written in a later form than this bot's `version`."""
    if int(str(written or 0)) > version:
        raise Newer(name)


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Around the decoding of the record of that name: Unreadable where it is damaged."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, InvalidInput) as error:
        raise Unreadable(name, f"it is damaged ({type(error).__name__})") from error


class LeftAlone:
    """Reports in a log which records are left alone, each once."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._reported: set[str] = set()
        self._lock = threading.Lock()

    def report(self, record: Unreadable) -> None:
        """Report it, if it is new."""
        if record.reported:
            return
        record.reported = True
        with self._lock:
            if record.name in self._reported:
                return
            if len(self._reported) >= _REMEMBERED:
                self._reported.clear()
            self._reported.add(record.name)
        self._log.warning("%s", record)
