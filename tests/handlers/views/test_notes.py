"""What is posted beside an action's message, and where."""

import dataclasses

import pytest

from deploy.access import Environment
from deploy.actions.action import Action, Event, State
from deploy.plans.requests import DeployRequest
from deploy.policy import People, Policy, Requirement
from handlers.views.notes import Note, notes, within
from tests.support.actions import REF, by_approvers, plan_of

ASKED = Event(1, "pending", "U0ANA", "", 100.0)


def asked_in(channel: str, *requirements: Requirement) -> tuple[Note, ...]:
    """What is posted when somebody asks there."""
    return notes(asked(channel, Policy(requirements)), (ASKED,), channel)


def asked(channel: str, policy: Policy) -> Action:
    plan = plan_of()
    return Action(
        id="AAAAAA",
        kind="deploy",
        ref=REF,
        state=State.PENDING,
        version=1,
        requester="U0ANA",
        person="U0ANA",
        policy=policy,
        digest=plan.digest,
        request=DeployRequest(plan.spec),
        plan=plan,
        origin={"channel": channel},
        created_at=100.0,
        expires_at=200.0,
        updated_at=100.0,
    )


def requirement(*channels: str) -> Requirement:
    return Requirement("production", People(groups=("S1",)), channels=channels)


def test_a_request_is_shown_where_the_approvers_of_another_environment_decide() -> None:
    found = [note for note in asked_in("C1", requirement("C2", "C3")) if note.to == "channel"]
    assert [note.channel for note in found] == ["C2", "C3"]
    assert "<!subteam^S1>: please look at the plan" in found[0].text
    assert found[0].blocks[0]["accessory"]["action_id"] == "action_show"
    assert len({note.key for note in found}) == 2


def test_it_is_shown_once_where_its_approvers_are_asked_already() -> None:
    assert not [note for note in asked_in("C2", requirement("C2", "C3")) if note.to == "channel"]


def test_approvers_who_decide_anywhere_are_asked_in_the_request_s_own_channel() -> None:
    found = asked_in("C1", requirement())
    assert [note.to for note in found] == ["thread"]
    assert "<!subteam^S1>" in found[0].text


@pytest.mark.parametrize("policy", [Policy(), by_approvers()])
@pytest.mark.parametrize("automatic", [True, False])
def test_that_a_success_was_reverted_is_for_everybody_in_the_channel(
    policy: Policy, automatic: bool
) -> None:
    event = Event(9, "reverted", "", "kubectl changed it since.", 100.0)
    action = dataclasses.replace(
        asked("C1", policy), state=State.SUCCEEDED, version=9, automatic=automatic
    )
    found = notes(action, (event,), "C1")
    line = next(note for note in found if note.to == "thread")
    assert ":warning: kubectl changed it since." in line.text
    assert line.broadcast
    assert ("<@U0ANA>" in "".join(note.text for note in found)) == (
        not automatic and policy == Policy()
    )
    (inside,) = within(action, (event,))
    assert inside.text == "*edge-1*: :warning: kubectl changed it since."


def test_who_is_called_reads_what_it_is_about_and_whether_that_is_production() -> None:
    action = asked("C1", by_approvers())
    live = Environment("live", production=True)
    for event in (ASKED, Event(2, "reminder", "", "", 150.0)):
        (called,) = notes(action, (event,), "C1", lambda ref: live)
        what, *_, called_for = called.text.split("\n")
        assert what == "*\N{LARGE ORANGE DIAMOND} Deploy edge-1 to west/dev (live, production)*"
        assert "<!subteam^S1>: " in called_for
    found = notes(asked("C1", Policy((requirement("C2"),))), (ASKED,), "C1", lambda ref: live)
    (elsewhere,) = [note for note in found if note.to == "channel"]
    assert "Deploy edge-1 to west/dev (live, production)" in elsewhere.text
    denied = dataclasses.replace(action, state=State.DENIED)
    said = notes(denied, (Event(3, "denied", "U2", "no", 160.0),), "C1", lambda ref: live)
    (personal,) = [note for note in said if note.to == "requester"]
    assert personal.text.startswith("\N{LARGE ORANGE DIAMOND} Your request to deploy edge-1")
