"""Whatever is sent to HTTP mode and to Event Grid's endpoint: an answer, no 500, no traceback."""

import contextlib
import copy
import json
import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.event_grid import EventGrid
from bot.http_mode import HttpMode
from deploy.deadline import Deadline
from handlers.actions import decisions
from handlers.views import denial
from handlers.views.commands import RUN
from tests.deploy.expiry.test_event_grid import event
from tests.handlers.test_listeners import METADATA, VALUE, Door
from tests.support.signed import FORM, SECRET, command, headers_of, interaction

KEY = "a-secret-of-the-subscription"
FUZZED = settings(max_examples=150, deadline=None)

USER, TEAM = {"id": "U1", "team_id": "T0TEAM"}, {"id": "T0TEAM", "domain": "contoso"}
VIEW = {
    "id": "V1", "hash": "h", "type": "modal", "callback_id": denial.CALLBACK,
    "private_metadata": METADATA, "blocks": [{"type": "input", "block_id": denial.REASON}],
    "state": {"values": {denial.REASON: {denial.REASON: {"type": "plain_text_input", "value": "no"}}}},
}  # fmt: skip
PAYLOADS: list[dict[str, Any]] = [
    {
        "type": "block_actions", "user": USER, "team": TEAM, "channel": {"id": "C1"},
        "trigger_id": "t1", "response_url": "http://127.0.0.1:1/",
        "container": {"type": "message", "message_ts": "1.5", "channel_id": "C1"},
        "message": {"ts": "1.5", "thread_ts": "1.5"},
        "actions": [
            {"action_id": next(iter(decisions.CLICKS)), "block_id": "b", "type": "button",
             "value": VALUE, "action_ts": "1.0", "selected_option": {"value": "x"}}
        ],
    },
    {"type": "block_actions", "user": USER, "team": TEAM, "trigger_id": "t1",
     "actions": [{"action_id": "open_deploy", "action_ts": "1.0"}]},
    {"type": "block_actions", "user": USER, "team": TEAM, "trigger_id": "t1", "channel": {"id": "C1"},
     "container": {"type": "message", "message_ts": "1.5", "is_ephemeral": True},
     "actions": [{"action_id": RUN, "value": "status edge-1", "action_ts": "1.0"}]},
    {"type": "view_submission", "user": USER, "team": TEAM, "view": VIEW, "response_urls": []},
    {"type": "view_closed", "user": USER, "team": TEAM, "view": VIEW, "is_cleared": False},
    {"type": "block_suggestion", "user": USER, "team": TEAM, "action_id": "gateway", "block_id": "b",
     "value": "e", "container": {"type": "view", "view_id": "V1"}, "view": VIEW},
    {"type": "event_callback", "team_id": "T0TEAM", "event_id": "Ev1", "is_ext_shared_channel": True,
     "authorizations": [{"team_id": "T0TEAM", "user_id": "U0BOT", "is_enterprise_install": False}],
     "event": {"type": "app_home_opened", "user": "U1", "tab": "home", "channel": "D1"}},
    {"type": "event_callback", "team_id": "T0TEAM", "event_id": "Ev2",
     "authorizations": [{"team_id": "T0TEAM", "user_id": "U0BOT", "is_bot": True}],
     "event": {"type": "app_mention", "user": "U1", "text": "<@U0BOT> status edge-1", "ts": "1.0",
               "channel": "C1", "event_ts": "1.0"}},
    {"type": "event_callback", "team_id": "T0TEAM",
     "event": {"type": "message", "user": "U1", "text": "hi", "channel_type": "im", "ts": "1.0",
               "channel": "D1", "message": {"user": "U1"}, "previous_message": {"user": "U1"}}},
]  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.just("\ud800") | st.just("x" * 5000) | st.just(2**80)
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in a payload."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, inner in items:
        yield (*at, key)
        yield from places(inner, (*at, key))


@st.composite
def garbled(draw: st.DrawFn, samples: list[Any]) -> Any:
    """A payload of which one or two things are missing, or are something else."""
    payload = copy.deepcopy(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 2))):
        ways = list(places(payload))
        if not ways:
            break
        *parents, key = draw(st.sampled_from(ways))
        holder = payload
        for parent in parents:
            holder = holder[parent]
        if draw(st.booleans()) and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = draw(JSON)
    return payload


class Tracebacks(logging.Handler):
    """Remembers what was logged with one."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._others = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}

    def emit(self, record: logging.LogRecord) -> None:
        # What an earlier test has left running is not ours.
        if record.thread in self._others:
            return
        if record.exc_info or "Traceback" in record.getMessage():
            self.found.append(self.format(record))

    def taken(self) -> list[str]:
        """What was found since the last time."""
        found, self.found = self.found, []
        return found


class Bed:
    """Both servers, and the tracebacks in the log."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.slack = HttpMode(
            Door(pool).app,
            lambda: SECRET,
            host="127.0.0.1",
            port=0,
            path="/slack/events",
            threads=4,
        )
        self.grid = EventGrid("127.0.0.1", 0, "/event-grid", lambda event: None, secret=lambda: KEY)
        self.tracebacks = Tracebacks()
        self.session = requests.Session()

    def url(self, of: str) -> str:
        if of == "slack":
            return f"http://127.0.0.1:{self.slack.port}/slack/events"
        return f"http://127.0.0.1:{self.grid.port}/event-grid?key={KEY}"

    def posts(self, of: str, body: bytes, headers: dict[str, Any]) -> int:
        status = self.session.post(self.url(of), data=body, headers=headers, timeout=20).status_code
        assert self.tracebacks.taken() == []
        return status


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with ThreadPoolExecutor(4) as pool:
        bed = Bed(pool)
        bed.slack.start()
        bed.grid.start()
        logging.getLogger().addHandler(bed.tracebacks)
        yield bed
        logging.getLogger().removeHandler(bed.tracebacks)
        bed.slack.stop(Deadline.after(5))
        bed.grid.stop(Deadline.after(5))


@FUZZED
@given(payload=garbled(PAYLOADS))
def test_a_signed_payload_with_anything_in_it(bed: Bed, payload: Any) -> None:
    event_like = isinstance(payload, dict) and "event" in payload
    body = json.dumps(payload).encode() if event_like else interaction(payload)
    headers = headers_of(body, "application/json" if event_like else FORM)
    assert bed.posts("slack", body, headers) in (200, 400, 404)


@FUZZED
@given(
    text=st.text(max_size=300),
    more=st.dictionaries(st.sampled_from(["team_id", "channel_id", "payload", "x"]), st.text()),
)
def test_a_signed_command_with_anything_typed(bed: Bed, text: str, more: dict[str, str]) -> None:
    body = command(text, **more)
    assert bed.posts("slack", body, headers_of(body)) in (200, 400, 404)


@FUZZED
@given(body=st.binary(max_size=400), json_like=st.booleans())
def test_a_signed_body_of_any_bytes(bed: Bed, body: bytes, json_like: bool) -> None:
    headers = headers_of(body, "application/json" if json_like else FORM)
    assert bed.posts("slack", body, headers) in (200, 400, 404)


HEADERS = (
    "X-Slack-Signature", "X-Slack-Request-Timestamp", "X-Slack-Retry-Num", "X-Event-Grid-Key",
    "Content-Type", "Content-Encoding", "Authorization", "Cookie",
)  # fmt: skip
VALUES = st.binary(max_size=100).filter(
    lambda raw: not set(raw) & {0, 10, 13} and raw == raw.strip()
)


@FUZZED
@given(
    names=st.dictionaries(st.sampled_from(HEADERS), VALUES), of=st.sampled_from(["slack", "grid"])
)
def test_any_headers(bed: Bed, names: dict[str, bytes], of: str) -> None:
    body = command("status")
    status = bed.posts(of, body, {**(headers_of(body) if of == "slack" else {}), **names})
    assert status in (200, 400, 401, 404)


@FUZZED
@given(delivery=garbled([[event()], [event(), event(id="2")], event()]))
def test_a_delivery_of_event_grid_with_anything_in_it(bed: Bed, delivery: Any) -> None:
    assert bed.posts("grid", json.dumps(delivery).encode(), {}) in (200, 400)


@FUZZED
@given(body=st.binary(max_size=400))
def test_a_delivery_of_event_grid_of_any_bytes(bed: Bed, body: bytes) -> None:
    assert bed.posts("grid", body, {}) in (200, 400)


LINES = (
    b"POST /slack/events HTTP/1.1\r\n", b"POST /event-grid HTTP/1.1\r\n", b"OPTIONS * HTTP/1.1\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n", b"GET http://[::1 HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"Host: a\r\n", b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Connection: upgrade\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Upgrade: websocket\r\n", b"Expect: 100-continue\r\n",
    b"\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"zz\r\n", b"ffffffffffffffffff\r\n", b"\x00",
)  # fmt: skip


@FUZZED
@given(
    pieces=st.lists(st.sampled_from(LINES) | st.binary(max_size=60), max_size=12),
    of=st.sampled_from(["slack", "grid"]),
)
def test_any_bytes_on_the_wire(bed: Bed, pieces: list[bytes], of: str) -> None:
    port = bed.slack.port if of == "slack" else bed.grid.port
    with socket.create_connection(("127.0.0.1", port), 20) as made:
        answer = b""
        with contextlib.suppress(OSError):  # a server that has heard enough resets the connection
            made.sendall(b"".join(pieces))
            made.shutdown(socket.SHUT_WR)
            answer = made.makefile("rb").read()
    assert b" 500 " not in answer
    assert bed.tracebacks.taken() == []
