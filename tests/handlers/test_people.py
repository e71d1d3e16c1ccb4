"""Who somebody is, as Slack says it now."""

import dataclasses
from typing import Any
from unittest.mock import Mock

import pytest
from slack_sdk import WebClient

from deploy.errors import Unavailable
from handlers.listeners import Listeners
from handlers.people import Team, UserGroups
from tests.support.slack_workspace import ANA, BEN, Person


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_membership_is_read_and_kept_for_a_minute_at_most(
    person: Person, client: WebClient
) -> None:
    clock = Clock()
    groups = UserGroups(client, clock=clock)
    assert groups.groups_of(BEN, ["S0APP"]) == {"S0APP"}
    assert groups.groups_of(ANA, ["S0APP"]) == frozenset()
    everyone = person.slack._state.usergroups
    person.call(lambda: everyone.update(S0APP=dataclasses.replace(everyone["S0APP"], users=[ANA])))
    clock.now = 59
    assert groups.groups_of(BEN, ["S0APP"]) == {"S0APP"}
    clock.now = 60
    assert groups.groups_of(BEN, ["S0APP"]) == frozenset()
    assert groups.groups_of(ANA, ["S0APP"]) == {"S0APP"}


def test_what_slack_does_not_say_is_not_guessed(person: Person, client: WebClient) -> None:
    groups = UserGroups(client)
    with pytest.raises(Unavailable, match="S0NONE"):
        groups.groups_of(BEN, ["S0NONE"])
    person.set_fault("api_error", "503")
    with pytest.raises(Unavailable, match="nothing was decided"):
        groups.groups_of(BEN, ["S0APP"])
    person.set_fault("api_error", "none")
    assert groups.groups_of(BEN, ["S0APP"]) == {"S0APP"}


def test_the_workspace_is_known_once_slack_said_it(person: Person, client: WebClient) -> None:
    team = Team(client)
    person.set_fault("api_error", "503")
    assert team() == ""
    person.set_fault("api_error", "none")
    assert team() == "T0TEAM"
    person.set_fault("api_error", "503")
    assert team() == "T0TEAM"


@pytest.mark.parametrize(
    ("body", "own"),
    [
        ({"team_id": "T0TEAM", "command": "/gateway"}, True),
        ({"team": {"id": "T0TEAM"}}, True),
        ({"team_id": "T9OTHER", "command": "/gateway"}, False),
        ({"team": {"id": "T9OTHER"}, "actions": []}, False),
        ({"type": "block_actions"}, False),
        ({"team": None}, False),
    ],
)
def test_what_another_workspace_sends_goes_no_further(body: dict[str, Any], own: bool) -> None:
    services: Any = Mock(team=lambda: "T0TEAM")
    ack, following = Mock(), Mock()
    Listeners(services, (), Mock()).own_workspace(ack, body, following)
    assert following.called is own
    assert ack.called is not own


def test_while_the_own_workspace_is_unknown_nothing_is_let_in() -> None:
    services: Any = Mock(team=lambda: "")
    following = Mock()
    Listeners(services, (), Mock()).own_workspace(Mock(), {"team_id": ""}, following)
    assert not following.called
