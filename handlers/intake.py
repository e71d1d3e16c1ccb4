"""From an accepted request to its visible outcome, whatever happens to the bot in between.

A request is written to the inbox before Slack gets its ack; a bot that dies leaves it there, and
any bot takes it up again. Requests plan and ask, they never change a gateway, so doing one twice
shows the same thing.
"""

import logging
import secrets
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from slack_sdk import WebClient

from deploy.actions.inbox import Inbox
from deploy.deadline import Deadline
from deploy.errors import GatewayBotError
from handlers.slack import replies
from handlers.slack.payloads import Request
from handlers.verbs.verb import Run
from handlers.views import errors
from handlers.views.reply import Reply

log = logging.getLogger(__name__)

_LEASE_SECONDS = 60
_SWEEP_SECONDS = 5
_SWEEP_COUNT = 20
_UNTOLD = 100
"""So many answers are kept for a Slack that takes none; what is older is worked out again."""


class Intake:
    """Works on the requests of the inbox, several at once."""

    def __init__(
        self,
        slack: WebClient,
        inbox: Inbox,
        verbs: Mapping[str, Run],
        pool: ThreadPoolExecutor,
        owner: str,
    ) -> None:
        self._slack = slack
        self._inbox = inbox
        self._verbs = verbs
        self._pool = pool
        self._owner = owner
        self._busy: set[str] = set()
        self._untold: dict[str, Reply] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="intake", daemon=True)

    def start(self) -> None:
        """Take up, now and from time to time, what a bot that died left behind."""
        self._sweeper.start()

    def stop(self, deadline: Deadline) -> None:
        """Take up nothing more; what is under way ends with the pool."""
        with self._lock:
            self._stop.set()
        deadline.join([self._sweeper])

    @property
    def live(self) -> bool:
        """Whether requests left behind are still being looked for."""
        return self._sweeper.is_alive()

    def take_up(self, key: str) -> None:
        """Work on the request of that key, which is in the inbox; once stopped, another bot does."""
        with self._lock:
            if not self._stop.is_set():
                self._pool.submit(self._work, key)

    def _sweep(self) -> None:
        while not self._stop.wait(_SWEEP_SECONDS):
            try:
                for key in self._inbox.due(_SWEEP_COUNT):
                    self.take_up(key)
            except GatewayBotError as error:
                log.warning("the inbox cannot be read: %s", error)

    def _work(self, key: str) -> None:
        with self._lock:
            if key in self._busy:
                return
            self._busy.add(key)
        try:
            self._take(key)
        finally:
            with self._lock:
                self._busy.discard(key)

    def _take(self, key: str) -> None:
        try:
            payload = self._inbox.claim(key, self._owner, _LEASE_SECONDS)
            with self._lock:
                untold = self._untold.pop(key, None)
            if payload is None:
                return
            request = Request(**payload)
            reply = untold or self._answer(request)
            if reply is not None and not self._told(request, reply):
                # Slack does not answer just now; the next sweep comes back to it.
                self._keep(key, reply)
                return
            self._inbox.done(key, reply.text if reply else "")
        except GatewayBotError as error:
            log.warning("request %s waits for its next turn: %s", key, error)

    def _keep(self, key: str, reply: Reply) -> None:
        with self._lock:
            self._untold[key] = reply
            # Also that of a request which another bot has answered since.
            if len(self._untold) > _UNTOLD:
                del self._untold[next(iter(self._untold))]

    def _told(self, request: Request, reply: Reply) -> bool:
        return replies.send(
            self._slack,
            reply,
            user=request.user,
            channel=request.channel,
            response_url=request.response_url,
        )

    def _answer(self, request: Request) -> Reply | None:
        try:
            return self._verbs[request.verb](request)
        except GatewayBotError as error:
            return errors.trouble(error)
        except Exception:  # a person must hear of any fault; the log keeps it whole
            reference = secrets.token_hex(4)
            log.exception("%s %s failed, reference %s", request.verb, request.id, reference)
            return errors.unexpected(reference)
