"""What somebody may do and why, in Slack's mark-up."""

import json

import pytest

from deploy.access import Approval, Environment, Ground, Right, Standing, Verdict
from deploy.changes.authority import Powers
from deploy.changes.refusal import refusal
from deploy.policy import People
from handlers.views import errors, permission, whoami


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (Verdict(False, Ground.OTHER_CHANNEL, channels=("C1", "C2")), "Ask in <#C1> or <#C2>."),
        (
            Verdict(False, Ground.NOT_NAMED, People(("U1",), ("S1",))),
            "Allowed: <!subteam^S1>, <@U1>.",
        ),
        (Verdict(False, Ground.GUEST), "the user ID U9"),
    ],
)
def test_a_refusal_links_to_where_it_is_allowed_and_to_whom(verdict: Verdict, told: str) -> None:
    error = refusal(Right.ASK, verdict, "U9", Environment("production"))
    assert told in json.dumps(errors.trouble(error).blocks)
    assert "<" not in str(error), "mark-up is for views"


def test_every_reason_has_its_words() -> None:
    for each in Ground:
        assert permission.reason(Verdict(False, each, People(("U1",)), ("C1",)))


@pytest.mark.parametrize("standing", Standing)
def test_whoami_says_what_somebody_is_in_the_workspace(standing: Standing) -> None:
    verdict = Verdict(True, Ground.NAMED)
    production = Environment("production", approval=Approval(People(groups=("S1",))))
    found = Powers(production, verdict, verdict, verdict, None)
    shown = json.dumps(whoami.powers([found], (), "U9", standing).blocks)
    assert "You are <@U9>, `U9`, " in shown
    assert {
        Standing.MEMBER: "a member of this workspace",
        Standing.GUEST: "a guest in this workspace",
        Standing.DEACTIVATED: "deactivated in this workspace",
        Standing.FOREIGN: "not a member of this workspace",
    }[standing] in shown
    assert "named in the settings" in shown
