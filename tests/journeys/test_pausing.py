"""An operator pauses a cluster: what is approved meanwhile waits, says why, and starts once that is resumed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.test_deploy import TAG
from tests.support.demo import Demo, words


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()


def admin(demo: Demo, *arguments: str) -> str:
    environ = Path(f"/proc/{demo.bot_pid()}/environ").read_bytes().decode()
    config = str(demo.data / "gateway-bot.yaml")
    done = subprocess.run(
        [sys.executable, "-m", "bot", "admin", *arguments, "--config", config],
        env=dict(item.split("=", 1) for item in environ.split("\0") if "=" in item),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_confirmed_during_a_pause_waits_and_starts_once_it_is_resumed(demo: Demo) -> None:
    ana = demo.person("ana")
    plan = ana.plans(f"deploy edge-1 --to west/dev --tag {TAG} --replicas 1")
    where = ("--cluster", "west", "--by", "Ivy")
    admin(demo, "pause", *where, "--reason", "kernel upgrade")
    ana.sees_at(plan, "Cluster west\\* is paused: kernel upgrade.*Once decided, this action waits")
    ana.clicks(plan, "Confirm")
    waits = words(ana.sees_at(plan, "This action starts as soon as that is resumed"))
    assert "Cluster west* is paused: kernel upgrade." in waits
    assert "by Ivy, as " in waits
    assert "it expires and nothing is changed" in waits
    ana.is_told("list", "Cluster west\\* is paused: kernel upgrade")
    ana.is_told("pending", "waits until cluster west is resumed")
    assert "kernel upgrade" in admin(demo, "list")
    admin(demo, "resume", *where)
    ana.sees_at(plan, "1 of 1 pods ready after")
    ana.is_told("history", "cluster west: \\*resumed\\*.*cluster west: \\*paused\\*")
    shown = words(ana.is_told("list", "edge-1"))
    assert "is paused" not in shown


def test_a_plan_says_that_a_pause_has_ended_at_its_time_without_anybody_doing_anything(
    demo: Demo,
) -> None:
    ana = demo.person("ana")
    plan = ana.plans("scale edge-1 --replicas 2")
    admin(
        demo, "pause", "--cluster", "west", "--by", "Ivy", "--reason", "a switch", "--until", "1m"
    )
    ana.sees_at(plan, "Cluster west\\* is paused until .*a switch")
    ana.sees_at(plan, "\\A(?!.*is paused)")
