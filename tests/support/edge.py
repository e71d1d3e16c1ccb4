"""A bot and a proxy before each thing that it needs: Redis, Slack, Azure and one of its clusters."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import requests
import yaml

from bot.sandbox.processes import spawn
from bot.sandbox.valkey import Valkey
from deploy.actions.connection import connect
from deploy.actions.store import ActionStore
from deploy.changes.kinds import KINDS, codec_of
from tests.support.demo import Demo
from tests.support.ports import free_port
from tests.support.processes import ROOT
from tests.support.troubled_proxy import TroubledProxy
from tests.support.waiting import until

Needed = Literal["redis", "slack", "azure", "west"]
NEEDED: tuple[Needed, ...] = ("redis", "slack", "azure", "west")
REDIS_USER, _PASSWORD = "bot", "only-for-tests"
_EVENTS = "/events"
_DELAYS: Mapping[Needed, float] = {"redis": 0.1, "slack": 1.0, "azure": 2.0, "west": 2.0}
"""How late a slow one answers, in seconds: of Redis a message takes many answers."""


class Edge(Demo):
    """A sandbox with one bot that reaches `west` and the rest through proxies, `east` without.

    `store` are its actions, by Redis itself, where the bot is somebody else.
    """

    def __init__(
        self,
        data: Path,
        *,
        delays: Mapping[Needed, float] = _DELAYS,
        program: str = "bot",
        started: bool = True,
    ) -> None:
        """`delays` are how late a slow one answers, in seconds; `program` is the module that is run as
        the bot, at once or later."""
        self.data = data
        self._delays = delays
        self._program = program
        self.lines: list[str] = []
        self.session = requests.Session()
        self.redis = Valkey(data / "redis")
        self.redis.start()
        self._sandbox = _child([sys.executable, "-m", "bot.sandbox", "--data", str(data)], {})
        threading.Thread(target=self._collect, args=(self._sandbox,), daemon=True).start()
        described = json.loads(until(self._described, "the sandbox", 120))
        self.url = described["slack"]
        self._person = described["kubeconfig"]
        settings = yaml.safe_load(Path(described["settings"]).read_text())
        self.proxies: dict[Needed, TroubledProxy] = {}
        kubeconfig = Path(settings["clusters"][0]["kubeconfig"])
        clusters = yaml.safe_load(kubeconfig.read_text())
        west = next(each for each in clusters["clusters"] if each["name"] == "west")["cluster"]
        west["server"] = self._through("west", west["server"])
        through = data / "through-proxy.kubeconfig"
        through.write_text(yaml.safe_dump(clusters))
        for cluster in settings["clusters"]:
            cluster["kubeconfig"] = str(through)
        settings["slack"]["api_url"] = self._through("slack", settings["slack"]["api_url"])
        azure = self._through("azure", settings["azure"]["arm_endpoint"])
        settings["azure"] |= {"arm_endpoint": azure, "authority": azure}
        settings["health"]["port"] = self._health = free_port()
        path = self.redis.url.removeprefix("unix://")
        self.proxies["redis"] = TroubledProxy(path, delay=delays["redis"])
        settings["event_grid"] = {"host": "127.0.0.1", "port": 0, "path": _EVENTS}
        self._settings = data / "edge.yaml"
        self._settings.write_text(yaml.safe_dump(settings))
        self._environment = {
            **described["env"],
            "REDIS_URL": f"redis://{REDIS_USER}:{_PASSWORD}@127.0.0.1:{self.proxies['redis'].port}",
        }
        client = connect(self.redis.url)
        client.execute_command("ACL", "SETUSER", REDIS_USER, "on", f">{_PASSWORD}", "~*", "+@all")
        self.store = ActionStore(client, codec_of(KINDS))
        self.bot: subprocess.Popen[Any] | None = None
        if started:
            self.start_bot()

    @property
    def kubeconfig(self) -> Path:
        """Where kubectl finds the clusters, without a proxy."""
        return Path(self._person)

    def launch_bot(self) -> None:
        """Start it, whatever becomes of it."""
        self._begun = len(self.lines)
        self.bot = _child(
            [sys.executable, "-m", self._program, "run", "--config", str(self._settings)],
            self._environment,
        )
        threading.Thread(target=self._collect, args=(self.bot,), daemon=True).start()

    def start_bot(self) -> None:
        """Start it, and wait until it is ready for Slack."""
        self.launch_bot()

        def said(pattern: str) -> str | None:
            found = re.search(pattern, "".join(self.lines[self._begun :]), re.M)
            return found[1] if found else None

        until(lambda: said(r"^ready, health at port (\d+)"), "the bot", 120)
        self._events = until(lambda: said(r"Event Grid is listened to at port (\d+)"), "its port")
        until(lambda: self.is_well, "the bot to be ready", 120)

    def stop_bot(self) -> float:
        """SIGTERM; after how many seconds it had ended."""
        assert self.bot is not None
        began = time.monotonic()
        self.bot.send_signal(signal.SIGTERM)
        self.bot.wait(60)
        return time.monotonic() - began

    @property
    def health(self) -> str:
        """Where the bot says how it is."""
        return f"http://127.0.0.1:{self._health}"

    @property
    def is_well(self) -> bool:
        """Whether it is ready, and connected to Slack."""
        with contextlib.suppress(requests.RequestException):
            answer = requests.get(f"{self.health}/readyz", timeout=20)
            return answer.ok and answer.json()["slack"] == "ok"
        return False

    def answers(self, path: str) -> bool:
        """Whether the health port says that all is well."""
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"http://127.0.0.1:{self._health}/{path}", timeout=20).ok
        return False

    def hears_azure(self) -> bool:
        """Whether the endpoint for Event Grid answers a handshake of its."""
        key = self._environment["EVENT_GRID_SECRET"]
        url = f"http://127.0.0.1:{self._events}{_EVENTS}?key={key}"
        event = {
            "id": "1",
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "data": {"validationCode": "code"},
        }
        answer = requests.post(url, json=[event], timeout=20)
        return answer.ok and answer.json() == {"validationResponse": "code"}

    def stop(self) -> None:
        """End everything."""
        running = [each for each in (self.bot, self._sandbox) if each is not None]
        for process in running:
            process.terminate()
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
        for proxy in self.proxies.values():
            proxy.close()
        self.redis.stop()

    def _through(self, name: Needed, url: str) -> str:
        at = urlsplit(url)
        assert at.hostname is not None
        assert at.port is not None
        # Slack's websockets and response_urls as well.
        proxy = TroubledProxy(
            (at.hostname, at.port), delay=self._delays[name], everywhere=name == "slack"
        )
        self.proxies[name] = proxy
        return at._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()

    def _described(self) -> str | None:
        return next((line for line in list(self.lines) if line.startswith('{"ready"')), None)

    def _collect(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line)


def _child(arguments: list[str], environment: Mapping[str, str]) -> subprocess.Popen[Any]:
    return spawn(
        arguments,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )


@contextlib.contextmanager
def edge(data: Path, **options: Any) -> Iterator[Edge]:
    """One for as long as the block runs."""
    made = Edge(data, **options)
    try:
        yield made
    finally:
        made.stop()
