"""Ends the messages that bots which died had kept current: a message that looks current and is not
would be a lie."""

import logging
import threading

from deploy.actions.codec import Unreadable
from deploy.actions.versions import LeftAlone
from deploy.deadline import Deadline
from deploy.errors import GatewayBotError
from handlers.messages.live import Live, Look

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 5.0


class LeftBehind:
    """One thread that looks for them; `look` renders what they showed."""

    def __init__(self, live: Live, look: Look, *, sweep_seconds: float = _SWEEP_SECONDS) -> None:
        self._live = live
        self._look = look
        self._sweep_seconds = sweep_seconds
        self._left_alone = LeftAlone(log)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-sweep", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """Leave the rest to other bots."""
        self._stopping.set()
        deadline.join([self._thread])

    @property
    def live(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.wait(self._sweep_seconds):
            try:
                orphans = self._live.left_behind()
            except GatewayBotError as error:
                log.info("messages left behind wait for the next turn: %s", error)
                continue
            for orphan in orphans:
                try:
                    self._live.close(orphan, self._look)
                except Unreadable as record:
                    self._left_alone.report(record)
                except GatewayBotError as error:
                    log.info("a message left behind waits for a later turn: %s", error)
                except Exception:  # one that cannot be ended must keep no other from its end
                    log.exception("a message left behind cannot be ended")
