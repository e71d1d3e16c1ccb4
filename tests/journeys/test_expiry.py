"""A token that is about to expire is told of by itself, whoever installed the gateway."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.support.demo import Demo, words
from tests.support.waiting import until

LEGACY = "west/dev/legacy-9"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()


def test_a_gateway_of_the_portal_is_warned_of_and_can_be_snoozed_with_a_reason(
    demo: Demo,
) -> None:
    ana = demo.person("ana", "gateway-alerts")
    warning = ana.sees(f"{LEGACY} has a token that expires in 5d", 60)
    assert "The expiry was read from the token's text." in words(warning)
    ana.clicks(warning, "Snooze")
    form = ana.form("expiry_snooze_modal")
    refused = ana.submits(form, snooze_reason=" ")
    assert "Say why" in str(refused)
    ana.submits(ana.form("expiry_snooze_modal"), snooze_reason="It is replaced <soon>")
    shown = ana.sees_at(warning, "Snoozed by <@U0ANA>")
    assert "It is replaced &lt;soon&gt;" in words(shown)
    ana.sees("snoozed this: It is replaced &lt;soon&gt;")
    ana.types("history legacy-9")
    ana.sees("snoozed", ephemeral=True)


def test_its_buttons_show_it_and_say_what_rotating_it_takes(demo: Demo) -> None:
    ivy = demo.person("ivy", "gateway-alerts")
    warning = ivy.sees(f"{LEGACY} has a token that expires", 60)
    ivy.clicks(warning, "Show")
    ivy.sees("legacy-9.*[Hh]eartbeat|legacy-9.*no trouble seen|legacy-9.*unknown", ephemeral=True)
    ivy.clicks(warning, "Rotate")
    ivy.sees("was not deployed by this bot", ephemeral=True)


def test_expiring_lists_tokens_the_first_to_expire_first(demo: Demo) -> None:
    dan = demo.person("dan")
    dan.types("expiring")
    assert LEGACY in words(dan.sees("When tokens expire", ephemeral=True))
    dan.types("expiring legacy-9 --snooze 3d")
    dan.sees("Say why", ephemeral=True)
    dan.types('expiring legacy-9 --snooze 30d --reason "no"')
    dan.sees("is not for how long", ephemeral=True)


def test_a_bot_that_is_killed_warns_of_nothing_twice(demo: Demo) -> None:
    ana = demo.person("ana", "gateway-alerts")
    ana.sees(f"{LEGACY} has a token that expires", 60)
    pid = demo.bot_pid()
    os.kill(pid, signal.SIGKILL)
    until(lambda: [line for line in demo.lines if "starting it again" in line], "a new bot")
    until(lambda: ana.types("expiring")["ok"], "a bot that answers")
    ana.sees("When tokens expire", ephemeral=True)
    found = [m for m in ana.messages() if f"{LEGACY} has a token" in m.get("text", "")]
    assert len(found) == 1
