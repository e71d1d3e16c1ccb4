"""Where requests are made safe: before Slack gets its ack, and when the bot asks something of itself."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future

from deploy.actions.inbox import Inbox
from deploy.background import begin
from deploy.errors import GatewayBotError, Unavailable
from handlers.slack.in_time import InTime, Late
from handlers.slack.payloads import Request, request_to_mapping

log = logging.getLogger(__name__)

_TRIPS = 2
"""At once: more would each carry less."""


class RequestInbox:
    """`arrived` is called with each request that was not there before."""

    def __init__(self, inbox: Inbox, arrived: Callable[[Request], object]) -> None:
        self._inbox = inbox
        self._arrived = arrived

    def accept(self, request: Request) -> None:
        """Write it down, and have it worked on. Unavailable when it could not be written down."""
        self.accept_all([request])

    def accept_all(self, requests: Sequence[Request]) -> None:
        """The same of several, in one round trip."""
        found = self._inbox.accept_all([(each.id, request_to_mapping(each)) for each in requests])
        for request, answer in zip(requests, found, strict=True):
            if answer == "new":
                self._arrived(request)


class Gathering:
    """Writes down in one trip what was accepted while the trip before was under way.

    A thread and a trip for each of two hundred at once would take the processor from their acks.
    """

    def __init__(self, inbox: RequestInbox, pool: Executor) -> None:
        self._inbox = inbox
        self._pool = pool
        self._lock = threading.Lock()
        self._waiting: list[tuple[Request, Future[None]]] = []
        self._trips = 0

    def submit(self, request: Request) -> Future[None]:
        """Write it down soon; it can be cancelled until its trip begins."""
        written: Future[None] = Future()
        with self._lock:
            self._waiting.append((request, written))
            if self._trips < _TRIPS:
                self._trips += 1
                begin(self._pool, self._write)
        return written

    def _write(self) -> None:
        while taken := self._take():
            try:
                self._inbox.accept_all([request for request, _ in taken])
            except Exception as error:
                # Those who wait raise it; who no longer does has this line.
                log.info("requests could not be written down", exc_info=error)
                for _, written in taken:
                    written.set_exception(error)
            else:
                for _, written in taken:
                    written.set_result(None)

    def _take(self) -> list[tuple[Request, Future[None]]]:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            taken = [each for each in waiting if each[1].set_running_or_notify_cancel()]
            self._trips -= not taken
        return taken


def admitting(
    accept: Callable[[Request], None],
    busy: Callable[[Request], GatewayBotError | None],
    knows: Callable[[str], bool],
    in_time: InTime,
) -> Callable[[Request], None]:
    """`accept` for what people ask: it raises what `busy` says of a request that cannot be accepted
    now. One that `knows` from an earlier delivery is not refused at a later one, where that is known
    in time. What the bot asks of itself is always accepted."""

    def known(request: Request) -> bool:
        try:
            return in_time.result(lambda: knows(request.id))
        except Late:
            return False

    def admit(request: Request) -> None:
        refused = busy(request)
        if refused is None:
            accept(request)
        elif not known(request):
            raise refused

    return admit


def accepting(gathering: Gathering, in_time: InTime) -> Callable[[Request], None]:
    """`accept` for when Slack waits: Unavailable too where Redis takes longer than that."""

    def accept(request: Request) -> None:
        try:
            in_time.of(gathering.submit(request))
        except Late as late:
            raise _begun() if late.begun else _busy() from None

    return accept


def _begun() -> Unavailable:
    return Unavailable(
        "Redis cannot be used now (it does not answer).",
        meaning="Whether this was recorded is not known; if it was, it continues automatically.",
    )


def _busy() -> Unavailable:
    return Unavailable(
        "Redis cannot be used now (too much waits for its answer).",
        meaning="Nothing was done.",
        untouched=True,
    )
