"""A hundred clicks and commands while Slack delivers to connections that nobody reads: each is done, or
the operators were warned before the hundredth."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.support.demo import Demo, Message, words
from tests.support.ports import free_port
from tests.support.processes import ROOT
from tests.support.waiting import until

TAG = "2.11.1"
WARNING = "Some commands and clicks do not reach the bot"
RECOVERED = "Commands and clicks reach the bot again"
RENEW_SECONDS = 10
"""Instead of five minutes: a hundred clicks take people longer than a test."""


pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def port() -> int:
    """Where the bot's health is asked."""
    return free_port()


@pytest.fixture
def demo(tmp_path: Path, port: int) -> Iterator[Demo]:
    world = yaml.safe_load((ROOT / "bot/sandbox/world.yaml").read_text())
    world["settings"] = {"slack": {"renew_seconds": RENEW_SECONDS}, "health": {"port": port}}
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(world))
    made = Demo(tmp_path / "data", "--world", str(path))
    try:
        yield made
    finally:
        made.stop()


def warnings(demo: Demo) -> list[Message]:
    """The messages to the operators about it."""
    shown = demo.person("chen", "gateway-alerts").messages()
    return [m for m in shown if WARNING in words(m) or RECOVERED in words(m)]


def health(port: int) -> tuple[int, dict[str, Any]]:
    """What the health port says."""
    answer = requests.get(f"http://127.0.0.1:{port}/readyz", timeout=30)
    return answer.status_code, answer.json()


def acts(demo: Demo, plan: Message, number: int) -> bool:
    """A command or a click; whether it was done. Slack shows an error where it was not received."""
    dan = demo.person("dan")
    if number % 2:
        return bool(dan.types("help")["ok"])
    said = "Only approvers can approve or deny this"
    before = sum(said in words(m) for m in dan.messages())
    if not dan.clicks(plan, "Approve")["ok"]:
        return False
    until(lambda: sum(said in words(m) for m in dan.messages()) > before, "an answer")
    return True


def hundred(demo: Demo, plan: Message) -> int:
    """How many were not done before somebody was warned, of a hundred that were tried; 0 where all
    were."""
    failed = 0
    for number in range(100):
        if warnings(demo):
            break
        failed += not acts(demo, plan, number)
    else:
        assert not failed, f"{failed} of a hundred were not done, and nobody was warned"
    return failed


def approves_by_text(demo: Demo, plan: Message) -> None:
    """As the warning says: typed again until it is answered."""
    found = re.search(r"Action `(\w+)` · plan `(\w+)`", words(plan))
    assert found is not None
    text = f"approve {found[1]} --plan {found[2]}"
    ben = demo.person("ben")
    until(lambda: ben.types(text)["ok"], "a command that is received")
    ben.sees_at(plan, "pods ready after", 120)


def test_two_ghosts_are_reported_before_the_hundredth_click_or_command(
    demo: Demo, port: int
) -> None:
    plan = demo.person("ana").plans(f"deploy edge-1 --to west/prod --tag {TAG} --replicas 1")
    until(lambda: demo.get("state")["transport"]["connections"] == 2, "both connections")
    # While one is being renewed there are three.
    until(lambda: health(port)[1]["slack connections"] == "all bots have 2 connections")
    demo.fault("slack", "ghost_connections", 2)
    hundred(demo, plan)
    [warning] = warnings(demo)
    assert "`/gateway approve ID --plan DIGEST`" in words(warning)
    # While a connection is being renewed, Slack may count one more or less.
    ghosts = "Slack delivers to 2 more that nobody reads"
    until(lambda: ghosts in health(port)[1]["slack connections"], "both of them in the health")
    assert health(port)[0] == 200
    approves_by_text(demo, plan)
    demo.fault("slack", "ghost_connections", 0)
    until(lambda: RECOVERED in words(warnings(demo)[0]), "the end of it", 120)
    assert len(warnings(demo)) == 1


def test_a_minute_without_network_ends_the_same(demo: Demo, port: int) -> None:
    plan = demo.person("ana").plans(f"deploy edge-1 --to west/prod --tag {TAG} --replicas 1")
    demo.fault("slack", "network_down", True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        # Slack tells whoever types that it was not received.
        assert not demo.person("dan").types("help")["ok"]
    until(lambda: health(port)[1]["slack"] != "ok", "a bot that is not connected")
    assert health(port)[0] == 200, "an outage of Slack takes no pod away"
    demo.fault("slack", "network_down", False)
    until(lambda: health(port)[1]["slack"] == "ok", "a bot that is connected", 120)
    hundred(demo, plan)
    until(lambda: warnings(demo), "a warning of the two connections that were lost", 120)
    approves_by_text(demo, plan)


def test_without_ghosts_each_of_a_hundred_is_done_while_connections_are_renewed(
    demo: Demo,
) -> None:
    plan = demo.person("ana").plans(f"deploy edge-1 --to west/prod --tag {TAG} --replicas 1")
    assert hundred(demo, plan) == 0
    assert warnings(demo) == []
