"""What is posted beside an action's message, and where."""

from deploy.actions.action import Action, Event, State
from deploy.plans.requests import DeployRequest
from deploy.policy import People, Policy, Requirement
from handlers.views.notes import Note, notes
from tests.support.actions import REF, plan_of

ASKED = Event(1, "pending", "U0ANA", "", 100.0)


def asked_in(channel: str, *requirements: Requirement) -> tuple[Note, ...]:
    """What is posted when somebody asks there."""
    plan = plan_of()
    action = Action(
        id="AAAAAA",
        kind="deploy",
        ref=REF,
        state=State.PENDING,
        version=1,
        requester="U0ANA",
        person="U0ANA",
        policy=Policy(requirements),
        digest=plan.digest,
        request=DeployRequest(plan.spec),
        plan=plan,
        origin={"channel": channel},
        created_at=100.0,
        expires_at=200.0,
        updated_at=100.0,
    )
    return notes(action, (ASKED,), channel)


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
