"""A sandbox, a Redis, and as many whole bots on them as a benchmark wants."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml

from bot.sandbox.valkey import Valkey
from bot.sandbox.world import DEFAULT
from tests.bench.memory import of_the_image
from tests.support.demo import Stage
from tests.support.ports import free_port
from tests.support.processes import ROOT, line_of
from tests.support.waiting import until

_END_SECONDS = 40.0
_MIB = 1024.0


class Bed(Stage):
    """Slack, Azure, clusters and Redis, as `bot.sandbox` imitates them; the bots are processes."""

    def __init__(self, directory: Path, running: ExitStack, world: Path, *options: str) -> None:
        super().__init__()
        self.directory = directory
        self._running = running
        server = Valkey(directory / "redis")
        server.start()
        running.callback(server.stop)
        self.redis = server.url
        self.socket = directory / "redis/valkey.sock"
        sandbox = spawned(
            [
                *("-m", "bot.sandbox", "--data", str(directory / "sandbox")),
                *("--world", str(world), *options),
            ],
            {},
        )
        running.callback(end, sandbox)
        told = json.loads(line_of(sandbox))
        self.url = told["slack"]
        self.kubeconfig = Path(told["kubeconfig"])
        self.environment = {**told["env"], **of_the_image(), "REDIS_URL": server.url}
        self.settings = Path(told["settings"])

    def settings_with(self, name: str, change: Callable[[dict[str, Any]], object]) -> Path:
        """A settings file of that name with something changed; its metrics have a port of their own."""
        settings = yaml.safe_load(self.settings.read_text())
        settings["health"]["port"] = free_port()
        change(settings)
        path = self.directory / f"{name}.yaml"
        path.write_text(yaml.safe_dump(settings))
        path.chmod(0o600)
        return path

    def bot(self, settings: Path | None = None, program: str = "bot") -> "Bot":
        """One more bot, once it is ready. It ends with the bed."""
        given = settings or self.settings
        arguments = ["-m", program, "run", "--config", str(given), "--log-level", "error"]
        bot = Bot(arguments, self.environment)
        self._running.callback(bot.end)
        return bot

    def peer(self) -> "Bot":
        """An empty Bolt app at the same Slack."""
        bot = Bot(["-m", "tests.bench.empty_app", str(self.settings)], self.environment)
        self._running.callback(bot.end)
        return bot


class Bot:
    """One process that says that it is ready; `took` is after how many seconds it was, `processor` how
    many of a processor's."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        began = time.perf_counter()
        self._process = spawned(arguments, environment, of_the_lock())
        while not line_of(self._process).startswith("ready"):
            pass
        self.took = time.perf_counter() - began
        stat = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        # utime and stime of proc(5), counted from the field after the name.
        self.processor = sum(map(int, stat[11:13])) / os.sysconf("SC_CLK_TCK")
        # What it prints from now on must not stop it.
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for _ in self._process.stdout:
            pass

    def mib(self) -> float:
        """Its resident memory."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / _MIB

    def signal(self, number: int) -> None:
        """Send it one."""
        self._process.send_signal(number)

    def end(self) -> None:
        """As Kubernetes ends it."""
        end(self._process)


@contextmanager
def bed(change: Callable[[dict[str, Any]], object] = lambda world: None) -> Iterator[Bed]:
    """A sandbox of the usual world with something changed."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as running:
        directory = Path(name)
        world = yaml.safe_load(DEFAULT.read_text())
        change(world)
        path = directory / "world.yaml"
        path.write_text(yaml.safe_dump(world))
        yield Bed(directory, running, path)


def of_the_lock() -> str:
    """A Python that has the image's packages and no others, as `make bench` installs it."""
    installed = Path(sys.prefix) / "image/bin/python"
    return str(installed) if installed.exists() else sys.executable


def spawned(
    arguments: Sequence[str], environment: Mapping[str, str], python: str = sys.executable
) -> subprocess.Popen[str]:
    """A Python process whose standard output is read."""
    return subprocess.Popen(
        [python, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> None:
    """SIGTERM, and SIGKILL where that is not enough."""
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        process.wait()


def scraped(settings: Path, name: str) -> float:
    """The sum of a metric over its labels, as that bot gives it."""
    port = yaml.safe_load(settings.read_text())["health"]["port"]
    text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    lines = [x for x in text.splitlines() if x.startswith((f"{name}{{", f"{name} "))]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def sees(settings: Path, gateways: int) -> None:
    """Wait until a bot has counted so many gateways."""
    until(
        lambda: scraped(settings, "gateway_bot_gateways") >= gateways, f"{gateways} gateways", 180
    )
