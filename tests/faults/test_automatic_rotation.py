"""From a token near its expiry to the end of its warning, without anybody: it takes minutes."""

import os
import signal
from pathlib import Path

import pytest
import yaml

from tests.support.demo import Demo, words


@pytest.mark.timeout(600)
def test_a_token_near_its_expiry_is_rotated_on_its_own_and_its_warning_resolved(
    tmp_path: Path,
) -> None:
    demo = Demo(tmp_path)
    try:
        _rotated(demo)
    finally:
        demo.stop()


def _rotated(demo: Demo) -> None:
    ana, dan = demo.person("ana"), demo.person("dan", "gateway-alerts")
    plan = ana.plans("deploy edge-1 --to west/dev --tag 2.11.1 --replicas 1")
    ana.clicks(plan, "Confirm")
    ana.sees_at(plan, "1 of 1 pods ready after", 90)
    short = ana.plans("rotate edge-1 --ttl 2d")
    ana.clicks(short, "Confirm")
    # Not just “new token”, which its plan says already.
    ana.sees_at(short, "run with the new token after", 150)
    warning = dan.sees("west/dev/edge-1 .*has a token that expires", 120)
    path = demo.data / "gateway-bot.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["environments"][-1]["rotation"] = "auto"
    path.write_text(yaml.safe_dump(settings))
    os.kill(demo.bot_pid(), signal.SIGKILL)
    dan.sees("Approved by the settings: automatic rotation in development", 150)
    dan.sees_at(warning, "west/dev/edge-1 .*has a new token", 180)
    found = dan.sees_at(warning, "has a new token")
    assert "Snooze" not in words(found)
    # legacy-9 was not deployed by this bot, so it stays as it is, and warned of.
    dan.sees("west/dev/legacy-9 .*has a token that expires")
