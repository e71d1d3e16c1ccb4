"""People of another workspace see the refusal, over Socket Mode and over HTTP."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from slack_sdk import WebClient

from deploy.access import Environment
from handlers.listeners import Listeners, Needs
from handlers.slack.in_time import InTime
from handlers.slack.payloads import Request
from handlers.slack.people import Team
from handlers.verbs import status
from tests.support.authority import authority
from tests.support.needs import needs
from tests.support.slack_bots import reached, web_client
from tests.support.slack_workspace import app_config, running, workspace


@pytest.mark.parametrize("mode", ["socket", "http"])
def test_a_command_to_another_workspaces_bot_is_answered_and_let_in_nowhere(mode: str) -> None:
    accepted: list[Request] = []
    team = Team(WebClient())
    team._id = "T9MINE"
    slack = workspace(app_config("http" if mode == "http" else "socket"))
    with ThreadPoolExecutor(4) as pool, running(slack) as person:
        given = needs(
            Needs,
            slack=web_client(slack),
            authority=authority(Environment("development")),
            team=team,
            accept=accepted.append,
            command="/gateway",
            accepting=InTime(pool, 10, 10),
            checking=InTime(pool, 10, 10),
            aside=pool,
        )
        verbs = [status.VERB.bound(needs(status.Needs))]
        with reached(mode, Listeners(given, verbs, [], {}, {}, lambda user: None), slack):
            assert person.command("status") == {"ok": True}
        (told,) = person.messages(user="ana")
        assert "Only members of the workspace that this bot belongs to" in told["text"]
    assert accepted == []
