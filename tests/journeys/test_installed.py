"""The bot as it is installed: with the user of Redis that `redis-acl` prints, and no place to write but /tmp."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from bot.install.redis_acl import COMMANDS, USER, acl
from tests.journeys.test_deploy import TAG, deploy, running_again
from tests.journeys.test_logs import logs
from tests.journeys.test_operating import decide
from tests.support.demo import Demo, words
from tests.support.processes import ROOT
from tests.support.redis_servers import server_of
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)

PASSWORD = "of-the-bot"


@dataclass
class Scene:
    """A running bot, and its Redis as an administrator sees it."""

    demo: Demo
    admin: Any


def read_only(*writable: Path) -> dict[str, str]:
    """The environment of a process, and of all that it starts, that may write to few places."""
    return {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "readonly"), str(ROOT)]),
        "WRITABLE": os.pathsep.join(["/tmp", "/dev", "/proc", *map(str, writable)]),
    }


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("installed")
    server = server_of("valkey", directory / "redis-of-the-bot")
    server.start()
    admin = redis.Redis.from_url(server.url, decode_responses=True)
    admin.execute_command("ACL", "SETUSER", *acl(password=f">{PASSWORD}").split()[1:])
    admin.config_resetstat()
    path = server.url.removeprefix("unix://")
    home = directory / "home"
    home.mkdir(0o555)
    url = f"unix://{USER}:{PASSWORD}@{path}"
    env = {"REDIS_URL": url, "HOME": str(home), **read_only(directory)}
    demo = Demo(directory / "demo", env=env)
    try:
        yield Scene(demo, admin)
    finally:
        demo.stop()
        server.stop()


def test_a_gateway_is_deployed_operated_and_read(scene: Scene) -> None:
    demo, ana, ben = scene.demo, scene.demo.person("ana"), scene.demo.person("ben")
    deploy(demo, "edge-1", "west/dev", replicas=1)
    decide(ana, "scale edge-1 --replicas 2", "Scale edge-1", "2 of 2 pods ready after")
    decide(ana, "rotate edge-1", "Rotate the token", "2 of 2 pods run with the new token after")
    production = ana.plans(f"deploy store-7 --to west/prod --tag {TAG} --replicas 1")
    ben.clicks(production, "Approve")
    ana.sees_at(production, "1 of 1 pods ready after")
    cancelled = ana.plans("restart edge-1")
    ana.clicks(cancelled, "Cancel")
    for command, seen in (
        ("status edge-1", "edge-1 on west/dev"),
        ("list", "store-7"),
        ("expiring", "edge-1"),
        ("history edge-1", "rotate"),
        ("pending", "No requests are open"),
        ("whoami", "What you may do"),
    ):
        ana.is_told(command, seen)
    assert words(logs(ana, "edge-1 --tail 5"))


def test_home_is_drawn_and_a_bot_that_is_killed_is_replaced(scene: Scene) -> None:
    demo = scene.demo
    demo.post("open-home", user="ana")
    until(lambda: "edge-1" in str(demo.get("views/ana")["home"]), "the Home tab")
    pid = demo.bot_pid()
    os.kill(pid, signal.SIGKILL)
    until(lambda: running_again(demo, pid), "a new bot", 90)
    ana = demo.person("ana")
    until(lambda: ana.types("help")["ok"], "its connection to Slack", 90)
    ana.is_told("status edge-1", "2 of 2 pods")


def test_redis_refused_nothing(scene: Scene) -> None:
    assert [entry["object"] for entry in scene.admin.acl_log()] == []
    assert not any("NOPERM" in line for line in scene.demo.lines)


def test_what_the_bot_sent_is_what_it_is_allowed(scene: Scene) -> None:
    calls = scene.admin.info("commandstats")
    sent = {
        name.removeprefix("cmdstat_") for name, stats in calls.items() if stats["calls"] > 0
    } - {"acl|log", "config|resetstat", "command"}
    assert sent <= {*COMMANDS, "acl|log"}
    assert len(sent) > 30, "the statistics are those of this journey"


def test_nothing_was_written_outside_tmp(scene: Scene) -> None:
    assert [line for line in scene.demo.lines if "Read-only file system" in line] == []


def test_the_file_system_of_this_journey_is_read_only() -> None:
    env = {**os.environ, **read_only()}
    for code in ("open('/var/x', 'w')", "open('/tmp/../var/x', 'a')", "import os; os.mkdir('/x')"):
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "Read-only file system" in done.stderr
