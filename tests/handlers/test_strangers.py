"""People of another workspace see the refusal, over Socket Mode and over HTTP."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.http_mode import HttpMode
from bot.sandbox.slack import SlackWorkspace
from bot.socket_mode import SocketMode
from deploy.access import Environment
from deploy.deadline import Deadline
from handlers.listeners import Listeners, Needs
from handlers.slack.in_time import InTime
from handlers.slack.payloads import Request
from handlers.slack.people import Team
from handlers.verbs import status
from tests.support.authority import authority
from tests.support.needs import needs
from tests.support.slack_bots import web_client
from tests.support.slack_workspace import APP_TOKEN, SECRET, app_config, running, workspace
from tests.support.waiting import until


@contextmanager
def reached(mode: str, listeners: Listeners, slack: SlackWorkspace) -> Iterator[None]:
    """Slack reaches them over the bot's own transport for the length of the block."""
    uncounted: Any = SimpleNamespace(report=lambda own: None, hello=lambda own, at_slack: None)
    transport = (
        HttpMode(listeners, SECRET, host="127.0.0.1", port=0, path="/slack/events")
        if mode == "http"
        else SocketMode(listeners, APP_TOKEN, slack.api_url, uncounted, connections=1)
    )
    if isinstance(transport, HttpMode):
        slack.request_url = f"http://127.0.0.1:{transport.port}/slack/events"
    transport.start()
    try:
        until(lambda: transport.connected)
        yield
    finally:
        transport.stop(Deadline.after(10))


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
