"""Asks each service that the bot depends on something small, from time to time.

A bot with nothing to do would otherwise learn of no outage. Each service is asked on a thread of its
own, so that one that hangs delays no other. What is known is read from memory.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from deploy.deadline import Deadline
from deploy.errors import GatewayBotError, Refused, Throttled, Unavailable
from deploy.times import minute_of
from deploy.waits import Service

log = logging.getLogger(__name__)

OK = "ok"
NOT_ASKED = "not asked yet"
PERIOD = 10.0
"""Seconds from an answer to the next question. Of ten bots that is one question a second: Slack allows
hundreds of auth.test a minute, Resource Manager 25 reads a second of one identity."""
_STOP_SECONDS = 1.0


class Outcome(StrEnum):
    """What asking a service came to."""

    OK = "ok"
    SLOW = "slow"
    REFUSING = "refusing"
    """It answers, and refuses the bot: its credentials, its rights, or so many calls."""
    UNAVAILABLE = "unavailable"
    """It cannot be reached, or answers that it cannot do anything now."""
    HANGING = "hanging"

    @property
    def answers(self) -> bool:
        """Whether it does what it is asked."""
        return self in (Outcome.OK, Outcome.SLOW)


@dataclass(frozen=True)
class Limits:
    """Seconds. What takes longer than `slow` to answer is slow. What fails after `silent` or later
    hung: no client waits less for a connection with TLS. What fails sooner said so. A question without
    an answer after `hanging` hangs."""

    slow: float = 2.0
    silent: float = 2.5
    hanging: float = 8.0


@dataclass(frozen=True)
class Condition:
    """How a service is: since when that has been so (epoch seconds), why, and how many seconds the last
    answer took."""

    outcome: Outcome
    since: float
    why: str
    seconds: float

    @property
    def words(self) -> str:
        """For operators, without secrets or the names of people."""
        if self.outcome is Outcome.OK:
            return OK
        return f"{self.outcome} since {minute_of(self.since)}: {self.why}"


def judged(limits: Limits, seconds: float, error: GatewayBotError | None) -> tuple[Outcome, str]:
    """What a question came to that took so many seconds, and why. Pure."""
    if error is None:
        if seconds > limits.slow:
            return Outcome.SLOW, f"the last answer took {seconds:.1f} s."
        return Outcome.OK, ""
    if isinstance(error, Refused | Throttled):
        return Outcome.REFUSING, error.happened
    if seconds >= limits.silent:
        return Outcome.HANGING, error.happened
    return Outcome.UNAVAILABLE, error.happened


class ServiceProbe:
    """A part of the bot that asks one service.

    `ask` raises Refused or Throttled where the service refuses the bot, and another GatewayBotError where it does not
    answer. `at_end` is called once at the end, where the service answers.
    """

    def __init__(
        self,
        service: Service,
        ask: Callable[[], object],
        limits: Limits,
        *,
        period: float | None = None,
        at_end: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`period` is in seconds, PERIOD where it is not given."""
        self.service = service
        self.name = f"{service.kind} {service.name}".strip()
        self._ask = ask
        self._limits = limits
        self._period = PERIOD if period is None else period
        self._at_end = at_end
        self._clock = clock
        self._now = now
        self._asked_at: float | None = None
        self._last: Condition | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"probe {self.name}", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """Ask no longer. A question under way is not waited for: its service may hang."""
        self._stopping.set()
        deadline.within(_STOP_SECONDS).join([self._thread])

    @property
    def live(self) -> bool:
        """Whether it asks, be the service there or not."""
        return self._thread.is_alive()

    @property
    def condition(self) -> Condition | None:
        """How the service is now; None before its first answer."""
        last, asked_at = self._last, self._asked_at
        waited = 0.0 if asked_at is None else self._clock() - asked_at
        if waited <= self._limits.hanging:
            return last
        hung = last is not None and last.outcome is Outcome.HANGING
        since = last.since if last is not None and hung else self._now() - waited
        return Condition(Outcome.HANGING, since, f"no answer for {int(waited)} s.", waited)

    @property
    def answers(self) -> bool:
        """Whether the service did what it was last asked, and does not hang."""
        condition = self.condition
        return condition is not None and condition.outcome.answers

    @property
    def words(self) -> str:
        """How the service is, for operators."""
        condition = self.condition
        return NOT_ASKED if condition is None else condition.words

    def turn(self) -> None:
        """Ask once."""
        error: GatewayBotError | None = None
        began = self._asked_at = self._clock()
        try:
            self._ask()
        except GatewayBotError as refusal:
            error = refusal
        except Exception as strange:  # the thread must outlive whatever one turn meets
            log.exception("%s could not be asked", self.name)
            error = Unavailable(f"Asking it failed with {type(strange).__name__}.")
        seconds = self._clock() - began
        last, before = self._last, self.condition
        outcome, why = judged(self._limits, seconds, error)
        same = before is not None and before.outcome is outcome
        since = before.since if before is not None and same else self._now() - seconds
        self._last = Condition(outcome, since, why, seconds)
        self._asked_at = None
        if last is not None and last.outcome is outcome:
            return
        if outcome is not Outcome.OK:
            log.warning("%s is %s: %s", self.name, outcome, why)
        elif last is not None:
            log.info("%s answers again", self.name)

    def _run(self) -> None:
        while True:
            self.turn()
            if self._stopping.wait(self._period):
                break
        if self.answers:
            self._at_end()
