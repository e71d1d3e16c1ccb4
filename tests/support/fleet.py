"""Several bots on one Redis in one workspace, each replaced as a Deployment's rollout does it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import requests
import yaml

from bot.sandbox.processes import spawn
from bot.sandbox.valkey import Valkey
from tests.support.balancer import Backend, Balancer, balancing
from tests.support.demo import Stage
from tests.support.ports import free_ports
from tests.support.processes import ROOT
from tests.support.waiting import until

Mode = Literal["socket", "http"]


@dataclass
class Process:
    """A child and the lines it prints."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def line_like(self, pattern: str, seconds: float = 120) -> re.Match[str]:
        """The first line that matches."""

        def look() -> re.Match[str] | None:
            found = next(
                filter(None, (re.search(pattern, line) for line in list(self.lines))), None
            )
            if found is None and self.process.poll() is not None:
                raise AssertionError(f"it ended:\n{''.join(self.lines[-30:])}")
            return found

        return until(look, f"a line like {pattern!r} in {self.lines[-20:]}", seconds)

    def end(self, seconds: float) -> float:
        """SIGTERM; the seconds until it has ended."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(seconds)
        return time.monotonic() - began


@dataclass(eq=False)
class BotProcess(Process):
    """A bot; `backend` is its place behind the balancer, in HTTP mode."""

    name: str = ""
    health_port: int = 0
    backend: Backend | None = None

    def ready(self) -> bool:
        """Whether it says that it is ready."""
        try:
            answer = requests.get(f"http://127.0.0.1:{self.health_port}/readyz", timeout=5)
        except requests.RequestException:
            return False
        return answer.status_code == 200


class Fleet(Stage):
    """A sandbox, a Valkey, and bots; in HTTP mode behind a balancer. Children end with it."""

    def __init__(self, data: Path, mode: Mode, balancer: Balancer, world: Path) -> None:
        super().__init__()
        self.mode = mode
        self.bots: list[BotProcess] = []
        self.data = data
        self.redis = Valkey(data / "redis")
        self._balancer = balancer
        self._count = 0
        self.redis.start()
        self._sandbox = Process(
            spawn(
                [
                    *(sys.executable, "-m", "bot.sandbox", "--data", str(data)),
                    *("--slack-mode", mode, "--world", str(world)),
                    *("--bot-url", f"http://127.0.0.1:{balancer.port}/slack/events"),
                ],
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
        )
        described = json.loads(self._sandbox.line_like(r'^\{"ready".*').group())
        self.url = described["slack"]
        self.lines = self._sandbox.lines
        self.kubeconfig = Path(described["kubeconfig"])
        self._settings = yaml.safe_load(Path(described["settings"]).read_text())
        self._environment = {**described["env"], "REDIS_URL": self.redis.url}
        self.fault("slack", "rate_limits", True)

    def start_bot(self, version: Path = ROOT, seconds: float = 120) -> BotProcess:
        """One more bot, once it is ready and the balancer knows; `version` is where its code lies."""
        self._count += 1
        name = f"bot-{self._count}"
        port, health = free_ports(2)
        settings: dict[str, Any] = {
            **{key: value for key, value in self._settings.items() if key != "event_grid"},
            "health": {"host": "127.0.0.1", "port": health},
        }
        if self.mode == "http":
            # What is left is as a Deployment has it, its drain time above all.
            path = self._settings["slack"]["http"]["path"]
            http = {"host": "127.0.0.1", "port": port, "path": path}
            settings["slack"] = {**self._settings["slack"], "http": http}
        config = self.data / f"{name}.yaml"
        config.write_text(yaml.safe_dump(settings))
        log = (self.data / f"{name}.log").open("w")
        bot = BotProcess(
            spawn(
                [*(sys.executable, "-m", "bot", "run", "--config", str(config))],
                env={**os.environ, **self._environment, "PYTHONPATH": str(version)},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=version,
            ),
            name=name,
            health_port=health,
        )
        log.close()
        bot.line_like("^ready", seconds)
        until(bot.ready, f"{name} to be ready", seconds)
        if self.mode == "http":
            backend = bot.backend = self._balancer.add(port, health)
            until(lambda: backend.ready, f"{name} behind the balancer", 120)
        self.bots.append(bot)
        return bot

    def replace(self, old: BotProcess) -> float:
        """Start another bot, and end this one once that is ready: `maxSurge: 1` and
        `maxUnavailable: 0`. The seconds that its end took."""
        self.start_bot()
        took = old.end(30)
        assert old.process.returncode == 0, self.log_of(old)
        self.bots.remove(old)
        if old.backend is not None:
            self._balancer.remove(old.backend)
        return took

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Slack, Azure, the clusters and Redis keep their connections and say nothing."""
        pids = (self._sandbox.process.pid, self.redis.pid)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def log_of(self, bot: BotProcess) -> str:
        """What a bot logged."""
        return (self.data / f"{bot.name}.log").read_text()

    def close(self) -> None:
        """End everything."""
        for bot in self.bots:
            bot.process.terminate()
        for bot in self.bots:
            _reap(bot.process)
        self._sandbox.process.terminate()
        _reap(self._sandbox.process)
        self.redis.stop()


@contextlib.contextmanager
def fleet(data: Path, mode: Mode, world: Path) -> Iterator[Fleet]:
    """A fleet without bots yet, for as long as the block runs."""
    with balancing() as balancer:
        made = Fleet(data, mode, balancer, world)
        try:
            yield made
        finally:
            made.close()


def _reap(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
