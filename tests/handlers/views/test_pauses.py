"""What people are shown while actions wait for the end of a pause."""

import dataclasses
import json
from typing import Any

import pytest

from bot.sandbox.slack.blocks import check_blocks
from deploy.actions.action import State
from deploy.actions.pauses import CLUSTER, ENVIRONMENT, Pause
from deploy.actions.store import LONGEST_WAIT_SECONDS
from deploy.rules.finding import Finding
from handlers.views import action as action_view
from handlers.views import pauses, request_line
from handlers.views.text import date
from tests.handlers.views.test_notifications import action, where

PAUSE = Pause(CLUSTER, "west", "kernel <upgrade>.", "Ana Diaz, as ana@host (operator)", 5.0, 9.0)
BARE = Pause(ENVIRONMENT, "production")


def waiting(pause: Pause = PAUSE) -> Any:
    return action("deploy", State.APPROVED, progress={"paused": pause.to_mapping()})


def said(blocks: Any) -> str:
    check_blocks(blocks)
    return json.dumps(blocks, ensure_ascii=False)


def test_a_pause_says_what_it_stops_and_what_not_until_when_why_and_whom_to_ask() -> None:
    assert pauses.line(PAUSE) == (
        f":construction: *Cluster west* is paused until {date(9.0)}: kernel &lt;upgrade&gt;. No action "
        f"starts there. Automatic token rotation continues. Paused {date(5.0)} by Ana Diaz, as ana@host "
        "(operator); ask them to resume it."
    )
    assert pauses.line(BARE) == (
        ":construction: *Environment production* is paused. No action starts there. "
        "Automatic token rotation continues."
    )


def test_a_plan_says_that_it_will_wait_before_it_is_decided() -> None:
    blocks = action_view.render(action("deploy", State.PENDING), where, paused=PAUSE)[1]
    assert "Once decided, this action waits until cluster west is resumed." in said(blocks[:2])
    assert "paused" not in said(action_view.render(action("deploy", State.PENDING), where)[1])


@pytest.mark.parametrize("pause", [PAUSE, BARE])
def test_an_approved_action_says_why_it_waits_and_how_long_its_approval_holds(pause: Pause) -> None:
    shown = waiting(pause)
    text, blocks = action_view.render(shown, where)
    place = f"{pause.scope} {pause.name}"
    assert text.endswith(f" and waits until {place} is resumed")
    told = said(blocks)
    assert f"*{place.capitalize()}* is paused" in told
    assert "starts as soon as that is resumed" in told
    deadline = date((shown.decided_at or 0) + LONGEST_WAIT_SECONDS)
    assert f"If it cannot start by {deadline}, it expires and nothing is changed." in told
    assert f"It waits until {place} is resumed." in request_line.needed(shown)


def test_an_action_that_started_no_longer_names_the_pause() -> None:
    shown = dataclasses.replace(waiting(), state=State.RUNNING)
    assert "paused" not in said(action_view.render(shown, where)[1])


@pytest.mark.parametrize("state", sorted(set(State) - {State.PENDING, State.APPROVED}))
def test_what_is_decided_otherwise_or_over_no_longer_names_a_pause(state: State) -> None:
    shown = dataclasses.replace(waiting(), state=state)
    text, blocks = action_view.render(shown, where, paused=PAUSE)
    told = text + said(blocks) + request_line.needed(shown) + pauses.of_waiting(shown)
    assert "paused" not in told
    assert "resumed" not in told + pauses.waiting(shown)


def test_a_plan_that_a_rule_denies_does_not_say_that_it_would_wait() -> None:
    shown = action("deploy", State.PENDING)
    denied = Finding("rule", "deny", "It is wrong.", "It fails.", "Change it.")
    plan = dataclasses.replace(shown.plan, findings=(denied,))
    shown = dataclasses.replace(shown, plan=plan)
    assert "paused" not in said(action_view.render(shown, where, paused=PAUSE)[1])
