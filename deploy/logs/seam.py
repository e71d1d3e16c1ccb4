"""Continuing a log where it was left, without a line lost or told twice. Pure.

`sinceTime` of a log request counts whole seconds, so the last second comes once more.
"""

import datetime
from dataclasses import dataclass


@dataclass
class Seam:
    """How far one pod's log has been read."""

    _last: str = ""
    _same: int = 0
    _skip: int = 0
    _resuming: bool = False

    @property
    def since(self) -> str:
        """The `sinceTime` to continue with, RFC 3339; empty before the first line."""
        return f"{self._last[:19]}Z" if self._last else ""

    def resume(self) -> None:
        """The log is opened once more, from `since`."""
        self._resuming = bool(self._last)
        self._skip = self._same

    def fresh(self, stamped: str) -> bool:
        """Whether a line, with the kubelet's timestamp before it, has not been seen before."""
        stamp = _stamp(stamped)
        if stamp is None:
            return not self._resuming
        if self._resuming:
            if stamp < self._last:
                return False
            if stamp == self._last and self._skip:
                self._skip -= 1
                return False
            self._resuming = False
        self._same = self._same + 1 if stamp == self._last else 1
        self._last = max(stamp, self._last)
        return True


def _stamp(stamped: str) -> str | None:
    """The timestamp with all nine digits of its fraction, so that text sorts as time does."""
    text = stamped.partition(" ")[0]
    whole, _, fraction = text.removesuffix("Z").partition(".")
    try:
        datetime.datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return None
    return f"{whole}.{fraction[:9].ljust(9, '0')}"
