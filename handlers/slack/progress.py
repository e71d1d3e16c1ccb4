"""Shows whoever asked that their answer takes longer, and what it waits for."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait

from slack_sdk import WebClient

from deploy.deadline import Deadline
from deploy.waits import Waits, Work
from handlers.slack import replies
from handlers.slack.payloads import Request
from handlers.views import progress as view
from handlers.views.reply import Reply

log = logging.getLogger(__name__)

_SECONDS = 2.0
_SETTLING_SECONDS = 2.0

Run = Callable[[Request], Reply | None]


class _Answer:
    """One answer that is being worked on."""

    def __init__(self, request: Request, planning: bool, due: float) -> None:
        self.request = request
        self.planning = planning
        self.due = due
        self.work = Work()
        self.ended = False
        self.showing: Future[None] | None = None


class Progress:
    """Watches answers, and shows once what one waits for that takes longer than `seconds`."""

    def __init__(
        self, slack: WebClient, waits: Waits, pool: Executor, *, seconds: float = _SECONDS
    ) -> None:
        """`pool` is what shows it."""
        self._slack = slack
        self._waits = waits
        self._pool = pool
        self._seconds = seconds
        self._answers: deque[_Answer] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """Show nothing more."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        deadline.join([self._thread])

    @property
    def live(self) -> bool:
        """Whether it watches."""
        return self._thread.is_alive()

    def over(self, run: Run, *, planning: bool = False) -> Run:
        """The same, watched; `planning` where what it makes is a plan."""

        def watched(request: Request) -> Reply | None:
            answer = _Answer(request, planning, time.monotonic() + self._seconds)
            with self._changed:
                self._answers.append(answer)
                self._changed.notify()
            try:
                with self._waits.of(answer.work):
                    return run(request)
            finally:
                self._end(answer)

        return watched

    def _end(self, answer: _Answer) -> None:
        """From now on nothing is shown; what is being shown comes before the answer."""
        with self._changed:
            answer.ended = True
            showing = answer.showing
        if showing is not None and not showing.cancel():
            wait([showing], _SETTLING_SECONDS)

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._stopped:
                    return
                if not self._answers:
                    self._changed.wait()
                    continue
                first = self._answers[0]
                left = first.due - time.monotonic()
                if not first.ended and left > 0:
                    self._changed.wait(left)
                    continue
                self._answers.popleft()
                if not first.ended:
                    first.showing = self._pool.submit(self._show, first)

    def _show(self, answer: _Answer) -> None:
        request = answer.request
        # Of a click or a form its verb is a name in code.
        typed = "" if ":" in request.verb else f"{request.verb} {request.gateway}".strip()
        try:
            replies.send(
                self._slack,
                view.working(answer.planning, typed, answer.work.waits),
                user=request.user,
                channel=request.channel,
                response_url=request.response_url,
                thread=request.open_thread,
            )
        except Exception:  # nobody reads what the pool gives back
            log.exception("the progress of %s is not shown", request.id)
