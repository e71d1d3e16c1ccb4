"""Slack's Socket Mode, kept alive.

Each envelope is dispatched on a thread, so that a slow listener delays no ack and no ping. A
connection that ends is replaced, at first at once and then more and more slowly; from time to time
one is renewed while it still stands, so that one that has silently stopped bringing anything does
not stay (python-slack-sdk #1701), and so that Slack says how many it counts.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
from slack_bolt import BoltRequest, BoltResponse
from slack_bolt.adapter.socket_mode.async_internals import send_async_response
from slack_bolt.adapter.socket_mode.internals import build_headers
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.dispatch import Connections, Dispatch
from bot.socket_connection import (
    DEAF,
    LINK_DISABLED,
    TOO_MANY,
    Envelope,
    Refused,
    SocketConnection,
    connect,
)
from bot.socket_leaving import leave
from bot.socket_pace import RENEW_SECONDS, renewal_pause, retry_pause
from deploy.deadline import Deadline
from deploy.errors import GatewayBotError
from deploy.link_faults import Kind, fault_of
from handlers.slack.acks import Acks
from handlers.slack.api_errors import SLACK, trouble
from handlers.slack.connections import CONFIRM_SECONDS, ConnectionCount, Counted
from handlers.slack.shapes import is_sound
from handlers.views import connections as view

log = logging.getLogger(__name__)

_FAILURES = (OSError, aiohttp.ClientError, SlackClientError, ValueError, KeyError, TypeError)
"""What opening a connection raises: no network, or an answer that makes no sense."""
_CONNECT_SECONDS = 15
_FIRST_SECONDS = 30
_REPORT_SECONDS = 5.0
_STEADY_SECONDS = 60.0
"""One that stood for so long and then ends is not a failure."""
_WARNED_SECONDS = 15.0
"""Slack closes a connection about ten seconds after it has warned of that."""
_CLOSE_SECONDS = 5.0
_STOP_SECONDS = 3.0
_DEAF_SECONDS = 600.0
"""For so long the end of a connection that does not answer is on its way to Slack."""


@dataclass
class _Slot:
    """A place for one of the connections that are wanted. `attempts` were made in a row without one
    that stood for a while; `refused` says that Slack did not want the last one."""

    connection: SocketConnection | None = None
    attempts: int = 0
    refused: bool = False


class _NoRoom(Exception):
    """The app's connections are almost used up, and this bot has one."""


class SocketMode:
    """Several connections on one event loop, each watched.

    Slack sends an envelope to any one of an app's connections, so with two of them a refresh of
    one leaves no gap.
    """

    def __init__(
        self,
        app: Dispatch,
        app_token: Callable[[], str],
        api_url: str,
        count: ConnectionCount,
        *,
        connections: int,
        renew_seconds: float = RENEW_SECONDS,
        threads: int = 64,
        acks: Acks | None = None,
    ) -> None:
        """`app_token` is asked for at each connection. `count` is this bot's part in the count of all
        bots' connections; `acks` counts envelopes without an ack."""
        self._app = app
        self._acks = acks or Acks()
        self._token = app_token
        self._api_url = api_url
        self._count = count
        self._renew_seconds = renew_seconds
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="slack-dispatch")
        self._slots = [_Slot() for _ in range(connections)]
        self._open: tuple[SocketConnection, ...] = ()
        self._opening = 0
        self._counted: Counted | None = None
        self._lost = 0
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._doubted = asyncio.Event()
        self._one_by_one = asyncio.Lock()
        self._noting = asyncio.Lock()
        self._thread = threading.Thread(target=self._run, name="socket-mode", daemon=True)
        self._first = threading.Event()
        self._failure = "it does not answer."
        self._watchers: tuple[asyncio.Task[None], ...] = ()
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._unsent: list[Envelope] = []

    def start(self) -> None:
        """Connect, waiting a while for the first connection to stand. It keeps trying."""
        self._thread.start()
        if not self._first.wait(_FIRST_SECONDS):
            log.error("Slack cannot be reached yet; the bot keeps trying: %s", self._failure)

    def stop(self, deadline: Deadline) -> None:
        """Ack what has arrived, and close every connection: later ones Slack sends to another
        bot."""
        self._first.set()  # whoever starts it waits no longer
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        deadline.join([self._thread])
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def live(self) -> bool:
        """Whether every connection is looked after, be Slack there or not."""
        watched = not any(watcher.done() for watcher in self._watchers)
        return self._thread.is_alive() and watched

    @property
    def connected(self) -> bool:
        """Whether a connection stands and answered a ping lately."""
        return any(not connection.over.is_set() for connection in self._open)

    @property
    def connections(self) -> Connections:
        """How many there are."""
        standing = sum(not connection.over.is_set() for connection in self._open)
        counted = self._counted
        if counted is None:
            return Connections(standing, len(self._slots))
        return Connections(
            standing, len(self._slots), counted.of_bots, counted.at_slack, counted.lost
        )

    @property
    def detail(self) -> Mapping[str, str]:
        """What the health port says beside that."""
        counted = self._counted
        said = "Redis does not say how many all bots have" if counted is None else str(counted)
        return {"slack connections": said}

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._watch_all())
        finally:
            self._loop.close()

    async def _watch_all(self) -> None:
        async with aiohttp.ClientSession() as session:
            self._session = session
            work = [self._keep(slot) for slot in self._slots]
            work += [self._renew(), self._report_often()]
            self._watchers = tuple(asyncio.create_task(each) for each in work)
            await self._stopping.wait()
            for task in (*self._watchers, *self._tasks):
                task.cancel()
            await asyncio.gather(*self._watchers, *self._tasks, return_exceptions=True)
            await leave(self._open, self._unsent, self._answered, self._connect)
            await self._report()

    async def _answered(self) -> None:
        if self._answering:
            await asyncio.wait(self._answering, timeout=_STOP_SECONDS)

    async def _keep(self, slot: _Slot) -> None:
        while True:
            if slot.connection is None:
                slot.connection = await self._opened(slot)
            connection = slot.connection
            await connection.over.wait()
            if slot.connection is connection:
                slot.connection = None
                self._let_go(slot, connection)

    async def _opened(self, slot: _Slot) -> SocketConnection:
        """A new connection, however long that takes; the first two attempts are made at once."""
        while True:
            if slot.refused or slot.attempts > 1:
                failures = max(1, slot.attempts - 1)
                await asyncio.sleep(retry_pause(failures, slot.refused, random.random))
            slot.attempts += 1
            slot.refused = True
            try:
                made = await self._connect()
            except _NoRoom:
                log.info("Slack's places for Socket Mode connections are almost used up")
            except Refused as refusal:
                self._explain(refusal)
            except _FAILURES as error:
                slot.refused = _said_no(error)
                self._failure = _with_remedy(error)
                log.warning("a Socket Mode connection could not be opened: %s", _words(error))
            else:
                slot.refused = False
                return made

    async def _connect(self, *, for_a_moment: bool = False) -> SocketConnection:
        """One attempt. It is counted before Slack counts it, and so never seems to be without a
        bot. Only `for_a_moment` may it take the last place that Slack has."""
        async with self._one_by_one:
            if not (for_a_moment or self._room()):
                raise _NoRoom
            self._opening += 1
            try:
                await self._report()
                token = self._token()
                client = AsyncWebClient(token=token, base_url=self._api_url)
                async with asyncio.timeout(_CONNECT_SECONDS):
                    made = await connect(self._session, client, token, self._take)
                self._open = (*self._open, made)
            except Refused as refusal:
                self._opening -= 1
                await self._compare(refusal.at_slack)
                raise
            except BaseException:
                self._opening -= 1
                raise
            self._opening -= 1
            self._first.set()
            log.info("a Socket Mode connection stands; Slack counts %s", made.at_slack)
            await self._compare(made.at_slack)
            return made

    def _let_go(self, slot: _Slot, connection: SocketConnection) -> None:
        """It has ended, or will."""
        if connection.age >= _STEADY_SECONDS:
            slot.attempts = 0
        reason = connection.reason
        if reason in (LINK_DISABLED, TOO_MANY):
            slot.refused = True
            self._explain(Refused(reason))
        elif reason == DEAF:
            log.warning("a Socket Mode connection does not answer; the bot opens another one")
        else:
            log.info("a Socket Mode connection ends: %s", reason)
        self._spawn(self._bury(connection))

    async def _bury(self, connection: SocketConnection) -> None:
        if connection.reason == DEAF:
            await self._close(connection, _DEAF_SECONDS)
            return
        # Slack may keep sending for a while over one that it has announced the end of.
        await connection.ended(_WARNED_SECONDS)
        await self._close(connection, _CLOSE_SECONDS)

    async def _close(self, connection: SocketConnection, patience: float) -> None:
        try:
            await connection.close(patience)
        finally:
            self._open = tuple(each for each in self._open if each is not connection)
        await self._report()

    async def _renew(self) -> None:
        pause = self._renew_seconds
        while True:
            try:
                await asyncio.wait_for(self._doubted.wait(), pause)
            except TimeoutError:
                pass
            else:
                await asyncio.sleep(CONFIRM_SECONDS + 1)
            before = self._lost
            try:
                await self._renew_one()
            except (_NoRoom, Refused, *_FAILURES) as error:
                log.info("a Socket Mode connection was not renewed: %s", _words(error))
            pause = renewal_pause(pause, self._renew_seconds, before, self._lost)

    async def _renew_one(self) -> None:
        """Put a new connection in the place of the oldest."""
        standing = [slot for slot in self._slots if slot.connection is not None]
        if not standing:
            return
        slot = max(standing, key=lambda each: each.connection.age if each.connection else 0.0)
        old = slot.connection
        if old is None:
            return
        doubted = self._counted is not None and self._counted.doubted
        if doubted or self._room():
            new = await self._connect(for_a_moment=doubted)
            if slot.connection is not old:
                await self._close(new, _CLOSE_SECONDS)
                return
            slot.connection, slot.attempts = new, 0
        elif len(standing) < 2:
            return
        # Without room another one may only take its place.
        self._spawn(self._close(old, _CLOSE_SECONDS))

    def _room(self) -> bool:
        """Whether to open another one: always where there is none, else while a place is left for a
        bot that has none."""
        held = any(connection.held for connection in self._open)
        return not held or self._counted is None or self._counted.room

    async def _report_often(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            await self._report()

    async def _report(self) -> None:
        await self._note(self._count.report)

    async def _compare(self, at_slack: int | None) -> None:
        if at_slack is not None:
            await self._note(lambda own: self._count.hello(own, at_slack))

    async def _note(self, tell: Callable[[int], Counted | None]) -> None:
        async with self._noting:
            own = self._opening + sum(connection.held for connection in self._open)
            try:
                counted = await asyncio.to_thread(tell, own)
            except GatewayBotError as error:
                if self._counted is not None:
                    log.warning("Socket Mode connections are not counted: %s", error)
                self._counted = None
                return
        self._counted = counted
        if counted is None:
            return
        if counted.doubted:
            self._doubted.set()
        else:
            self._doubted.clear()
        if counted.lost and counted.lost != self._lost:
            log.warning("%s", view.warning(counted.lost))
        elif self._lost and not counted.lost:
            log.info("all Socket Mode connections that Slack counts belong to bots again")
        self._lost = counted.lost

    def _take(self, connection: SocketConnection, envelope: Envelope) -> None:
        request = SocketModeRequest.from_dict(envelope)
        # Where no ack can be sent any longer, Slack shows an error; then nothing should happen either.
        # At the end one more connection is made for acks.
        heard = self._stopping.is_set() or any(each.writable for each in self._open)
        if request is not None and heard:
            task = self._loop.create_task(self._answer(connection, request))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _answer(self, connection: SocketConnection, request: SocketModeRequest) -> None:
        started = time.time()
        try:
            with self._acks.waiting():
                response = await self._loop.run_in_executor(self._pool, self._respond, request)
                sender: Any = _Sender(self, connection)
                await send_async_response(sender, request, response, started)
        except Exception:  # one envelope must not end the answering of others
            log.exception("an envelope could not be answered")

    def _respond(self, request: SocketModeRequest) -> BoltResponse:
        if not is_sound(request.payload):
            log.warning("a malformed payload of type %.40s was refused", request.type)
            return BoltResponse(status=HTTPStatus.BAD_REQUEST)
        return self._app.dispatch(
            BoltRequest(mode="socket_mode", body=request.payload, headers=build_headers(request))
        )

    async def send(self, preferred: SocketConnection, message: Envelope) -> None:
        """Send an ack: over the connection on which its envelope came, else over any other."""
        others = [connection for connection in self._open if connection is not preferred]
        for connection in (preferred, *others):
            if await connection.send(message):
                return
        if self._stopping.is_set():
            self._unsent.append(message)
        else:
            log.warning("an ack could not be sent: no Socket Mode connection stands")

    def _explain(self, refusal: Refused) -> None:
        of_bots = "" if self._counted is None else f", and all bots have {self._counted.of_bots}"
        if refusal.reason == TOO_MANY:
            log.error(
                "Slack refuses a Socket Mode connection (%s): it counts %s of this app%s. Stop other "
                "processes that use the same app-level token; connections that a network failure "
                "left behind are dropped by Slack within about five hours",
                refusal.reason,
                refusal.at_slack,
                of_bots,
            )
        elif refusal.reason == LINK_DISABLED:
            log.error(
                "Socket Mode is switched off (%s): switch it on in the settings of the Slack app, or "
                "set slack.mode to http",
                refusal.reason,
            )
        else:
            log.warning("Slack refuses a Socket Mode connection: %s", refusal.reason)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Sender:
    """What Bolt's adapter sends its answer by."""

    logger = log

    def __init__(self, mode: SocketMode, connection: SocketConnection) -> None:
        self._mode = mode
        self._connection = connection

    async def send_socket_mode_response(self, response: SocketModeResponse) -> None:
        """Send it."""
        await self._mode.send(self._connection, response.to_dict())


def _said_no(error: Exception) -> bool:
    """Whether Slack answered, and not only that it is out of order."""
    if not isinstance(error, SlackApiError):
        return False
    status = getattr(error.response, "status_code", 0)
    return bool(status and status < 500)


def _with_remedy(error: Exception) -> str:
    remedy = trouble(error).remedy.removeprefix("For the operator of the bot: ")
    return f"{_words(error)}. {remedy}"


def _words(error: Exception) -> str:
    if isinstance(error, SlackApiError) or fault_of(error, SLACK).kind is not Kind.UNKNOWN:
        return trouble(error).what
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
