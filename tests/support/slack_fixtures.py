"""Fixtures of a running workspace."""

from collections.abc import Iterator

import pytest
from slack_bolt import App
from slack_sdk import WebClient

from tests.support.slack_bots import bolt_app, web_client
from tests.support.slack_workspace import Person, running, workspace


@pytest.fixture
def person() -> Iterator[Person]:
    """A running workspace in Socket Mode."""
    with running(workspace()) as person:
        yield person


@pytest.fixture
def client(person: Person) -> WebClient:
    """The bot's Web API client."""
    return web_client(person.slack)


@pytest.fixture
def app(person: Person) -> App:
    """A Bolt app without listeners."""
    return bolt_app(person.slack)
