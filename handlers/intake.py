"""From an accepted request to its visible outcome, whatever happens to the bot in between.

A request is written to the inbox before Slack gets its ack; a bot that dies leaves it there, and
any bot takes it up again. Requests plan and ask, they never change a gateway, so doing one twice
shows the same thing. One that only a newer bot understands is left to it.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from slack_sdk import WebClient

from deploy.actions.codec import Unreadable
from deploy.actions.inbox import Inbox
from deploy.actions.versions import Newer
from deploy.deadline import Deadline
from deploy.errors import GatewayBotError, Unavailable
from deploy.log_context import Stopwatch, about, request_reference
from handlers.lanes import BOUNDS, Bounds, Lane, LanePool
from handlers.slack import replies
from handlers.slack.payloads import Request, in_channel, request_from_mapping
from handlers.verbs.grammar import retyped, typed
from handlers.verbs.verb import AnyVerb, Run
from handlers.views import errors
from handlers.views.conversation import understood
from handlers.views.reply import Reply

log = logging.getLogger(__name__)

_LEASE_SECONDS = 10.0
_LEAVE_SECONDS = 1.0
"""Kept of the time in which a bot has to end, to leave to others what it is still at."""
_TURN_SECONDS = 3.0
"""How often leases are renewed and the inbox is looked through. Two renewals may fail before a lease
ends, and what a dead bot was at is taken up a lease and a turn later at the latest."""
_SWEEP_COUNT = 100
_KEPT = 100
"""So many answers are kept for a Slack or a Redis that takes none; what is older is worked out
again."""
_LEFT = 1000
"""So many requests are remembered as left to a newer bot; what is older is looked at again."""


@dataclass(frozen=True)
class Work:
    """What answers a kind of request, and on which lane; `verb` is what people type for it, if they
    can."""

    lane: Lane
    run: Run
    verb: AnyVerb | None = None


@dataclass(frozen=True)
class _Answer:
    """What a request came to; `told` says that whoever asked knows it."""

    reply: Reply | None
    told: bool = False


def _nowhere(request: Request, reply: Reply) -> None:
    """For a bot that hears no messages."""


class Intake:
    """Works on the requests of the inbox, several at once."""

    def __init__(
        self,
        slack: WebClient,
        inbox: Inbox,
        verbs: Mapping[str, Work],
        owner: str,
        *,
        bounds: Mapping[Lane, Bounds] = BOUNDS,
        before: Callable[[], object] | None = None,
        in_conversation: Callable[[Request, Reply], object] = _nowhere,
        command: str = "",
    ) -> None:
        """`owner` is this bot's name in leases. `in_conversation` answers what was said in a message,
        once however often it is called, and `command` is what people type instead. `before` is called
        before requests that have arrived are begun, and may wait: on a thread of its own, so that
        whoever accepts one does not."""
        self._slack = slack
        self._inbox = inbox
        self._verbs = verbs
        self._owner = owner
        self._before = before
        self._in_conversation = in_conversation
        self._command = command
        self._arrived = threading.Event()
        self._held: set[str] = set()
        self._answers: dict[str, _Answer] = {}
        self._left: dict[str, None] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._stop = threading.Event()
        arrived = self._arrived.set if before else None
        self._lanes = {
            lane: LanePool(lane, bounds[lane], self._work, arrived=arrived) for lane in Lane
        }
        self._keeper = threading.Thread(target=self._keep_going, name="intake", daemon=True)
        self._beginner = threading.Thread(target=self._begin, name="intake-begins", daemon=True)

    def start(self) -> None:
        """Take up, now and from time to time, what a bot that died left behind."""
        self._keeper.start()
        self._beginner.start()

    def stop(self, deadline: Deadline) -> None:
        """Take up nothing more and leave to other bots what has not started; what has started is waited
        for, and stays this bot's meanwhile. What does not end in time is left to others as well."""
        self._closed.set()
        self._arrived.set()
        self._hand_over([key for pool in self._lanes.values() for key in pool.close()])
        for pool in self._lanes.values():
            pool.stop(deadline.within(deadline.left - _LEAVE_SECONDS))
        self._stop.set()
        # A renewal that is under way would put off what is left to others.
        deadline.within(deadline.left / 2).join([self._keeper])
        self._leave_held()
        deadline.join([self._keeper, self._beginner])

    def _hand_over(self, keys: Sequence[str]) -> None:
        try:
            self._inbox.hand_over(keys)
        except GatewayBotError as error:
            log.info("other bots find later what has not started: %s", error)

    def _leave_held(self) -> None:
        with self._lock:
            held = list(self._held)
        try:
            self._record_told()
            for key in held:
                log.warning("request %s has no answer yet and is left to another bot", key)
                self._inbox.leave(key, self._owner)
        except GatewayBotError as error:
            log.info("other bots find later what has not ended: %s", error)

    @property
    def live(self) -> bool:
        """Whether requests left behind are still being looked for."""
        alive = self._keeper.is_alive() and self._beginner.is_alive()
        return alive and not self._closed.is_set()

    def depth(self) -> Mapping[Lane, tuple[int, int]]:
        """How many requests wait for this bot, and how many it works on, by lane."""
        return {lane: (pool.waiting, pool.working) for lane, pool in self._lanes.items()}

    def busy(self, request: Request) -> Unavailable | None:
        """Why a request cannot be accepted now; None where there is room for it."""
        busy = self._pool_of(request.verb).busy(request.user)
        return errors.busy(busy.waiting, own=busy.own, seconds=busy.seconds) if busy else None

    def take_up(self, request: Request) -> bool:
        """Work on a request that is in the inbox. False where there is no room for it: then it
        stays there, and is looked for again."""
        if self._closed.is_set():
            self._hand_over([request.id])
            return False
        return self._pool_of(request.verb).put(request.user, request.id)

    def _pool_of(self, verb: str) -> LanePool:
        # What is not understood is only reported.
        work = self._verbs.get(verb)
        return self._lanes[work.lane if work else Lane.DECISIONS]

    def _begin(self) -> None:
        while not self._closed.is_set():
            self._arrived.wait()
            self._arrived.clear()
            if self._before is not None:
                self._before()
            for pool in self._lanes.values():
                pool.begin()

    def _keep_going(self) -> None:
        while not self._stop.wait(_TURN_SECONDS):
            try:
                self._record_told()
                self._renew()
                if not self._closed.is_set():
                    self._sweep()
            except GatewayBotError as error:
                log.warning("the inbox cannot be read: %s", error)
            except Exception:  # the thread must outlive whatever one turn meets
                log.exception("a sweep of the inbox failed")

    def _record_told(self) -> None:
        """Record answers that were given and could not be recorded then, before another bot gives them as well."""
        with self._lock:
            told = {key: answer for key, answer in self._answers.items() if answer.told}
        for key, answer in told.items():
            self._inbox.done(key, _text(answer))
            with self._lock:
                self._answers.pop(key, None)

    def _renew(self) -> None:
        with self._lock:
            held = list(self._held)
        if not held:
            return
        lost = set(held) - self._inbox.renew(held, self._owner, _LEASE_SECONDS)
        with self._lock:
            self._held -= lost

    def _sweep(self) -> None:
        with self._lock:
            left = list(self._left)
        for key, stored in self._inbox.due(_SWEEP_COUNT, but=left):
            payload = _payload(stored)
            verb = payload.get("verb")
            sender = _sender(key, payload, verb if isinstance(verb, str) else "")
            self.take_up(sender)

    def _work(self, key: str) -> None:
        try:
            with about(request=request_reference(key), anew=True):
                self._take(key)
        except GatewayBotError as error:
            log.warning("request %s waits for its next turn: %s", key, error)
        except Exception:  # nobody reads what the pool gives back
            log.exception("request %s waits for its next turn", key)
        finally:
            with self._lock:
                self._held.discard(key)

    def _take(self, key: str) -> None:
        with self._lock:
            if key in self._left:
                # A sweep had seen it before it was left.
                return
        stored = self._inbox.claim(key, self._owner, _LEASE_SECONDS)
        with self._lock:
            answer = self._answers.pop(key, None)
            if stored is not None:
                self._held.add(key)
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
            if answer is None:
                answer = _Answer(errors.damaged())
                log.error("request %s is dropped: %s", key, damaged.happened)
        else:
            with about(user=request.user, gateway=request.gateway):
                answer = answer or _Answer(self._answer(request))
        self._end(request, key, answer)

    def _end(self, request: Request, key: str, answer: _Answer) -> None:
        """Answer whoever asked, once. What cannot be ended now is come back to."""
        alone = request.said and self._alone(request)
        reply = self._read_as(request, answer.reply) if alone else answer.reply
        if not answer.told:
            try:
                if not self._inbox.renew([key], self._owner, _LEASE_SECONDS):
                    log.info("request %s is answered by another bot", key)
                    return
            except GatewayBotError:
                # Another bot may be at it by now: it is answered once that is known.
                self._keep(key, answer)
                raise
            if request.said and not alone:
                self._say(request, key, answer)
            elif reply is not None and request.user and not self._told(request, reply):
                # Slack does not answer just now; the next sweep comes back to it.
                self._keep(key, answer)
                return
        try:
            self._inbox.done(key, _text(answer))
        except GatewayBotError:
            self._keep(key, _Answer(reply, told=True))
            raise

    def _understood(self, payload: Mapping[str, Any]) -> Request:
        """The request. Newer where this bot does not know its verb either."""
        request = request_from_mapping(payload)
        if request.verb not in self._verbs:
            raise Newer(f"A request to “{request.verb[:40]}”")
        return request

    def _leave(self, key: str, newer: Newer) -> None:
        """Leave it to a newer bot, and no longer take it."""
        log.warning("request %s is left to a newer bot: %s", key, newer.happened)
        with self._lock:
            self._held.discard(key)
            self._left[key] = None
            if len(self._left) > _LEFT:
                del self._left[next(iter(self._left))]
        self._inbox.leave(key, self._owner)

    def _keep(self, key: str, answer: _Answer) -> None:
        with self._lock:
            self._answers[key] = answer
            # Also that of a request which another bot has answered since.
            if len(self._answers) > _KEPT:
                del self._answers[next(iter(self._answers))]

    def _alone(self, request: Request) -> bool:
        """Whether others would read in a conversation what is for whoever asked."""
        work = self._verbs.get(request.verb)
        return in_channel(request.channel) and bool(work and work.verb and work.verb.alone)

    def _read_as(self, request: Request, reply: Reply | None) -> Reply | None:
        work = self._verbs.get(request.verb)
        asked = typed(work.verb, request.gateway, request.options) if work and work.verb else ""
        return understood(reply, self._command, asked)

    def _say(self, request: Request, key: str, answer: _Answer) -> None:
        said = self._read_as(request, answer.reply)
        if said is None:
            return
        try:
            self._in_conversation(request, said)
        except GatewayBotError:
            self._keep(key, answer)
            raise

    def _told(self, request: Request, reply: Reply) -> bool:
        return replies.send(
            self._slack,
            reply,
            user=request.user,
            channel=request.channel,
            response_url=request.response_url,
            thread=request.open_thread,
        )

    def _answer(self, request: Request) -> Reply | None:
        work, watch = self._verbs[request.verb], Stopwatch.started()
        try:
            reply = work.run(request)
        except GatewayBotError as error:
            _log_answer(request, watch, type(error).__name__, error.happened)
            if work.verb is None:
                return errors.trouble(error)
            again = partial(retyped, work.verb, request.gateway, request.options)
            return errors.trouble(error, again)
        except Exception:  # a person must learn of any fault; the log keeps it whole
            extra = watch.event(_event_of(request), "failed")
            log.exception("%s %s failed", request.verb, request.id, extra=extra)
            return errors.unexpected(request_reference(request.id))
        _log_answer(request, watch, "answered", "")
        return reply


def _log_answer(request: Request, watch: Stopwatch, outcome: str, why: str) -> None:
    said = f"{request.verb}: {why}" if why else request.verb
    log.info("%s", said, extra=watch.event(_event_of(request), outcome))


def _event_of(request: Request) -> str:
    """The kind of request: a command, a click or a form."""
    name, colon, _ = request.verb.partition(":")
    return name if colon else "command"


def _text(answer: _Answer) -> str:
    return answer.reply.text if answer.reply else ""


def _payload(stored: str) -> Mapping[str, Any]:
    """What was stored; empty where it is not a JSON object."""
    try:
        found = json.loads(stored)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _sender(key: str, payload: Mapping[str, Any], verb: str = "") -> Request:
    """Who made a request that cannot be read and where, as far as that can be."""

    def text(name: str) -> str:
        found = payload.get(name)
        return found if isinstance(found, str) else ""

    return Request(key, verb, text("user"), text("channel"), text("response_url"))
