"""Every byte that a full run wrote is read, and no token of a gateway is among them, nor its signature.

A full run: a deployment, rotations that succeed, fail and are taken back, errors of Azure and of the
cluster that quote the token, logs, status, warnings, Event Grid, and a bot that crashes.
"""

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from bot.sandbox.tls import Authority
from deploy.actions.connection import connect
from tests.support.demo import Demo, Person, broken
from tests.support.echoing_proxy import EchoingProxy, arm_error, webhook_denial
from tests.support.kubectl import Kubectl
from tests.support.loops import running
from tests.support.processes import ROOT
from tests.support.waiting import until

_TOKEN = re.compile(rb"[A-Za-z0-9.-]+&\d{12}&([A-Za-z0-9+/]{40,}={0,2})")
TAG = "2.11.1"
_OWN = (
    *("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"),
    *("AZURE_CLIENT_SECRET", "EVENT_GRID_SECRET"),
)
"""The bot's own secrets."""


class Loud:
    """A bot of the test's own in the demo's world, which logs everything it can."""

    def __init__(self, settings: Path, environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self.secrets = environment
        command = [sys.executable, "-X", "faulthandler", "-m", "bot", "run"]
        self._file = log.open("wb")
        self._process = subprocess.Popen(
            [*command, "--config", str(settings), "--log-level", "debug"],
            cwd=ROOT,
            env={**environment, "PYTHONFAULTHANDLER": "1"},
            stdout=self._file,
            stderr=self._file,
        )
        self.health = until(self._port, "a bot that says everything", 120)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def _port(self) -> str | None:
        found = re.search(rb"ready, health at port (\d+)", self.log.read_bytes())
        return found[1].decode() if found else None

    def crash(self) -> None:
        """SIGABRT: the fault handler writes down where every thread was."""
        self._process.send_signal(signal.SIGABRT)
        self._process.wait(60)

    def stop(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()
        self._file.close()


def environment_of(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


@contextlib.contextmanager
def bots_behind(
    demo: Demo, arm: EchoingProxy, cluster: EchoingProxy, directory: Path
) -> Iterator[Loud]:
    """The demo's own bot and a loud one, both behind the proxies."""
    pid = demo.bot_pid()
    environment = environment_of(pid)
    path = demo.data / "gateway-bot.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["azure"]["arm_endpoint"] = arm.url
    known = yaml.safe_load(Path(settings["clusters"][0]["kubeconfig"]).read_text())
    for entry in known["clusters"]:
        if entry["name"] == "west":
            entry["cluster"]["server"] = cluster.url
    (directory / "kubeconfig").write_text(yaml.safe_dump(known))
    for entry in settings["clusters"]:
        entry["kubeconfig"] = str(directory / "kubeconfig")
    path.write_text(yaml.safe_dump(settings))
    os.kill(pid, signal.SIGKILL)
    until(lambda: any("restarting it" in line for line in demo.lines), "the demo's bot again")
    own = directory / "loud.yaml"
    own.write_text(yaml.safe_dump({k: v for k, v in settings.items() if k != "event_grid"}))
    loud = Loud(own, environment, directory / "loud.log")
    try:
        yield loud
    finally:
        loud.stop()


@pytest.mark.timeout(900)
def test_no_token_and_no_signature_is_in_anything_that_a_full_run_wrote(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "demo", env={"PYTHONFAULTHANDLER": "1"})
    try:
        tls = Authority.load_or_create(demo.data / "sandbox" / "tls").server_context()
        settings = yaml.safe_load((demo.data / "gateway-bot.yaml").read_text())
        server = yaml.safe_load(demo.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        arm = EchoingProxy(settings["azure"]["arm_endpoint"], tls)
        cluster = EchoingProxy(server, tls)
        with running(arm), running(cluster), bots_behind(demo, arm, cluster, tmp_path) as loud:
            _full_run(demo, arm, cluster)
            health = requests.get(f"http://127.0.0.1:{loud.health}/healthz", timeout=10).content
            processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, check=True)
            loud.crash()
            needles = _needles(demo, arm, cluster)
            written = {
                "health": health,
                "processes": processes.stdout,
                "the loud bot's log": loud.log.read_bytes(),
                "the demo's output": "".join(demo.lines).encode(),
                **_redis(demo),
                **_slack(demo),
            }
        # The threads run on while the fault handler writes where they are, and it may fault over that
        # before it comes to the last one.
        assert b"Fatal Python error: Aborted" in written["the loud bot's log"]
        assert b"(most recent call first)" in written["the loud bot's log"], (
            "the crash left no trace"
        )
        assert b'"audit":' in written["the loud bot's log"] + written["the demo's output"]
        assert len(needles) > 20
        assert min(len(text) for text in written.values()) > 0
        assert _found(written, needles) == []
        # Slack itself is shown the bot's tokens; nobody else is.
        del written["Slack's traffic"]
        assert _found(written, {loud.secrets[name].encode() for name in _OWN}) == []
    finally:
        demo.stop()


def _found(written: Mapping[str, bytes], needles: set[bytes]) -> list[tuple[str, bytes]]:
    return [(where, n[:12]) for where, text in written.items() for n in needles if n in text]


def _full_run(demo: Demo, arm: EchoingProxy, cluster: EchoingProxy) -> None:
    ana, dan = demo.person("ana"), demo.person("dan", "gateway-alerts")
    until(lambda: ana.types("whoami")["ok"], "bots that answer", 60)
    plan = ana.plans(f"deploy edge-1 --to west/dev --tag {TAG} --replicas 1", 60)
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "1 of 1 pods ready after", 120)
    _rotates(ana, "run with the new token", "--ttl 2d")
    arm.spoil = arm_error(409)
    _rotates(ana, "Azure is currently changing")
    arm.spoil = arm_error(400)
    _rotates(ana, "Azure rejected the request")
    arm.spoil = None
    cluster.spoil = webhook_denial
    _rotates(ana, "denied the request|not allowed to (create|patch)")
    cluster.spoil = None
    assert arm.spoiled >= 2
    assert cluster.spoiled >= 1
    with broken(demo, "azure", "configuration_status", "403", "none"):
        _rotates(ana, "The previous token is in use again")
    dan.sees("west/dev/edge-1 .*has a token that expires", 90)
    for text in ("status edge-1", "logs edge-1", "export edge-1", "history edge-1", "diff edge-1"):
        ana.types(text)
    ana.types("expiring")
    ana.sees("When tokens expire", 60, ephemeral=True)
    ana.types("status edge-1")
    ana.sees("edge-1.*[Tt]oken", 60, ephemeral=True)


def _rotates(ana: Person, ends: str, options: str = "") -> None:
    plan = ana.plans(f"rotate edge-1 {options}", 60)
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, ends, 150)


def _needles(demo: Demo, arm: EchoingProxy, cluster: EchoingProxy) -> set[bytes]:
    """Every token there was, and its signature, in each form in which it could be written."""
    kubectl = Kubectl(demo.kubeconfig, demo.data)
    everything = b"\n".join([*arm.heard, *cluster.heard])
    for place in ("west", "east"):
        listing = json.loads(kubectl("--context", place, "get", "secrets", "-A", "-o", "json"))
        for item in listing["items"]:
            for value in (item.get("data") or {}).values():
                everything += b"\n" + base64.b64decode(value)
    for value in re.findall(rb'"([A-Za-z0-9+/]{60,}={0,2})"', everything):
        with contextlib.suppress(ValueError):
            everything += b"\n" + base64.b64decode(value)
    needles: set[bytes] = set()
    for match in _TOKEN.finditer(everything):
        token, signature = match[0], match[1]
        needles |= {signature, token, urllib.parse.quote(signature.decode(), safe="").encode()}
        needles.add(signature.replace(b"/", rb"\/"))
        for text in (b"GatewayKey " + token, token):
            needles.add(base64.b64encode(text)[:-4])
            needles.add(base64.b64encode(text)[len(text) // 2 :][:40])
        # A part is as bad as the whole: it is what a cut text would leave.
        needles |= {signature[:24], signature[-24:]}
    return needles


def _redis(demo: Demo) -> dict[str, bytes]:
    """What the server has in memory, key by key, and every file it wrote."""
    directory = demo.data / "redis"
    (socket,) = [p for p in directory.rglob("*") if p.is_socket()]
    client = connect(f"unix://{socket}")
    dumped: list[Any] = []
    reads = {
        "hash": client.hgetall,
        "string": client.get,
        "set": client.smembers,
        "list": lambda key: client.lrange(key, 0, -1),
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        "stream": client.xrange,
    }
    for key in client.scan_iter(count=1000):
        kind = client.type(key)
        if kind != "none":
            dumped.append([key, reads[kind](key)])
    files = [p.read_bytes() for p in directory.rglob("*") if p.is_file()]
    assert len(dumped) > 20
    return {"Redis' keys": str(dumped).encode(), "Redis' files": b"\n".join(files)}


def _slack(demo: Demo) -> dict[str, bytes]:
    """All that Slack was sent and sent itself, and all that people see."""
    state = demo.get("state")
    messages = [demo.get(f"messages/{channel['id']}") for channel in state["channels"]]
    return {
        "Slack's traffic": demo.session.get(f"{demo.url}/_control/log", timeout=20).content,
        "Slack's messages": json.dumps([state, messages]).encode(),
    }
