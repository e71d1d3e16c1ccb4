"""HTTP mode over real sockets: what Slack signed is done once, all else is refused and not logged."""

import gzip
import http.client
import json
import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from slack_bolt import App
from slack_bolt.authorization import AuthorizeResult

from bot.http_mode import HttpMode
from deploy.deadline import Deadline
from handlers.actions import decisions
from handlers.slack.payloads import Request
from tests.handlers.test_listeners import VALUE, Door
from tests.support.signed import FORM, SECRET, command, headers_of, interaction, post, signature
from tests.support.waiting import until


class Bed:
    """A bot's listeners behind HTTP mode."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.door = Door(pool)
        self.server = HttpMode(
            self.door.app, lambda: SECRET, host="127.0.0.1", port=0, path="/slack/events", threads=4
        )
        self.url = f"http://127.0.0.1:{self.server.port}/slack/events"


@pytest.fixture
def bed() -> Iterator[Bed]:
    with ThreadPoolExecutor(4) as pool:
        bed = Bed(pool)
        bed.server.start()
        yield bed
        bed.server.stop(Deadline.after(5))


def click(**more: Any) -> dict[str, Any]:
    name = next(iter(decisions.CLICKS))
    return {
        "type": "block_actions",
        "user": {"id": "U1", "team_id": "T0TEAM"},
        "team": {"id": "T0TEAM"},
        "channel": {"id": "C1"},
        "trigger_id": "t1",
        "actions": [{"action_id": name, "value": VALUE, "action_ts": "1.0"}],
        **more,
    }


def sent_form(callback: str) -> dict[str, Any]:
    view = {
        "id": "V1", "hash": "h", "callback_id": callback, "private_metadata": "", "type": "modal",
        "blocks": [{"type": "input", "block_id": "b"}],
        "state": {"values": {"b": {"a": {"type": "plain_text_input", "value": "no"}}}},
    }  # fmt: skip
    return {"type": "view_submission", "user": {"id": "U1"}, "team": {"id": "T0TEAM"}, "view": view}


def test_a_signed_command_is_done(bed: Bed) -> None:
    assert post(bed.url, command("status")).status_code == 200
    assert [each.verb for each in bed.door.accepted] == ["status"]


def test_a_signed_click_is_done(bed: Bed) -> None:
    assert post(bed.url, interaction(click())).status_code == 200
    assert len(bed.door.accepted) == 1


def test_slacks_check_of_an_events_url_is_answered(bed: Bed) -> None:
    body = json.dumps({"type": "url_verification", "token": "t", "challenge": "3eZbrw1a"}).encode()
    answer = post(bed.url, body, headers_of(body, "application/json"))
    assert answer.json() == {"challenge": "3eZbrw1a"}


@pytest.mark.parametrize("body", [command("status"), interaction(click()), command("no such verb")])
def test_a_request_that_is_sent_again_as_it_was_has_no_second_effect(bed: Bed, body: bytes) -> None:
    recorded = headers_of(body)
    post(bed.url, body, recorded)
    before = len(bed.door.accepted)
    for _ in range(3):
        again = post(bed.url, body, recorded)
        assert (again.status_code, again.text) == (200, "")
    assert len(bed.door.accepted) == before


def test_a_request_that_failed_is_done_when_it_is_sent_again(bed: Bed) -> None:
    body = interaction(sent_form("slow"))
    recorded, again = headers_of(body), Request("r1", "status", "U1", "C1")
    bed.door.submit = lambda sent: 1 / 0
    assert post(bed.url, body, recorded).status_code == 500
    bed.door.submit = lambda sent: again
    assert post(bed.url, body, recorded).status_code == 200
    assert post(bed.url, body, recorded).status_code == 200
    assert bed.door.accepted == [again]


def test_a_form_that_a_recorded_command_opened_is_not_opened_again(bed: Bed) -> None:
    body = command("deploy")
    recorded = headers_of(body)
    assert post(bed.url, body, recorded).status_code == 200
    until(lambda: bed.door.slack.opened, "the form")
    bed.door.slack.refusal = "expired_trigger_id"
    for _ in range(3):
        assert post(bed.url, body, recorded).status_code == 200
    assert post(bed.url, command("status", trigger="1.2.b")).status_code == 200
    assert (bed.door.slack.opened, bed.door.slack.told) == (["1.2.a"], [])


def wrong_headers(body: bytes) -> list[dict[str, str]]:
    good = headers_of(body)
    old = str(int(time.time()) - 600)
    stamps = ["", "-1", "1e9", "12.5", "١٢٣٤٥", "9" * 400, "nan", old, "\u00b2"]
    signatures = [
        "",
        "v0=",
        "v0=\u00fc" + "0" * 63,
        "v0=" + "g" * 64,
        "v1=" + "0" * 64,
        "0" * 10000,
    ]
    return [
        {},
        {"Content-Type": FORM},
        *({**good, "X-Slack-Request-Timestamp": each} for each in stamps),
        *({**good, "X-Slack-Signature": each} for each in signatures),
        {**good, "X-Slack-Signature": signature("another secret", good["X-Slack-Request-Timestamp"], body)},
        {**good, "X-Slack-Request-Timestamp": old, "X-Slack-Signature": signature(SECRET, old, body)},
    ]  # fmt: skip


def test_what_slack_did_not_sign_is_refused_and_said_once_without_its_content(
    bed: Bed, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    body = command("status s3cr3t", response_url="https://hooks.slack.com/commands/T/1/s3cr3t")
    for headers in wrong_headers(body):
        encoded: Any = {name: value.encode() for name, value in headers.items()}
        status = post(bed.url, body, encoded).status_code
        assert status in (400, 401), headers
    assert bed.door.accepted == []
    (line,) = [record for record in caplog.records if "http-mode" in record.getMessage()]
    assert line.getMessage() == "http-mode refused requests (not signed by Slack: 1)"
    assert "s3cr3t" not in caplog.text


GARBLED = [
    b"payload=", b"payload=%7B", b"payload=[]", b"payload=1", b"payload=null", b"payload=%22x%22",
    b"payload=%ff%fe", b"\xff\xfe", b"{", b"[1]", b'{"type": 1}', b'{"type": []}', b"", b"=&=&", b"a",
    b"payload=" + b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5000, b"payload=" + b"1" * 5000,
    b'{"type":"event_callback","event":1}', b'{"type":"event_callback","event":{"type":{}}}',
    b'{"type":"event_callback","event":"a type"}', b'{"team":5}', b'{"authorizations":[1]}',
    b'{"authorizations":{}}', b'{"view":{"blocks":[1]}}', b'{"type":"block_actions","actions":[]}',
    b'{"type":"view_submission","user":{"id":"U1"},"view":{"state":{"values":[]}}}',
    b'{"command":"/gateway"}', b'{"command":"/gateway","text":5}', b"command=%2Fgateway",
    json.dumps({"command": "/gateway", "text": "\ud800", "trigger_id": "1", "user_id": "U1",
                "channel_id": "C1", "team_id": "T0TEAM"}).encode(),
]  # fmt: skip


@pytest.mark.parametrize("content_type", [FORM, "application/json", FORM + "; charset=utf-8"])
def test_a_signed_body_that_is_no_payload_is_refused_without_a_traceback(
    bed: Bed, content_type: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for body in GARBLED:
        answer = post(bed.url, body, headers_of(body, content_type))
        assert answer.status_code == 400, body[:80]
    assert not any(record.exc_info for record in caplog.records), caplog.text
    assert bed.door.accepted == []


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "multipart/form-data; boundary=x", "application/xml", ";;;"]
)
def test_a_body_of_another_content_type_is_refused(bed: Bed, content_type: str) -> None:
    body = command("status")
    assert post(bed.url, body, headers_of(body, content_type)).status_code == 400
    assert bed.door.accepted == []


def test_a_compressed_body_is_not_unpacked(bed: Bed) -> None:
    bomb = gzip.compress(b"payload=" + b"0" * 20_000_000)
    answer = post(bed.url, bomb, {**headers_of(bomb), "Content-Encoding": "gzip"})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/slack/events", 405), ("POST", "/", 404), ("GET", "/livez", 404)],
)
def test_other_methods_and_paths_are_refused(bed: Bed, method: str, path: str, status: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", bed.server.port, timeout=20)
    connection.request(method, path)
    assert connection.getresponse().status == status


def test_a_header_of_bolts_own_that_no_signature_covers_steers_nothing(bed: Bed) -> None:
    body = command("status")
    steering = {"X-Slack-Bolt-Lazy-Only": "1", "X-Slack-Bolt-Lazy-Function-Name": "command"}
    assert post(bed.url, body, {**headers_of(body), **steering}).status_code == 200
    assert len(bed.door.accepted) == 1


def test_an_app_that_checks_signatures_itself_is_served_too() -> None:
    known = AuthorizeResult(enterprise_id=None, team_id=None, bot_token="xoxb-1")
    app = App(authorize=lambda: known, signing_secret=SECRET)
    app.command("/gateway")(lambda ack: ack("taken"))
    server = HttpMode(app, lambda: SECRET, host="127.0.0.1", port=0, path="/")
    server.start()
    try:
        assert post(f"http://127.0.0.1:{server.port}/", command("help")).text == "taken"
    finally:
        server.stop(Deadline.after(5))


def test_without_a_signing_secret_it_does_not_start() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="signing secret"):
        HttpMode(Door(pool).app, lambda: " ", host="127.0.0.1", port=0, path="/")


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"POST /slack/events HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /slack/events HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST /slack/events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /slack/events HTTP/9.9\r\n\r\n",
        b"POST /slack/events HTTP/1.1\r\nA B: c\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: " + b"a" * 10_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: a\r\n" % n for n in range(500)) + b"\r\n",
    ],
)
def test_what_is_no_http_is_refused_without_a_traceback(
    bed: Bed, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(("127.0.0.1", bed.server.port), 20) as made:
        made.sendall(raw)
        answer = made.makefile("rb").read()
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer
    assert not any(record.exc_info for record in caplog.records), caplog.text
