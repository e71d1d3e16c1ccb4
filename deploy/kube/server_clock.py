"""A server's clock against this machine's."""

import email.utils
import math
import time

_CLOCK_SECONDS = 10.0
_CLOCK_TOLERANCE = 5.0


class Clock:
    """A server's clock against this machine's, by the Date of its answers."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._read_at = -math.inf

    def told(self, date: str) -> None:
        """Take a Date in; one every few seconds is enough, for clocks drift slowly.

        It has whole seconds and was on its way, so a small difference is none.
        """
        now = time.monotonic()
        if not date or now - self._read_at < _CLOCK_SECONDS:
            return
        try:
            moment = email.utils.parsedate_to_datetime(date)
        except ValueError:
            return
        self._read_at = now
        ahead = moment.timestamp() - time.time()
        self.ahead = ahead if abs(ahead) > _CLOCK_TOLERANCE else 0.0
