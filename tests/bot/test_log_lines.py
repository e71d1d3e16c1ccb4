"""The log: one event is one record, says what it is about, and never shows a secret."""

import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.log_lines import JsonLines, Mask, TextLines
from bot.settings import Secrets, Settings
from bot.settings_digest import settings_digest
from bot.start_line import known_secrets, start_line
from deploy.background import begin
from deploy.log_context import about, carried, here, request_reference
from deploy.masking import HIDDEN
from tests.bot.test_settings import GOOD
from tests.support.processes import ROOT

SIGNING = "8f742231b10e8888abcd99yyyzzz85a5"
TOKEN = "GatewayKey edge-1&203001010000&c2lnbmF0dXJlLW9mLXRoZS10b2tlbg=="
LEAKS = {
    "a gateway token": (TOKEN, "c2lnbmF0dXJl"),
    "a gateway key of another shape": ("GatewayKey AAAAbbbbCCCCddddEEEEffff", "AAAAbbbb"),
    "a bot token": ("token xoxb-1111-2222-abcdefGHIJ refused", "abcdefGHIJ"),
    "a rotated token": ("xoxe.xoxp-1-Mi0yLTk4NzY1NDMyMTA", "Mi0yLTk4"),
    "an app token": ("wss with xapp-1-A111-222-c0ffeec0ffee", "c0ffee"),
    "a signing secret": (f"computed with {SIGNING}", SIGNING),
    "a password of Redis": ("Error to redis://bot:hunter2hunter@redis:6379/0", "hunter2"),
    "a bearer token": ("Authorization: Bearer abcdefghijklmnop", "abcdefghijklmnop"),
}


def record(message: str, *args: object, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("aiohttp.client", logging.ERROR, "x.py", 1, message, args, None)
    made.__dict__.update(more)
    return made


def error(text: str) -> tuple[type[BaseException], BaseException, Any]:
    try:
        raise OSError(text)
    except OSError as caught:
        return type(caught), caught, caught.__traceback__


def raised(text: str) -> logging.LogRecord:
    return record("it failed", exc_info=error(text))


@pytest.mark.parametrize("name", LEAKS)
@pytest.mark.parametrize("lines", [JsonLines, TextLines])
def test_no_line_shows_a_secret_in_its_message_its_arguments_what_it_is_about_or_its_error(
    name: str, lines: type[JsonLines] | type[TextLines]
) -> None:
    text, secret = LEAKS[name]
    written = lines(Mask([SIGNING]))
    for each in (record(text), record("said %s", text), record("x", user=text), raised(text)):
        line = written.format(each)
        assert secret not in line
        assert HIDDEN in line


@given(st.text(min_size=6, max_size=40).filter(str.isprintable))
def test_a_known_secret_is_hidden_however_a_library_writes_it(secret: str) -> None:
    mask = Mask([secret])
    for written in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]):
        assert secret not in mask(f"before {written} after").replace(HIDDEN, "")


@given(st.text(), st.text())
def test_one_event_is_one_record_whatever_it_says(message: str, user: str) -> None:
    said = record("%s", message, user=user)
    line = JsonLines(Mask()).format(said)
    assert len(line.splitlines()) == 1
    assert json.loads(line)["logger"] == "aiohttp.client"
    first, *others = TextLines(Mask()).format(said).splitlines()
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ERROR aiohttp\.client", first)
    assert all(other.startswith("    ") for other in others)


def test_a_traceback_stays_in_its_record() -> None:
    line = JsonLines(Mask()).format(raised("the reason"))
    assert "\n" not in line
    assert "OSError: the reason" in json.loads(line)["error"]
    first, *others = TextLines(Mask()).format(raised("the reason")).split("\n")
    assert first.endswith("it failed")
    assert others[0] == "    Traceback (most recent call last):"
    assert others[-1] == "    OSError: the reason"


def test_a_line_says_when_how_serious_and_what_it_is_about() -> None:
    with about(request="r1", user="U1", gateway="west/dev/edge-1", cluster="west"):
        said = json.loads(JsonLines(Mask()).format(record("done", event="command", duration=0.25)))
    moment = said.pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", moment)
    assert said == {
        "level": "error",
        "logger": "aiohttp.client",
        "event": "command",
        "request": "r1",
        "user": "U1",
        "gateway": "west/dev/edge-1",
        "cluster": "west",
        "duration": 0.25,
        "message": "done",
    }


def test_a_line_whose_arguments_do_not_fit_is_not_lost() -> None:
    assert "%d of (" in TextLines(Mask()).format(record("%d of", "three"))


@pytest.fixture
def written() -> Iterator[list[str]]:
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Kept()
    handler.setFormatter(JsonLines(Mask()))
    logging.getLogger("deploy").addHandler(handler)
    yield lines
    logging.getLogger("deploy").removeHandler(handler)


def test_work_on_another_thread_is_about_the_same(written: list[str]) -> None:
    def fail() -> None:
        raise ValueError("no")

    with ThreadPoolExecutor(1) as pool, about(request="r1"):
        begin(pool, fail)
    assert [json.loads(line)["request"] for line in written] == ["r1"]


def test_work_that_is_given_to_two_threads_at_once_is_about_the_same_on_both() -> None:
    both = threading.Barrier(2, timeout=60)

    def said() -> str:
        both.wait()
        return here()["request"]

    with about(request="r1"):
        work = carried(said)
    with ThreadPoolExecutor(2) as pool:
        assert [each.result() for each in (pool.submit(work), pool.submit(work))] == ["r1", "r1"]


def test_work_that_begins_anew_says_nothing_of_what_was_before() -> None:
    with about(request="r1", user="U1"), about(action="AAAAAA", anew=True):
        said = json.loads(JsonLines(Mask()).format(record("x")))
    assert (said["action"], "request" in said, "user" in said) == ("AAAAAA", False, False)


@given(st.text())
def test_a_reference_is_short_and_the_same_for_each_delivery(request_id: str) -> None:
    assert re.fullmatch("[0-9a-f]{8}", request_reference(request_id))
    assert request_reference(request_id) == request_reference(request_id)


PROGRAM = """
import logging, sys, threading, warnings
from bot.log_lines import Mask, log_as
log_as("json", "info", Mask(["a-very-secret-word"]))
warnings.warn("deprecated, says a-very-secret-word")
def fail():
    raise OSError("on a thread: a-very-secret-word")
thread = threading.Thread(target=fail, name="watcher")
thread.start(); thread.join()
logging.getLogger("urllib3").warning("retrying\\nwith a-very-secret-word")
logging.getLogger("urllib3.connectionpool").warning("Connection pool is full, discarding connection")
raise SystemError("at the end: a-very-secret-word")
"""


def test_warnings_and_errors_that_nobody_catches_are_records_like_any_other() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "very-secret" not in done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["logger"] for line in lines] == [
        "py.warnings",
        "bot.log_lines",
        "urllib3",
        "bot.log_lines",
    ]
    assert lines[1]["message"] == "watcher ended by an error"
    assert "at the end" in lines[3]["error"]
    assert done.returncode == 1


def secrets(**more: str) -> Secrets:
    return Secrets.model_validate({"SLACK_BOT_TOKEN": "xoxb-1-secret", **more})


def test_the_first_line_says_what_this_bot_is_without_a_password() -> None:
    settings = Settings.model_validate(GOOD)
    known = secrets(REDIS_URL="rediss://bot:p%40ssw0rd!@redis:6380/1?password=another-one")
    line = start_line(settings, known)
    assert re.match(r"gateway-bot \S+ starts: settings [0-9a-f]{12}, ", line)
    assert "Redis rediss://redis:6380, clusters west" in line
    assert {"p@ssw0rd!", "another-one", "xoxb-1-secret"} <= set(known_secrets(settings, known))


def test_the_hash_of_settings_is_the_same_whatever_redis_is_called() -> None:
    one = Settings.model_validate(GOOD)
    same = Settings.model_validate({**GOOD, "redis": {"url": "redis://:secret@elsewhere"}})
    other = Settings.model_validate({**GOOD, "slack": {"command": "/edge"}})
    assert settings_digest(one) == settings_digest(same) != settings_digest(other)


@given(
    st.sampled_from(["redis", "rediss", "unix", "redis+sentinel", "rediss+cluster"]),
    st.text("/#?@[]:%&=,", max_size=4),
    st.sampled_from(["host:6380/1", "h1,h2/main", "/run/redis.sock", "[::1]:7000", "h?db=1"]),
)
def test_no_line_shows_a_password_wherever_urls_may_not_have_its_characters(
    scheme: str, special: str, rest: str
) -> None:
    password = f"hunter{special}7342secret"
    url = f"{scheme}://bot:{password}@{rest}"
    settings, known = Settings.model_validate(GOOD), secrets(REDIS_URL=url)
    line = start_line(settings, known)
    for part in ("hunter", "7342", "secret"):
        assert part not in line
    mask = Mask(known_secrets(settings, known))
    for text in (url, f"Error connecting with {password}.", repr(url)):
        assert "7342" not in mask(text)


@pytest.mark.parametrize("special", ["/", "#", "?", "?a=", "?client_name=", "/0?x="])
def test_a_password_that_begins_like_a_port_is_not_shown_as_one(special: str) -> None:
    known = secrets(REDIS_URL=f"redis://bot:7342{special}secret@redis:6379")
    assert "7342" not in start_line(Settings.model_validate(GOOD), known)


def test_a_url_without_a_password_is_shown_where_it_leads() -> None:
    settings = Settings.model_validate(GOOD)
    for url, shown in (
        ("redis://redis", "redis://redis:6379"),
        ("rediss+cluster://n1:1,[::1]:2?tls_name=x", "rediss+cluster://n1:1,[::1]:2"),
        ("unix:///run/redis.sock", "unix://"),
        ("redis://redis:port", "not readable"),
    ):
        known = secrets(REDIS_URL=url)
        assert f"Redis {shown}, clusters" in Mask(known_secrets(settings, known))(
            start_line(settings, known)
        )
