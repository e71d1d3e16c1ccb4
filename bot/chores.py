"""What is done from time to time, each on a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable

from deploy.deadline import Deadline
from deploy.errors import GatewayBotError

log = logging.getLogger(__name__)

_MISSED = 10
"""A chore that has not come round for so many of its turns, and half a minute, has stalled."""


class Chore:
    """Calls `work` every `seconds`; what it raises is logged, and it is called again. `at_end` is
    called once, after the last turn."""

    def __init__(
        self,
        name: str,
        seconds: float,
        work: Callable[[], object],
        *,
        at_end: Callable[[], object] = lambda: None,
    ) -> None:
        self.name = name
        self._seconds = seconds
        self._work = work
        self._at_end = at_end
        self._stopping = threading.Event()
        self._done_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """Finish the turn under way and end."""
        self._stopping.set()
        deadline.join([self._thread])

    @property
    def live(self) -> bool:
        """Whether it comes round."""
        late = time.monotonic() - self._done_at > self._seconds * _MISSED + 30
        return self._thread.is_alive() and not late

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            self._do(self._work)
            self._done_at = time.monotonic()
        self._do(self._at_end)

    def _do(self, work: Callable[[], object]) -> None:
        try:
            work()
        except GatewayBotError as error:
            log.warning("%s did not succeed this time: %s", self.name, error)
        except Exception:  # a chore must outlive any one of its turns
            log.exception("%s failed", self.name)
