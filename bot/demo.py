"""`gateway-bot demo`: a workspace on this machine, and the bot in it as it runs in production.

The bot is a process of its own, given nothing but a settings file and an environment; when it dies
it is started again, as Kubernetes would. Every child dies with this process, whatever ends it.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import webbrowser
from collections.abc import Iterator, Mapping
from pathlib import Path

from bot.sandbox.processes import spawn
from bot.sandbox.valkey import Valkey, ValkeyError
from bot.sandbox.world import DEMO
from deploy.errors import GatewayBotError, Unavailable

_START_SECONDS = 120
"""A machine with much else to do takes most of a minute."""
_STOP_SECONDS = 30
"""Longer than the bot gives itself."""

_TOUR = """\
1. Open the page and type  /gateway deploy  in #gateway-ops; confirm the plan and watch it roll out.
   docs/tour.md tries everything in ten minutes.
2. Look at it:  kubectl --kubeconfig {kubeconfig} --context {context} -n dev get deploy,pods,svc
3. Change who you are (ana and ivy ask, ben and chen approve), and break things under Faults."""


def demo(
    *,
    port: int,
    data: Path | None,
    open_browser: bool,
    kubeconfig: Path | None,
    slack_mode: str,
    world: Path | None = None,
    program: str = "bot",
) -> int:
    """Run until Ctrl-C or SIGTERM. Without `data` everything is forgotten at the end.

    `world` is the file of who and what there is, where it is not the usual one; `program` is the
    module whose `run` is the bot.
    """
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with _directory(data) as directory, contextlib.ExitStack() as running:
        redis_url = os.environ.get("REDIS_URL") or _valkey(directory / "redis", running)
        bot_port, events_port = _free_port(), _free_port()
        bot_url = f"http://127.0.0.1:{bot_port}/slack/events"
        sandbox = Child(
            [
                *(sys.executable, "-m", "bot.sandbox"),
                *("--data", str(directory), "--port", str(port), "--slack-mode", slack_mode),
                *("--bot-url", bot_url, "--bot-options-url", bot_url),
                *("--event-grid-url", f"http://127.0.0.1:{events_port}/event-grid"),
                *(("--kubeconfig", str(kubeconfig.absolute())) if kubeconfig else ()),
                *("--world", str(world or DEMO)),
            ],
            dict(os.environ),
        )
        running.callback(sandbox.stop)
        described = json.loads(sandbox.line_with('"ready"', ended))
        environment = {**os.environ, **described["env"], "REDIS_URL": redis_url}
        bot = _Bot(program, Path(described["settings"]), environment)
        running.callback(bot.stop)
        bot.start(ended)
        print(f"ready {described['slack']}", flush=True)
        print(f"kubeconfig {described['kubeconfig']}", flush=True)
        print(_TOUR.format(**described), flush=True)
        if open_browser:
            webbrowser.open(described["slack"])
        while not ended.wait(0.2):
            if sandbox.ended():
                raise Unavailable(
                    "A part of the demo stopped unexpectedly.", remedy="Start it again."
                )
            bot.keep(ended)
    return 0


class Child:
    """A process whose standard output is read line by line."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str]) -> None:
        self._process = spawn(
            arguments, env=dict(environment), stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._lines: list[str] = []
        self._more = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._more:
                self._lines.append(line)
                self._more.notify_all()

    def line_with(self, text: str, ended: threading.Event) -> str:
        """The first line that holds `text`. Unavailable when the process ends or takes too long."""
        given_up = time.monotonic() + _START_SECONDS
        while time.monotonic() < given_up and not ended.is_set():
            with self._more:
                for line in self._lines:
                    if text in line:
                        return line
                if self.ended():
                    break
                self._more.wait(0.1)
        raise Unavailable(
            "A part of the demo did not start.", meaning="Its output is above.", remedy=""
        )

    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Ask it to end, and insist after a while."""
        if self.ended():
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Bot:
    """The bot's process, started again when it dies."""

    def __init__(self, program: str, settings: Path, environment: Mapping[str, str]) -> None:
        self._arguments = [sys.executable, "-m", program, "run", "--config", str(settings)]
        self._arguments += ["--log-level", "warning"]
        self._environment = environment
        self._child: Child | None = None

    def start(self, ended: threading.Event) -> None:
        """Start it and wait until it says that it is ready."""
        self._child = Child(self._arguments, self._environment)
        self._child.line_with("ready", ended)

    def keep(self, ended: threading.Event) -> None:
        """Start it anew if it has died."""
        if self._child is not None and self._child.ended():
            print("the bot stopped; restarting it", file=sys.stderr, flush=True)
            with contextlib.suppress(GatewayBotError):
                self.start(ended)

    def stop(self) -> None:
        """Stop it in good order."""
        if self._child is not None:
            self._child.stop()


def _valkey(directory: Path, running: contextlib.ExitStack) -> str:
    server = Valkey(directory)
    try:
        server.start()
    except ValkeyError as error:
        raise Unavailable(
            f"The demo's Redis cannot start: {error}.",
            remedy=(
                "Another demo may be using this --data directory. Stop it, or choose another "
                "directory."
            ),
        ) from error
    running.callback(server.stop)
    return server.url


@contextlib.contextmanager
def _directory(data: Path | None) -> Iterator[Path]:
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        yield data.absolute()
        return
    temporary = Path(tempfile.mkdtemp(prefix="gateway-bot-"))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _free_port() -> int:
    """Below the range from which systems assign ports (32768 on Linux), since the bot
    binds it only later."""
    for port in random.sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("No port is free on the loopback interface.")
