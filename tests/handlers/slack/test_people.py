"""Who somebody is, as Slack says it now."""

import dataclasses
from typing import Any, ClassVar

import pytest
from slack_sdk import WebClient

from deploy.access import Standing
from deploy.errors import Unavailable
from handlers.slack.people import Team, UserGroups, origin_of
from tests.support.slack_workspace import ANA, BEN, Person

JSON = dict[str, Any]


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
    with pytest.raises(Unavailable, match="S0NONE") as absent:
        groups.groups_of(BEN, ["S0NONE"])
    assert "Correct the ID of the user group" in absent.value.remedy
    assert "scope" not in absent.value.remedy
    assert "minute" not in absent.value.remedy
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


class Answer(dict[str, Any]):
    """With the header in which Slack names the app's scopes."""

    headers: ClassVar[dict[str, str]] = {"X-OAuth-Scopes": "commands, users:read"}


class Grid:
    """What Slack says of a workspace, in an organization, and of people in shared channels."""

    people: ClassVar[dict[str, JSON]] = {
        "U1": {"team_id": "T0TEAM"},
        "U2": {"team_id": "T0TEAM", "is_restricted": True},
        "U3": {"team_id": "T0TEAM", "is_restricted": True, "is_ultra_restricted": True},
        "U4": {"team_id": "T0TEAM", "deleted": True, "is_restricted": True},
        "U9": {"team_id": "T9OTHER", "is_restricted": True},
        "W1": {"enterprise_user": {"enterprise_id": "E0", "teams": ["T0TEAM", "T5ELSE"]}},
        "W5": {"team_id": "T5ELSE", "enterprise_user": {"enterprise_id": "E0", "teams": ["T5"]}},
        "W9": {"enterprise_user": {"enterprise_id": "E9", "teams": ["T9OTHER"]}},
    }

    def __init__(self, team: str = "T0TEAM") -> None:
        self.team = team
        self.asked = 0
        self.told: list[JSON] = []

    def auth_test(self) -> "Answer":
        return Answer(team_id=self.team, enterprise_id="E0", user_id="U0BOT")

    def users_info(self, *, user: str) -> JSON:
        self.asked += 1
        return {"user": self.people[user]}

    def chat_postEphemeral(self, **message: Any) -> None:  # noqa: N802  # as the SDK has it
        self.told.append(message)


def let_in(slack: Any, body: JSON) -> bool:
    """Whether a payload is let in, and its sender may then do anything."""
    team = Team(slack)
    assert team()
    origin = origin_of(body)
    return team.may_own(origin) and team.standing(origin.user) is not Standing.FOREIGN


def click(user: str, team: str, by: str, **more: Any) -> JSON:
    """A button in a channel; `team` is the bot's workspace, `by` one of the person's."""
    return {
        "type": "block_actions",
        "team": {"id": team, "domain": "x"} if team else None,
        "user": {"id": user, "team_id": by},
        "channel": {"id": "C1"},
        **more,
    }


def form(user: str, team: str, installed: str) -> JSON:
    return {
        "type": "view_submission",
        "team": {"id": team},
        "user": {"id": user, "team_id": team},
        "view": {
            "app_installed_team_id": installed,
            "blocks": [{"type": "section"}, {"type": "input", "block_id": "why"}],
        },
    }


ENTERPRISE = {"enterprise": {"id": "E0", "name": "Contoso"}}


@pytest.mark.parametrize(
    ("body", "own"),
    [
        ({"team_id": "T0TEAM", "command": "/gateway", "user_id": "U1"}, True),
        ({"team_id": "T9OTHER", "command": "/gateway", "user_id": "U9"}, False),
        ({"team_id": "T0TEAM", "event": {"type": "app_home_opened", "user": "U1"}}, True),
        ({"team_id": "T0TEAM", "event": {"type": "app_home_opened", "user": "U9"}}, False),
        (
            {
                "team_id": "T5ELSE",
                "authorizations": [{"enterprise_id": "E0", "team_id": "T0TEAM"}],
                "event": {"type": "app_home_opened", "user": "W1"},
            },
            True,
        ),
        ({"team_id": "T0TEAM", "authorizations": [], "event": {"user": "U1"}}, True),
        ({"team_id": "T0TEAM", "authorizations": [None], "event": {"user": "U1"}}, True),
        (click("U1", "T0TEAM", "T0TEAM"), True),
        (click("U9", "T0TEAM", "T9OTHER"), False),
        (click("U9", "T9OTHER", "T9OTHER"), False),
        (click("U9", "T9OTHER", "T0TEAM"), False),
        (click("W1", "T0TEAM", "T5ELSE", **ENTERPRISE), True),
        (click("W1", "", "T5ELSE", **ENTERPRISE), True),
        (click("W5", "T0TEAM", "T5ELSE", **ENTERPRISE), False),
        (click("W5", "", "T5ELSE", **ENTERPRISE), False),
        (click("W9", "", "", **ENTERPRISE), False),
        (click("W1", "", "T0TEAM", enterprise={"id": "E9"}), False),
        (form("U1", "T0TEAM", "T0TEAM"), True),
        (form("U9", "T9OTHER", "T0TEAM"), False),
        (form("W1", "T5ELSE", "T0TEAM"), True),
        ({"type": "block_actions"}, False),
        ({"team": None}, False),
        ({"team": None, "user": "U9", "view": []}, False),
    ],
)
def test_only_this_workspaces_own_people_are_let_in(body: JSON, own: bool) -> None:
    assert let_in(Grid(), body) is own


def test_an_app_of_a_whole_organization_serves_all_of_its_workspaces() -> None:
    for user, own in (("W1", True), ("W5", True), ("W9", False)):
        wide = click(user, "", "T5ELSE", is_enterprise_install=True, **ENTERPRISE)
        assert let_in(Grid("E0"), wide) is own
        # An event says so of each installation that it is for, not of itself.
        granted = [{"enterprise_id": "E0", "team_id": "T5ELSE", "is_enterprise_install": True}]
        opened = {"type": "app_home_opened", "user": user}
        home = {"team_id": "T5ELSE", "authorizations": granted, "event": opened}
        assert let_in(Grid("E0"), home) is own
    command = {
        "command": "/gateway", "team_id": "T5ELSE", "enterprise_id": "E0", "user_id": "W5",
        "is_enterprise_install": "true",
    }  # fmt: skip
    assert let_in(Grid("E0"), command)


def test_membership_of_the_workspace_is_asked_at_most_once_a_minute() -> None:
    clock, slack = Clock(), Grid()
    team = Team(slack, clock=clock)  # type: ignore[arg-type]  # as far as it is used
    for now, asked in ((0, 1), (59, 1), (60, 2)):
        clock.now = now
        assert team.standing("W1") is Standing.MEMBER
        assert slack.asked == asked


def test_a_scope_counts_once_slack_said_that_it_is_granted(
    person: Person, client: WebClient
) -> None:
    team = Team(Grid())  # type: ignore[arg-type]  # as far as it is used
    assert team.granted("users:read")
    assert not team.granted("files:read")
    person.set_fault("api_error", "503")
    assert not Team(client).granted("commands")


def test_while_slack_does_not_say_whose_somebody_is_they_have_no_standing(
    person: Person, client: WebClient
) -> None:
    team = Team(client)
    person.set_fault("api_error", "503")
    with pytest.raises(Unavailable, match="does not say which workspace"):
        team.standing(ANA)
    person.set_fault("api_error", "none")
    assert team()
    person.set_fault("api_error", "503")
    with pytest.raises(Unavailable, match=f"whether {ANA} is a member"):
        team.standing(ANA)


@pytest.mark.parametrize(
    ("user", "standing"),
    [
        ("U1", Standing.MEMBER),
        ("U2", Standing.GUEST),
        ("U3", Standing.GUEST),
        ("U4", Standing.DEACTIVATED),
        ("U9", Standing.FOREIGN),
        ("W1", Standing.MEMBER),
        ("W5", Standing.FOREIGN),
    ],
)
def test_slack_says_what_somebody_is_in_the_workspace(user: str, standing: Standing) -> None:
    team = Team(Grid())  # type: ignore[arg-type]  # as far as it is used
    assert team.standing(user) is standing


def test_while_slack_does_not_say_what_somebody_is_that_is_not_guessed(
    person: Person, client: WebClient
) -> None:
    person.set_fault("api_error", "503")
    with pytest.raises(Unavailable, match="which workspace"):
        Team(client).standing(ANA)
    person.set_fault("api_error", "none")
    team = Team(client)
    assert team.standing(ANA) is Standing.MEMBER
    person.set_fault("api_error", "503")
    assert team.standing(ANA) is Standing.MEMBER, "what was said a moment ago"
    with pytest.raises(Unavailable, match=f"whether {BEN} is a member"):
        team.standing(BEN)
