"""What has not answered several times running is not waited for again by everybody who asks.

The first ones wait as long as it takes. After that people get an answer at once, which says why and
when it is asked again, and one of them in every few seconds finds out whether it answers by now.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from deploy.errors import GatewayBotError, Unavailable

T = TypeVar("T")

_LIMIT = 2
"""Calls in vain, one after the other, after which it is known."""
_PAUSE_SECONDS = 10.0
_COSTLY_SECONDS = 1.0
"""What failed faster cost nobody anything, and may be asked again by whoever likes."""


@dataclass(frozen=True)
class Circuit:
    """`in_vain` calls running were; `ask_at` is when the next may be made (monotonic seconds)."""

    in_vain: int = 0
    ask_at: float = -math.inf

    def refused_for(self, now: float) -> float:
        """For how many seconds nobody is to wait for an answer; 0 where somebody may."""
        return max(0.0, self.ask_at - now) if self.in_vain >= _LIMIT else 0.0

    def asked(self, now: float) -> "Circuit":
        """Somebody finds out; the others do not wait with them."""
        return replace(self, ask_at=now + _PAUSE_SECONDS)

    def failed(self, now: float, took: float) -> "Circuit":
        """No answer came within so many seconds."""
        if took < _COSTLY_SECONDS:
            return self
        return Circuit(self.in_vain + 1, now + _PAUSE_SECONDS)


class Breaker:
    """The circuit to one service. Safe to use from many threads."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._circuit = Circuit()
        self._trouble = Unavailable("")

    @property
    def silent(self) -> bool:
        """Whether nobody is to wait for it now."""
        return self._circuit.refused_for(self._clock()) > 0

    def call(self, work: Callable[[], T], *, patient: bool = False) -> T:
        """What the work gives. Unavailable at once where the service has not answered lately, unless
        the caller is `patient`: one that repeats automatically and owes nobody an answer soon."""
        if not patient:
            self._admit()
        began = self._clock()
        try:
            result = work()
        except Unavailable as error:
            if error.answered:
                self._answered()
                raise
            now = self._clock()
            with self._lock:
                self._circuit = self._circuit.failed(now, now - began)
                self._trouble = error
            raise
        except GatewayBotError:
            self._answered()
            raise
        self._answered()
        return result

    def _admit(self) -> None:
        with self._lock:
            now = self._clock()
            wait = self._circuit.refused_for(now)
            if not wait:
                self._circuit = self._circuit.asked(now)
                return
            trouble = self._trouble
        again = f"The bot retries it in {math.ceil(wait)} s; try again after that."
        raise Unavailable(
            trouble.happened,
            meaning=trouble.meaning,
            remedy=trouble.remedy if trouble.lasts else again,
            retry_after=wait,
            untouched=True,
            lasts=trouble.lasts,
        )

    def _answered(self) -> None:
        with self._lock:
            self._circuit = Circuit()
