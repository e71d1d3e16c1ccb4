"""Two thousand payloads of which something is missing or something else, over both transports.

Whatever comes, nothing hangs or ends in a traceback, and each has one answer: over HTTP a status, over
Socket Mode an ack where it is a payload of Slack's. What is accepted is answered once to whoever asked.
"""

import asyncio
import copy
import json
import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from aiohttp import WSMsgType, web
from slack_bolt import BoltRequest

from bot.http_mode import HttpMode
from bot.sandbox.valkey import Valkey
from bot.socket_mode import SocketMode
from deploy.actions.connection import connect
from deploy.actions.inbox import Inbox
from deploy.deadline import Deadline
from deploy.errors import InvalidInput
from handlers.intake import Intake
from handlers.slack.payloads import Request
from handlers.slack.request_inbox import RequestInbox
from handlers.slack.shapes import is_sound
from handlers.verbs.grammar import parse
from handlers.verbs.table import VERBS
from handlers.views.reply import Reply
from tests.bot.test_fuzzed_requests import PAYLOADS, places
from tests.faults.test_any_command import line_of
from tests.handlers.test_intake import intake_of
from tests.handlers.test_listeners import Door
from tests.support.redis_servers import started
from tests.support.signed import FORM, SECRET, headers_of, interaction
from tests.support.waiting import until

JSON = dict[str, Any]
EACH = 1000
COMMAND = {
    "command": "/gateway", "text": "status edge-1", "trigger_id": "t1", "team_id": "T0TEAM",
    "user_id": "U1", "channel_id": "C1", "is_enterprise_install": "false", "response_url": "",
}  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**80, 1.5, "", "\ud800", "\x00", "x" * 5000, [], {}, [[]], [None], {"": {}},
    {"id": None}, "U1", "block_actions", "view_submission", "../..", "`/gateway`", "1.5", "T0OTHER",
)  # fmt: skip


def mutated(chosen: random.Random) -> JSON:
    """A payload of Slack's of which one to three things are missing, or are something else."""
    payload = copy.deepcopy(chosen.choice([*PAYLOADS, COMMAND]))
    for _ in range(chosen.randint(1, 3)):
        ways = list(places(payload))
        if not ways:
            break
        *parents, key = chosen.choice(ways)
        holder: Any = payload
        for parent in parents:
            holder = holder[parent]
        if chosen.random() < 0.4 and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = copy.deepcopy(chosen.choice(ODD))
    return payload


def signed(payload: JSON) -> tuple[bytes, dict[str, str]]:
    """It as Slack would send it over HTTP."""
    if "event" in payload:
        body = json.dumps(payload).encode()
        return body, headers_of(body, "application/json")
    if "command" in payload:
        fields = {name: str(value).replace("\ud800", "") for name, value in payload.items()}
        body = urlencode(fields).encode()
    else:
        body = interaction(payload)
    return body, headers_of(body, FORM)


class SlackSockets:
    """A Slack that opens one connection, sends what it is given, and counts the acks."""

    def __init__(self) -> None:
        self.acks: Counter[str] = Counter()
        self.url = ""
        self._ready, self._stands = threading.Event(), threading.Event()
        self._loop = asyncio.new_event_loop()
        self._socket: web.WebSocketResponse | None = None
        threading.Thread(
            target=self._loop.run_until_complete, args=[self._serve()], daemon=True
        ).start()
        self._ready.wait(60)

    def sends(self, envelope: Any) -> None:
        """One frame, whatever is in it."""
        self._stands.wait(60)
        assert self._socket is not None
        asyncio.run_coroutine_threadsafe(
            self._socket.send_str(json.dumps(envelope)), self._loop
        ).result(60)

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_post("/api/apps.connections.open", self._open)
        app.router.add_get("/link", self._link)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
        self._ready.set()
        await asyncio.Event().wait()

    async def _open(self, request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "url": f"ws://{request.host}/link"})

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(json.dumps({"type": "hello", "num_connections": 1}))
        self._socket = socket
        self._stands.set()
        async for frame in socket:
            if frame.type is WSMsgType.TEXT:
                self.acks[json.loads(frame.data)["envelope_id"]] += 1
        return socket


@contextmanager
def over_sockets(door: Door) -> Iterator[SlackSockets]:
    """A bot with that door, on Socket Mode."""
    slack = SlackSockets()
    count: Any = SimpleNamespace(report=lambda own: None, hello=lambda own, at_slack: None)
    mode = SocketMode(door.app, lambda: "xapp-1", slack.url, count, connections=1)
    mode.start()
    try:
        until(lambda: mode.connected, "a connection")
        yield slack
    finally:
        mode.stop(Deadline.after(10))


@contextmanager
def over_http(door: Door) -> Iterator[Callable[[JSON], requests.Response]]:
    """A bot with that door, in HTTP mode."""
    mode = HttpMode(
        door.app, lambda: SECRET, host="127.0.0.1", port=0, path="/slack/events", threads=4
    )
    mode.start()
    session = requests.Session()

    def sends(payload: JSON) -> requests.Response:
        body, headers = signed(payload)
        url = f"http://127.0.0.1:{mode.port}/slack/events"
        return session.post(url, data=body, headers=headers, timeout=60)

    try:
        yield sends
    finally:
        mode.stop(Deadline.after(10))


def dispatched(door: Door, payload: JSON) -> int:
    """What its listeners say of a payload."""
    request = BoltRequest(body=copy.deepcopy(payload), mode="socket_mode")
    return door.app.dispatch(request).status


def no_faults(caplog: pytest.LogCaptureFixture) -> bool:
    """Whether nothing was logged with a traceback."""
    return not [record for record in caplog.records if record.exc_info]


def test_over_http_each_payload_has_one_status(caplog: pytest.LogCaptureFixture) -> None:
    chosen, statuses = random.Random(18), Counter[int]()
    with ThreadPoolExecutor(4) as pool, caplog.at_level(logging.WARNING):
        door = Door(pool)
        with over_http(door) as sends:
            for number in range(EACH):
                payload = mutated(chosen)
                before = len(door.accepted)
                answer = sends(payload)
                taken = len(door.accepted) - before
                assert answer.status_code in (200, 400, 404), (number, payload)
                assert taken <= (answer.status_code == 200), (number, payload)
                statuses[answer.status_code] += 1
    assert no_faults(caplog)
    assert statuses[200] > EACH / 10, statuses
    assert statuses[400] > EACH / 10, statuses


def test_over_sockets_each_payload_of_slack_s_has_one_ack_and_no_other_has(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chosen = random.Random(81)
    wanted: dict[str, bool] = {}
    with ThreadPoolExecutor(4) as pool, caplog.at_level(logging.WARNING):
        twin = Door(pool)
        with over_sockets(Door(pool)) as slack:
            for number in range(EACH):
                payload = mutated(chosen)
                envelope = {"envelope_id": f"e{number}", "type": "interactive", "payload": payload}
                wanted[f"e{number}"] = is_sound(payload) and dispatched(twin, payload) == 200
                slack.sends(envelope)
            last = {"envelope_id": "last", "type": "slash_commands", "payload": COMMAND}
            slack.sends(last)
            every = {name for name, acked in wanted.items() if acked} | {"last"}
            until(lambda: every <= set(slack.acks), "every ack")
    assert set(slack.acks) == every
    assert set(slack.acks.values()) == {1}
    assert no_faults(caplog)
    assert EACH / 10 < len(every) < EACH * 9 / 10


def test_frames_that_are_no_envelopes_end_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with (
        ThreadPoolExecutor(4) as pool,
        caplog.at_level(logging.WARNING),
        over_sockets(Door(pool)) as slack,
    ):
        for frame in (*ODD[:2], *ODD[3:8], *ODD[9:], {"type": "hello"}, {"envelope_id": 1}):
            slack.sends(frame)
        slack.sends({"envelope_id": "last", "type": "slash_commands", "payload": COMMAND})
        until(lambda: slack.acks["last"], "the ack of what came after them")
    assert no_faults(caplog)


def room(made: Intake, request: Request) -> bool:
    """Whether one more can be accepted."""
    return made.busy(request) is None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    yield from started("valkey", tmp_path / "redis")


def test_each_accepted_command_is_answered_once(server: Valkey) -> None:
    chosen, told, commands = random.Random(8), Counter[str](), list[Any]()
    while len(commands) < 300:
        try:
            commands.append(parse(line_of(chosen), VERBS, "/gateway"))
        except InvalidInput:
            continue
    slack: Any = SimpleNamespace(chat_postEphemeral=lambda *, user, **message: told.update([user]))

    def run(request: Request) -> Reply | None:
        if request.user.endswith("3"):
            raise InvalidInput("It cannot be right.", remedy="Type another.")
        return Reply(f"done for {request.user}")

    client = connect(server.url)
    made = intake_of(slack, client, {verb.name: run for verb in VERBS})
    made.start()
    box = RequestInbox(Inbox(client), made.take_up)
    for number, typed in enumerate(commands):
        request = Request(
            f"r{number}", typed.verb.name, f"U{number}", "C1", "", typed.gateway, typed.options
        )
        until(partial(room, made, request), "room")
        box.accept(request)
        box.accept(request)
    until(lambda: len(told) == len(commands), "an answer to each")
    made.stop(Deadline.after(20))
    assert set(told.values()) == {1}
