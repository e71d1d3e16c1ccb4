"""The process ends when it is told to, whatever it is at."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.support.processes import ROOT, line_of, python

PROGRAM = """
import sys, threading
from pathlib import Path
from types import SimpleNamespace
import bot.app, bot.run

def hang():
    threading.Event().wait()

class Fake:
    def __init__(self, settings, secrets, hide):
        self.health = SimpleNamespace(port=0)

    def start(self):
        START

    def stop(self, deadline):
        print(f"stops within {deadline.left:.0f} s", flush=True)
        STOP

bot.app.Bot = Fake
bot.run.load_all = lambda _: (None, None)
bot.run.known_secrets, bot.run.start_line = lambda *_: (), lambda *_: ""
LOADING
sys.exit(bot.run.run(Path("settings.yaml"), "error"))
"""
STOPS = re.compile(r"stops within (?:2[0-4]|1\d) s")
Program = Callable[..., subprocess.Popen[str]]


def as_told(start: str = "pass", stop: str = "pass", loading: str = "") -> str:
    return PROGRAM.replace("START", start).replace("STOP", stop).replace("LOADING", loading)


@pytest.fixture
def program() -> Iterator[Program]:
    running = []

    def run(**steps: str) -> subprocess.Popen[str]:
        running.append(python(as_told(**steps)))
        return running[-1]

    yield run
    for process in running:
        process.kill()
        process.wait()


def test_a_bot_that_is_told_to_end_does_so_though_a_thread_of_it_hangs(program: Program) -> None:
    process = program(start="threading.Thread(target=hang, name='hangs').start()")
    assert line_of(process).startswith("ready")
    process.terminate()
    assert STOPS.fullmatch(line_of(process))
    assert process.wait(60) == 0


def test_a_bot_that_is_told_to_end_while_it_starts_does_not_start_first(program: Program) -> None:
    process = program(start="print('starting', flush=True); hang()")
    assert line_of(process) == "starting"
    process.terminate()
    assert STOPS.fullmatch(line_of(process))
    assert process.wait(60) == 0


def test_a_signal_that_comes_before_the_bot_is_made_ends_it_in_good_order(
    program: Program,
) -> None:
    loading = """
import signal, time

def slowly(_):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    print("loading", flush=True)
    while signal.SIGTERM not in signal.sigpending():
        time.sleep(0.01)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    return None, None

bot.run.load_all = slowly
"""
    process = program(loading=loading)
    assert line_of(process) == "loading"
    process.terminate()
    assert process.wait(60) == 0
    assert process.stdout is not None
    assert STOPS.search(process.stdout.read())


@pytest.mark.parametrize("where", ["made", "started"])
def test_a_bot_whose_port_is_in_use_says_so_and_fails(where: str) -> None:
    listens = """
import socket
taken = socket.create_server(("127.0.0.1", 0))

def listen():
    socket.create_server(taken.getsockname())
"""
    made = "Fake.__init__ = lambda *_, **__: listen()\n"
    status, log = _ended(
        "listen()" if where == "started" else "pass",
        log_format="text",
        loading=listens + (made if where == "made" else ""),
    )
    assert status == 1
    assert "the bot cannot start: Address already in use" in log[-1]
    assert "127.0.0.1" in log[-1]
    assert log[-1].endswith("Choose another port in the settings, or end what listens there.")
    assert "Traceback" not in "".join(log)


def test_ctrl_c_ends_a_bot_at_once_that_is_about_to_end_and_another_sigterm_does_not(
    program: Program,
) -> None:
    process = program(stop="hang()")
    assert line_of(process).startswith("ready")
    process.terminate()
    assert STOPS.fullmatch(line_of(process))
    process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130


def test_the_line_that_says_ready_is_written_in_one_piece() -> None:
    """The log goes the same way: it must not get between the line and its end."""
    read, write = os.pipe2(os.O_DIRECT)  # each write is read by itself: pipe(2)
    process = subprocess.Popen(
        [sys.executable, "-c", as_told()],
        cwd=ROOT,
        stdout=write,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert os.read(read, 4096) == b"ready, health at port 0\n"
    finally:
        process.kill()
        process.wait()
        os.close(read)
        os.close(write)


def _ended(start: str, *, log_format: str, loading: str = "") -> tuple[int, list[str]]:
    """The exit status of a bot, and its log."""
    text = as_told(start=start, loading=loading).replace('"error"', f'"info", "{log_format}"')
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()


def test_the_last_line_of_the_log_says_why_a_bot_cannot_start() -> None:
    fails = (
        "from deploy.errors import Refused; threading.Thread(target=hang, name='hangs').start(); "
        "raise Refused('Slack refuses it.', remedy='Copy its token.')"
    )
    status, log = _ended(fails, log_format="json")
    last = json.loads(log[-1])
    assert (status, last["level"], last["message"]) == (
        1, "critical", "the bot cannot start: Slack refuses it. Copy its token."
    )  # fmt: skip
    status, log = _ended(fails, log_format="text")
    assert status == 1
    assert "CRITICAL bot.run event=start: the bot cannot start: Slack refuses it." in log[-1]


def test_settings_that_cannot_be_used_are_a_line_of_a_log_in_json() -> None:
    loading = """
from bot.problems import Problem, UnusableSettings

def unusable(_):
    raise UnusableSettings(Path("x.yaml"), [Problem("slack.mod", 9, "there is no such field.")])

bot.run.load_all = unusable
"""
    status, log = _ended("pass", log_format="json", loading=loading)
    assert status == 2
    assert "x.yaml:9: slack.mod" in json.loads(log[-1])["message"]


def test_a_bot_that_was_told_to_end_while_it_was_loaded_begins_nothing(program: Program) -> None:
    loading = """
import os, signal

def told(_):
    os.kill(os.getpid(), signal.SIGTERM)
    return None, None

bot.run.load_all = told
"""
    process = program(start="print('started', flush=True)", loading=loading)
    assert process.wait(60) == 0
    assert process.stdout is not None
    told = process.stdout.read()
    assert "started" not in told
    assert STOPS.search(told)
