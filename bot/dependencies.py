"""How what the bot depends on stands, from memory: a probe that asks waits for nothing."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deploy.actions.replicas import Agreement, Replicas
from deploy.deadline import Deadline
from deploy.errors import GatewayBotError
from deploy.health.cache import ClusterCache
from deploy.health.standing import Standing
from deploy.waits import Service

log = logging.getLogger(__name__)

OK = "ok"
_PERIOD = 5.0
_HANGS = 5.0
"""A report that takes longer than so many seconds counts as one that failed."""
_LATELY = 300.0


@dataclass(frozen=True)
class _Last:
    """The last call of a service: when it ended (monotonic seconds), and its error."""

    at: float
    error: str


class Answers:
    """What the last call of each kind of service came to."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, _Last] = {}

    def called(self, service: Service, seconds: float, error: str) -> None:
        """A call has ended."""
        self._last[service.kind] = _Last(self._clock(), error)

    def of(self, kind: str) -> str:
        """How the service answered lately, in words."""
        last = self._last.get(kind)
        if last is None or self._clock() - last.at > _LATELY:
            return "not asked lately"
        return last.error or OK


class Shared:
    """A part of the bot that reports to the others on Redis which settings it has, and so finds out
    whether Redis takes writes."""

    def __init__(
        self,
        replicas: Replicas,
        *,
        period: float = _PERIOD,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replicas = replicas
        self._period = period
        self._clock = clock
        self._asked_at: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replicas", daemon=True)
        self.agreement: Agreement | None = None
        self._trouble = "not asked yet"

    def start(self) -> None:
        """Begin to report."""
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """Report that this bot ends, and end."""
        self._stopping.set()
        deadline.join([self._thread])

    @property
    def live(self) -> bool:
        """Whether it reports, be Redis there or not."""
        return self._thread.is_alive()

    @property
    def trouble(self) -> str:
        """Why Redis takes no writes, or does not answer; empty where it took the last one."""
        asked_at = self._asked_at
        waited = 0.0 if asked_at is None else self._clock() - asked_at
        # Of several servers that hang each has its own time to answer, one after another.
        return f"Redis has not answered for {int(waited)} s." if waited > _HANGS else self._trouble

    @property
    def writable(self) -> bool:
        """Whether Redis took the last write, and does not hang on the next."""
        return not self.trouble

    def turn(self) -> None:
        """Report once."""
        self._asked_at = self._clock()
        try:
            self.agreement = self._replicas.report()
        except GatewayBotError as error:
            self.agreement, self._trouble = None, error.happened
        else:
            self._trouble = ""
        finally:
            self._asked_at = None

    def _run(self) -> None:
        while True:
            try:
                self.turn()
            except Exception:  # the thread must outlive whatever one turn meets
                log.exception("the settings of the replicas were not compared")
            if self._stopping.wait(self._period):
                break
        if self.writable:
            try:
                self._replicas.leave()
            except GatewayBotError as error:
                log.info("other bots find later that this one has ended: %s", error)


class Dependencies:
    """What readiness says beside whether the bot is ready."""

    def __init__(
        self,
        shared: Shared,
        answers: Answers,
        caches: Mapping[str, ClusterCache],
    ) -> None:
        self._shared = shared
        self._answers = answers
        self._caches = caches

    def detail(self) -> dict[str, str]:
        """In words, by name; `ok` where nothing is wrong."""
        return {
            "redis": self._shared.trouble or OK,
            "slack calls": self._answers.of("slack"),
            "azure": self._answers.of("azure"),
            **{f"cluster {name}": _watched(cache.standing) for name, cache in self._caches.items()},
            "settings": self._settings(),
        }

    def _settings(self) -> str:
        agreement = self._shared.agreement
        if agreement is None:
            return "unknown: Redis does not say which settings the other bots have"
        if agreement.agreed:
            return OK
        return f"{agreement.bots} bots have {agreement.settings} different settings"


def _watched(standing: Standing) -> str:
    if standing.lost or not standing.unread:
        return standing.lost or OK
    (name, why), unread = standing.unread[0], len(standing.unread)
    more = f" ({unread - 1} more)" if unread > 1 else ""
    return f"namespace {name}{more}: {why}"
