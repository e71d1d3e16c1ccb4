"""A spec that is given as a file: fetched from Slack with the bot's token, and from nowhere else."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from slack_sdk import WebClient

from deploy.errors import GatewayBotError, InvalidInput, Unavailable
from handlers.slack import spec_file
from tests.support.slack_bots import web_client
from tests.support.slack_workspace import Person, app_config, running, workspace


def uploaded(person: Person, content: bytes) -> dict[str, Any]:
    encoded = base64.b64encode(content).decode()
    answer = person.post("upload", user="ana", filename="edge.yaml", content=encoded)
    return dict(answer["file"])


def test_a_file_of_a_form_is_read_with_the_bots_token(person: Person, client: WebClient) -> None:
    file = uploaded(person, "\ufeffgateway: é\n".encode())
    assert spec_file.fetched(client, file) == "gateway: é\n"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"size": spec_file.LIMIT + 1}, "at most 64 KiB"),
        ({"size": None}, "at most 64 KiB"),
        ({"url_private": "https://files.slack.com@evil.example/x"}, "not stored in Slack"),
        ({"url_private": "http://evil.example/files-pri/x"}, "not stored in Slack"),
        ({"url_private": "file:///etc/passwd"}, "not stored in Slack"),
        ({"url_private": None}, "not stored in Slack"),
    ],
)
def test_the_token_is_shown_to_slack_alone_and_a_large_file_is_not_read(
    person: Person, client: WebClient, more: Mapping[str, Any], why: str
) -> None:
    with pytest.raises(InvalidInput, match=why):
        spec_file.fetched(client, {**uploaded(person, b"a: 1"), **more})


def test_slacks_own_files_are_at_its_files_host() -> None:
    slack = "https://slack.com/api/"
    assert spec_file.kept_by(slack, "https://files.slack.com/files-pri/T1-F1/edge.yaml")
    assert spec_file.kept_by("https://www.slack.com/api/", "https://files.slack.com/x")
    for other in ("http://files.slack.com/x", "https://files.slack.com.evil.example/x", ""):
        assert not spec_file.kept_by(slack, other)


@pytest.mark.parametrize(
    ("content", "error", "why"),
    [
        (b"\xff\xfe", InvalidInput, "not text"),
        (b"x" * (spec_file.LIMIT + 1), InvalidInput, "at most 64 KiB"),
    ],
)
def test_what_is_no_spec_or_larger_than_it_says_is_refused(
    person: Person, client: WebClient, content: bytes, error: type[GatewayBotError], why: str
) -> None:
    with pytest.raises(error, match=why):
        spec_file.fetched(client, {**uploaded(person, content), "size": 2})


def test_without_the_scope_slack_hands_nothing_out() -> None:
    with running(workspace(app_config(scopes=["commands"]))) as person:
        file = uploaded(person, b"a: 1")
        with pytest.raises(Unavailable, match="files:read"):
            spec_file.fetched(web_client(person.slack), file)
