"""From an accepted request to its visible outcome, whatever happens to the bot in between.

A request is written to the inbox before Slack gets its ack; a bot that dies leaves it there, and
any bot takes it up again. Requests plan and ask, they never change a gateway, so doing one twice
shows the same thing. One that only a newer bot understands is left to it.
"""

import json
import logging
import secrets
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from slack_sdk import WebClient

from deploy.actions.codec import Unreadable
from deploy.actions.inbox import Inbox
from deploy.actions.versions import Newer
from deploy.deadline import Deadline
from deploy.errors import GatewayBotError
from handlers.slack import replies
from handlers.slack.payloads import Request, request_from_mapping
from handlers.verbs.verb import Run
from handlers.views import errors
from handlers.views.reply import Reply

log = logging.getLogger(__name__)

_LEASE_SECONDS = 60
_SWEEP_SECONDS = 5
_SWEEP_COUNT = 20
_UNTOLD = 100
"""So many answers are kept for a Slack that takes none; what is older is worked out again."""
_LEFT = 1000
"""So many requests are remembered as left to a newer bot; what is older is looked at again."""


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
        self._left: dict[str, None] = {}
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
                with self._lock:
                    left = list(self._left)
                for key in self._inbox.due(_SWEEP_COUNT, but=left):
                    self.take_up(key)
            except GatewayBotError as error:
                log.warning("the inbox cannot be read: %s", error)
            except Exception:  # the thread must outlive whatever one sweep meets
                log.exception("a sweep of the inbox failed")

    def _work(self, key: str) -> None:
        with self._lock:
            if key in self._busy:
                return
            self._busy.add(key)
        try:
            self._take(key)
        except GatewayBotError as error:
            log.warning("request %s waits for its next turn: %s", key, error)
        except Exception:  # nobody reads what the pool gives back
            log.exception("request %s waits for its next turn", key)
        finally:
            with self._lock:
                self._busy.discard(key)

    def _take(self, key: str) -> None:
        stored = self._inbox.claim(key, self._owner, _LEASE_SECONDS)
        with self._lock:
            untold = self._untold.pop(key, None)
        if stored is None:
            return
        payload = _payload(stored)
        try:
            request = self._understood(payload)
        except Newer as newer:
            self._leave(key, newer)
            return
        except Unreadable as damaged:
            request = _sender(key, payload)
            reply: Reply | None = untold or errors.damaged()
            if untold is None:
                log.error("request %s is dropped: %s", key, damaged.happened)
        else:
            reply = untold or self._answer(request)
        if reply is not None and request.user and not self._told(request, reply):
            # Slack does not answer just now; the next sweep comes back to it.
            self._keep(key, reply)
            return
        self._inbox.done(key, reply.text if reply else "")

    def _understood(self, payload: Mapping[str, Any]) -> Request:
        """The request. Newer where this bot does not know its verb either."""
        request = request_from_mapping(payload)
        if request.verb not in self._verbs:
            raise Newer(f"A request to “{request.verb[:40]}”")
        return request

    def _leave(self, key: str, newer: Newer) -> None:
        """Leave it to a newer bot, and take it no more."""
        log.warning("request %s is left to a newer bot: %s", key, newer.happened)
        with self._lock:
            self._left[key] = None
            if len(self._left) > _LEFT:
                del self._left[next(iter(self._left))]
        self._inbox.leave(key, self._owner)

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


def _payload(stored: str) -> Mapping[str, Any]:
    """What was stored; empty where it is no JSON object."""
    try:
        found = json.loads(stored)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _sender(key: str, payload: Mapping[str, Any]) -> Request:
    """Who made a request that cannot be read and where, as far as that can be."""

    def text(name: str) -> str:
        found = payload.get(name)
        return found if isinstance(found, str) else ""

    return Request(key, "", text("user"), text("channel"), text("response_url"))
